"""What values may be, and that these tables and the writer's agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from coverslip.deid.uids import PseudonymKind, pseudonym_of
from coverslip.dicom.allowlist import rules
from coverslip.model import Profile
from coverslip.verification import scanners
from coverslip.verification.attributes import FILE_META, rules_of
from coverslip.verification.coded import triples_of
from coverslip.verification.elements import TEXT_VRS
from coverslip.verification.forms import ANYTHING, RETAINED, forms_of
from coverslip.verification.forms import FILE_META as META_FORMS

PLAIN = ("Jane Doe", "Doe^Jane", "B22-66177", "SMITH", "biopsy", "19570423", "2266177", "66177")
CLAIMS = frozenset(code for codes in RETAINED for code in codes)
RULES = [
    rules_of("public", CLAIMS),
    rules_of("research", frozenset()),
    rules_of("research", CLAIMS),
    *(rules_of("research", frozenset(codes)) for codes in RETAINED),
    rules_of("care", frozenset()),
]
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
