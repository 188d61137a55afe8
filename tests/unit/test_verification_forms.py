"""What values may be, and that these tables and the writer's agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from coverslip.deid.uids import PseudonymKind, pseudonym_of
from coverslip.dicom import modules, part10
from coverslip.dicom.allowlist import rules
from coverslip.dicom.modules import BLACK, WHITE
from coverslip.model import Profile
from coverslip.verification import scanners
from coverslip.verification.attributes import FILE_META, rules_of
from coverslip.verification.coded import triples_of
from coverslip.verification.elements import TEXT_VRS
from coverslip.verification.forms import ANYTHING, RETAINED, forms_of
from coverslip.verification.forms import FILE_META as META_FORMS
from coverslip.verification.numbers import NUMBERS

PLAIN = ("Jane Doe", "Doe^Jane", "B22-66177", "SMITH", "biopsy", "19570423", "2266177", "66177")
CLAIMS = frozenset(code for codes in RETAINED for code in codes)
RULES = [
    rules_of("public", CLAIMS),
    rules_of("research", frozenset()),
    rules_of("research", CLAIMS),
    *(rules_of("research", frozenset(codes)) for codes in RETAINED),
    rules_of("care", frozenset()),
]
HEX = {ord(character): None for character in "(,)"}
MEASURES = {
    *("LossyImageCompressionRatio", "PixelSpacing"),
    *(f"{axis}OffsetInSlideCoordinateSystem" for axis in "XYZ"),
}
"""Numbers that may have as many digits as a short accession number."""


@pytest.mark.parametrize("one", RULES)
def test_every_text_that_may_be_there_has_a_form_and_nothing_else_has(one):
    for keyword in (*one.forms, *META_FORMS):
        assert dictionary_VR(tag_for_keyword(keyword)) in TEXT_VRS, keyword
    for keyword in (*one.others, *FILE_META):
        assert dictionary_VR(tag_for_keyword(keyword)) not in TEXT_VRS, keyword
    assert one.empty <= one.others
    assert one.required <= one.others | one.forms.keys()


@pytest.mark.parametrize("one", RULES)
def test_every_sequence_of_codes_has_a_list(one):
    coded = {keyword for keyword in one.others if keyword.endswith("CodeSequence")}
    assert one.codes.keys() == coded | {"PrimaryAnatomicStructureSequence"}


@pytest.mark.parametrize("plain", PLAIN)
def test_a_plain_value_has_no_form_but_where_something_was_given(plain):
    public = {k for k, form in forms_of("public", CLAIMS).items() if form(plain)}
    counted = {"NumberOfFrames"}  # compared with the frames
    numbers = counted | MEASURES if plain == "66177" else counted
    assert public <= numbers
    research = {k for k, form in forms_of("research", ()).items() if form(plain)}
    assert {k for k in research - numbers if not k.startswith("ClinicalTrial")} == set()
    kept = {k for code in RETAINED.values() for k, form in code.items() if form is ANYTHING}
    dates = {"StudyDate", "ContentDate", "AcquisitionDateTime", "DateOfLastCalibration"}
    retained = {k for k, form in forms_of("research", CLAIMS).items() if form(plain)}
    assert retained - research <= kept | (dates if plain.startswith("1957") else set())
    assert {k for k, form in META_FORMS.items() if form(plain)} == set()


VERSIONS = (
    *("0.1.0", "0.2.0.dev1+g1234", "1.0.0+deb", "2026.11.28", "0.2.0a1.dev20261128"),
    *("0.2.0-rc.1", "0.2.0-alpha", "1.0rc1.post2.dev3", "12.10.0b2", "1.0.post1"),
)
SAMPLES = {
    "UI": [f"2.25.{(8 << 76) + (2 << 62)}", "2.25.13191988685741552390534488482878093868"],
    "SoftwareVersions": [f"coverslip {version}" for version in VERSIONS],
    "DeidentificationMethod": [
        f"policy sha256:{'0f' * 8}",
        *(f"coverslip {v} profile={profile}" for v in VERSIONS for profile in Profile),
    ],
    "SeriesNumber": ["1", "42", "9999"],
    "OpticalPathIdentifier": ["1", "12", "999"],
    "OpticalPathDescription": [
        *("Channel 1", "Channel 999", "DAPI", "Hoechst 33342", "EGFP", "Cy5.5", "Opal Polaris 780"),
        *("ATTO 488", "DyLight 650", "Spectrum Aqua", "Alexa Fluor 647", "Texas Red"),
    ],
    "SpacingBetweenSlices": ["0.001", "0.00025", "0.000025", "5e-05", "2.5e-06"],
    "DeviceSerialNumber": ["REMOVED", pseudonym_of(PseudonymKind("D"), bytes(8))],
    **{
        keyword: [pseudonym_of(PseudonymKind(kind), bytes(range(n, n + 8))) for n in (0, 100)]
        for keyword, kind in {
            **{"PatientID": "P", "ClinicalTrialSubjectID": "P", "AccessionNumber": "A"},
            **{"ContainerIdentifier": "C", "LabelText": "C", "BarcodeValue": "C"},
            **{"SpecimenIdentifier": "S", "TextValue": "S"},
        }.items()
    },
}
"""Texts that the writer's patterns let pass, by keyword or VR."""
SAMPLES["PatientName"] = [f"{one}^" for one in SAMPLES["PatientID"]]


@pytest.mark.parametrize("profile", Profile)
def test_what_the_patterns_of_the_writer_let_pass_may_be_there(profile):
    judges = [one for one in RULES if one.profile == profile]
    for path, rule in rules().items():
        keyword, vr = path.rpartition(".")[2], dictionary_VR(rule.tag)
        pattern = rule.patterns.get(profile)
        if (
            rule.actions[profile] in "XZ"
            or vr not in TEXT_VRS
            or not pattern
            or not pattern.pattern
        ):
            continue
        samples = SAMPLES.get(keyword) or SAMPLES[vr]
        passed = [one for one in samples if pattern.fullmatch(one)]
        assert passed, path
        for text in passed:
            assert any(one.forms[keyword](text) for one in judges if keyword in one.forms), path


@pytest.mark.parametrize("profile", Profile)
def test_numbers_that_the_writer_may_write_may_be_there(profile):
    for path, rule in rules().items():
        keyword, vr = path.rpartition(".")[2], dictionary_VR(rule.tag)
        if vr in TEXT_VRS or rule.actions[profile] == "X" or keyword not in NUMBERS:
            continue
        if keyword == "RecommendedAbsentPixelCIELabValue":
            assert NUMBERS[keyword](tuple(WHITE))
            assert NUMBERS[keyword](tuple(BLACK))
            continue
        for value in rule.values.get(profile, ()):
            number = int(value.translate(HEX), 16) if vr == "AT" else int(value)
            assert NUMBERS[keyword]((number,)), path


@pytest.mark.parametrize("version", VERSIONS)
def test_any_version_may_have_made_an_instance(version):
    dataset = Dataset()
    dataset.ContributingEquipmentSequence = [Dataset()]
    dataset.ContributingEquipmentSequence[0].SoftwareVersions = f"coverslip {version}"
    assert META_FORMS["ImplementationVersionName"](part10._version_name(dataset))
    assert forms_of("public", ())["SoftwareVersions"](f"coverslip {version}")


@pytest.mark.parametrize(
    "text", ["Doe", "B22-66177", "2266177", "66177", "1", "0.1.0 Doe", "19570423"]
)
def test_what_is_no_version_has_not_made_an_instance(text):
    assert not forms_of("public", ())["SoftwareVersions"](f"coverslip {text}")
    assert not META_FORMS["ImplementationVersionName"](f"COVERSLIP_{text.upper()}")


@pytest.mark.parametrize("ratio", [0.004, 0.5, 1, 12.345, 999999.99, 999999.999, 2266177.0, 3e11])
def test_any_ratio_may_be_there_and_none_is_seven_digits(ratio):
    text = modules._ratio(ratio)
    assert forms_of("public", ())["LossyImageCompressionRatio"](text)
    assert float(text) == pytest.approx(ratio, rel=1e-3, abs=0.005)


def test_a_uid_that_was_given_counts_as_given():
    assert "DeviceUID" in rules_of("research", frozenset(["113109"])).given
    assert "DeviceUID" not in rules_of("research", frozenset()).given


@pytest.mark.parametrize("profile", Profile)
def test_what_the_writer_may_write_may_be_there(profile):
    judges = [one for one in RULES if one.profile == profile]
    for path, rule in rules().items():
        *parents, keyword = path.split(".")
        if rule.actions[profile] in "XZ" or dictionary_VR(rule.tag) not in TEXT_VRS:
            continue
        forms = [one.forms[keyword] for one in judges if keyword in one.forms]
        for value in rule.values.get(profile, ()):
            assert any(form(value) for form in forms), path
        codes = judges[0].codes.get(".".join(parents[-1:]))
        if codes is not None:
            part = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning").index(keyword)
            known = {triple[part] for triple in codes}
            assert rule.values[profile] <= known, path


def test_both_lists_of_scanners_are_the_same():
    for keyword, listed in (
        ("Manufacturer", scanners.MANUFACTURERS),
        ("ManufacturerModelName", scanners.MODELS),
    ):
        assert rules()[keyword].values[Profile.PUBLIC] == listed


@pytest.mark.parametrize(
    ("uid", "is_one"),
    [
        ("2.25.13191988685741552390534488482878093868", True),
        ("2.25.2266177", False),
        ("2.25.0", False),
        (f"2.25.{2**128 + (4 << 76) + (2 << 62)}", False),
        (f"2.25.{(8 << 76) + (2 << 62)}", True),
        (f"2.25.{(1 << 76) + (2 << 62)}", False),
        ("1.2.276.0.7230010.3.7.40717", False),
        ("1.2.840.10008.2266177", False),
    ],
)
def test_a_uid_is_a_random_one(uid, is_one):
    assert bool(forms_of("public", ())["StudyInstanceUID"](uid)) == is_one


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *(("COVERSLIP_0.1.0", True), ("COVERSLIP_1.12.3", True), ("COVERSLIP_0.1.0D", True)),
        *(("COVERSLIP_1.0RC1", True), ("COVERSLIP_SMITH", False), ("COVERSLIP_1SMITH", False)),
        ("COVERSLIP_0.1.0.1.0", False),
    ],
)
def test_name_of_the_version_is_that_of_a_version(name, is_one):
    assert bool(META_FORMS["ImplementationVersionName"](name)) == is_one


@pytest.mark.parametrize(
    ("age", "is_one"), [("089Y", True), ("090Y", True), ("091Y", False), ("900M", True)]
)
def test_an_age_that_was_retained_is_grouped(age, is_one):
    assert bool(forms_of("research", ["113108"])["PatientAge"](age)) == is_one


def test_a_code_of_another_sequence_does_not_belong_there():
    public, research = triples_of("public"), triples_of("research")
    dates = ("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option")
    assert dates in research["DeidentificationMethodCodeSequence"]
    assert dates not in public["DeidentificationMethodCodeSequence"]
    stain = ("12710003", "SCT", "hematoxylin stain")
    assert stain in public["ConceptCodeSequence"]
    assert stain not in public["PrimaryAnatomicStructureSequence"]


@given(st.sampled_from(PseudonymKind), st.binary(min_size=8, max_size=8), st.integers(2, 14))
def test_a_pseudonym_has_its_check_character(kind, drawn, at):
    keyword = {"P": "PatientID", "A": "AccessionNumber", "C": "ContainerIdentifier"}
    keyword |= {"S": "SpecimenIdentifier", "D": "DeviceSerialNumber"}
    form = forms_of("research", ())[keyword[kind]]
    text = pseudonym_of(kind, drawn)
    assert form(text)
    other = "0" if text[at] != "0" else "1"
    assert not form(text[:at] + other + text[at + 1 :])
    assert not form("X" + text[1:])
