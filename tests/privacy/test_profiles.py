"""What the three profiles let out, on every format, read with pydicom and searched in bytes."""

import json
from dataclasses import fields

import jsonschema
import pydicom
import pytest

import coverslip
from coverslip.audit import certificate_schema
from coverslip.deid.custody import Custody
from coverslip.deid.metadata import Given
from coverslip.dicom.allowlist import rules
from coverslip.errors import PolicyError
from tests.interop import readers
from tests.interop.validator import validator_findings
from tests.privacy.given import (
    CODES,
    GIVEN,
    KEY,
    PLACES,
    SECRETS,
    TRIAL,
    as_written,
    codes_of,
    convert,
    custody,
    header,
    items_at,
    told_by,
)
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS

CASES = [(name, "research") for name in FORMATS] + [
    (name, "care") for name in ("svs-jpeg-rgb", "ndpi", "scn-two-regions", "generic-j2k-grey")
]
CASES += [("generic-deflate+deflated", profile) for profile in ("research", "care")]
"""Profile and format meet nowhere in the code but in the identity."""


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_law_of_each_profile(name, profile, tmp_path, built, tool, capfd):
    """What ``tests/test_laws.py`` holds for the profile public."""
    name, _, option = name.partition("+")
    any_slide = built(name)
    given = custody(tmp_path, KEY)
    result = convert(any_slide, tmp_path / "out", profile, given, case=option)
    said = "".join(capfd.readouterr())

    identifiers = [text for text in any_slide.identifiers if len(text) >= 5]
    places = places_of(tmp_path / "out", said)
    assert survivors(identifiers, places) == set()
    if profile == "care":
        dataset = header(result)
        assert dataset.PatientID == GIVEN["patient_id"]
        assert str(dataset.PatientName) == GIVEN["patient_name"]
        places = {
            name: data
            for name, data in places.items()
            if not name.startswith("file ") or name == "file names" or data.startswith(b"{")
        }
    assert survivors(SECRETS, places) == set()

    jsonschema.Draft202012Validator(certificate_schema()).validate(result.certificate)
    for instance in result.instances:
        assert validator_findings(instance.path, any_slide, tool("dciodvfy")) == []


def test_every_column_is_given_here():
    listed = {*GIVEN, *TRIAL, *CODES, "study_instance_uid"}
    assert listed == {column.name for column in fields(Given)}
    assert PLACES.keys() == GIVEN.keys() | TRIAL.keys()


def test_care_writes_what_the_operator_says_and_claims_nothing(slide, tmp_path, tool):
    given = custody(tmp_path, **TRIAL)
    result = convert(slide, tmp_path / "out", "care", given)
    dataset = header(result)

    assert told_by(dataset) == set(GIVEN)
    assert dataset.AcquisitionDateTime == "20230519154208"
    assert (dataset.SeriesDate, dataset.SeriesTime) == ("20230519", "154208")
    assert dataset.OtherPatientIDsSequence[0].TypeOfPatientID == "TEXT"
    assert dataset.PatientIdentityRemoved == "NO"
    assert "DeidentificationMethodCodeSequence" not in dataset
    assert "LongitudinalTemporalInformationModified" not in dataset
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []
    report = coverslip.verify(tmp_path / "out", slide.path, given=map(as_written, GIVEN))
    assert [str(one) for one in report.found] == []


def test_care_of_which_only_the_patient_is_known_says_nothing_else(slide, tmp_path, tool):
    given = custody(tmp_path, **{name: "" for name in GIVEN if name != "patient_id"})
    result = convert(slide, tmp_path / "out", "care", given)

    assert told_by(header(result)) == {"patient_id"}
    for path in PLACES.values():
        outermost = path.partition(".")[0]
        assert outermost not in header(result) or rules()[outermost].type != "3"
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []


DEVICE = {"device_serial_number", "device_uid", "device_udi", "station_name", "calibration_date"}
INSTITUTION = {name for name in GIVEN if name.startswith("institution_")}


@pytest.mark.parametrize(
    ("keep", "columns"),
    [
        ("device", DEVICE),
        ("institution", INSTITUTION),
        ("patient_characteristics", {"sex", "age"}),
        (None, set()),
    ],
)
def test_research_says_what_keep_names_and_nothing_else(keep, columns, slide, tmp_path, tool):
    given = custody(tmp_path, **TRIAL)
    options = {"dates": "full", "keep": [keep] if keep else []}
    result = convert(slide, tmp_path / "out", "research", given, **options)

    dates = {"study_date", "acquisition_date"}
    assert told_by(header(result)) == columns | dates | set(TRIAL)
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []
    everything = [as_written(name) for name in (*GIVEN, *TRIAL)]
    report = coverslip.verify(tmp_path / "out", slide.path, given=everything)
    assert [str(one) for one in report.found] == []


def test_public_says_nothing_of_the_table(slide, tmp_path):
    given = custody(tmp_path, key=None, **TRIAL)
    assert told_by(header(convert(slide, tmp_path / "out", "public", given))) == set()


@pytest.mark.parametrize("profile", ["public", "research"])
def test_what_a_profile_does_not_say_is_found_where_care_says_it(profile, slide, tmp_path):
    """Where a file has no such attribute it is one too many; else its value is known."""
    care = header(convert(slide, tmp_path / "care", "care", custody(tmp_path)))
    options = {"dates": "drop"} if profile == "research" else {}
    given = custody(tmp_path, KEY if profile == "research" else None)
    result = convert(slide, tmp_path / "out", profile, given, **options)
    path = result.instances[0].path
    clean = path.read_bytes()
    for column in GIVEN:
        dataset = pydicom.dcmread(path)
        is_there = items_at(dataset, PLACES[column])[0] is not None
        graft(dataset, care, PLACES[column])
        dataset.save_as(path)
        texts = [as_written(column)] if is_there else []
        found = coverslip.verify(tmp_path / "out", given=texts).found
        first, *_ = PLACES[column].split(".")
        tag = pydicom.tag.Tag(first)
        assert any(one.place.startswith(f"({tag.group:04X},{tag.elem:04X})") for one in found), (
            column
        )
        path.write_bytes(clean)


def graft(dataset, other, path):
    """Put an element where another data set has it, in items that are made for it."""
    *sequences, keyword = path.split(".")
    for name in sequences:
        other = other[name].value[0]
        if not dataset.get(name):
            setattr(dataset, name, pydicom.Sequence([pydicom.Dataset()]))
        dataset = dataset[name].value[0]
    dataset[keyword] = other[keyword]


def test_care_without_a_patient_is_refused(slide, tmp_path):
    with pytest.raises(PolicyError, match="know the patient"):
        convert(slide, tmp_path / "out", "care", Custody(key=KEY))

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "codes", "temporal"),
    [
        ({}, ["113100", "113101", "113105", "113107"], "MODIFIED"),
        ({"dates": "full"}, ["113100", "113101", "113105", "113106"], "UNMODIFIED"),
        ({"dates": "drop"}, ["113100", "113101", "113105"], "REMOVED"),
        (
            {"dates": "drop", "keep": ["patient_characteristics", "device", "institution"]},
            ["113100", "113101", "113105", "113108", "113109", "113112"],
            "REMOVED",
        ),
    ],
)
def test_research_claims_what_was_done(options, codes, temporal, slide, tmp_path, tool):
    result = convert(slide, tmp_path / "out", "research", custody(tmp_path), **options)

    dataset = header(result)
    assert codes_of(dataset) == codes == result.certificate["deidentification_codes"]
    assert dataset.LongitudinalTemporalInformationModified == temporal
    assert (dataset.StudyDate == "20230517") == (options.get("dates") == "full")
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []
    digest = result.certificate["policy"]["sha256"]
    assert dataset.DeidentificationMethod[1] == f"policy sha256:{digest[:16]}"


def test_certificate_of_care_names_no_one(slide, tmp_path):
    result = convert(slide, tmp_path / "out", "care", custody(tmp_path))

    text = json.dumps(result.certificate) + str(result.certificate_path.name)
    assert survivors(SECRETS, {"certificate": text.encode()}) == set()
    assert result.certificate["key_id"] == KEY.key_id
    assert "name the patient" in result.certificate["residual_risk"]
