"""What is written, beside the table of PS3.15 that says what may be."""

from pathlib import Path

import pytest

from coverslip.dicom.allowlist import rules
from coverslip.model import Profile

TABLE = {
    tag: action
    for line in Path(__file__).with_name("e1_1.txt").read_text().splitlines()
    if not line.startswith("#")
    for action, *tags in [line.split()]
    for tag in tags
}
SATISFIES = {"U": "UX", "X": "X"}
OTHERWISE = "DXZ"
"""Z may be a dummy too, and D may be nothing where the type lets it (PS3.15 E.1.1)."""
RETAINED = {
    ("research", "PatientSex", "G"): "113108",
    ("research", "PatientAge", "G"): "113108",
    ("research", "DeviceSerialNumber", "G"): "113109",
    ("research", "StationName", "G"): "113109",
    ("research", "DeviceUID", "G"): "113109",
    ("research", "UDISequence", "K"): "113109",
    ("research", "UDISequence.UniqueDeviceIdentifier", "G"): "113109",
    ("research", "DateOfLastCalibration", "S"): "113109, and 113106 or 113107",
    ("research", "InstitutionName", "G"): "113112",
    ("research", "InstitutionAddress", "G"): "113112",
    ("research", "InstitutionalDepartmentName", "G"): "113112",
    **{
        ("research", f"ClinicalTrial{what}", "G"): "none: what a project calls itself, if asked to"
        for what in ("SponsorName", "ProtocolID", "ProtocolName", "SiteID", "SiteName", "SubjectID")
    },
    **{
        ("research", keyword, "S"): "113106, 113107"
        for keyword in ("StudyDate", "ContentDate", "AcquisitionDateTime")
    },
    **{
        (profile, "SpecimenDescriptionSequence.SpecimenPreparationSequence", "K"): "113104"
        for profile in ("research", "public")
    },
    ("public", "AcquisitionDateTime", "Y"): "none: the year, by the option year=keep alone",
}
"""What an option of PS3.15 E.3 lets stay: its code, which is claimed when it does."""


def test_the_table_is_whole():
    assert len(TABLE) == 655
    assert TABLE["00100010"] == "Z"
    assert TABLE["00080018"] == "U"
    assert TABLE["0008103E"] == "X"


@pytest.mark.parametrize("profile", ["public", "research"])
def test_every_action_is_that_of_the_standard_or_stricter(profile):
    listed = 0
    for path, rule in rules().items():
        action = TABLE.get(f"{rule.tag:08X}")
        ours = rule.actions[Profile(profile)]
        if action is None or (profile, path, ours) in RETAINED:
            continue
        listed += 1
        assert ours in SATISFIES.get(action, OTHERWISE), path
    assert listed > 20


def test_every_exception_is_one():
    for profile, path, ours in RETAINED:
        rule = rules()[path]
        assert rule.actions[Profile(profile)] == ours
        assert f"{rule.tag:08X}" in TABLE
