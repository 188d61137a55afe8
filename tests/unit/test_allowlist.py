import re

import pydicom.sr._concepts_dict
import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes

from coverslip.codes import codes as listed
from coverslip.deid import devices, scrub
from coverslip.dicom import modules, wsm
from coverslip.dicom.allowlist import Permit, enforce, rules
from coverslip.errors import PolicyError
from coverslip.model import OperatorText, Profile, SourceText
from tests.unit.builders import clean_metadata, instance_spec

CANARY = "ZACHARIAS^QUILLFEATHER"


@pytest.fixture
def dataset() -> Dataset:
    clean = clean_metadata()
    return wsm.build(clean, instance_spec(clean))


def test_tags_of_the_table_are_those_of_the_dictionary():
    for path, rule in rules().items():
        assert rule.tag == tag_for_keyword(path.rpartition(".")[2]), path


def test_table_has_only_the_words_it_explains():
    table = list(rules().values())

    assert {rule.type for rule in table} == {"1", "1C", "2", "3"}
    assert {action for rule in table for action in rule.actions.values()} == set("CDGKSUXYZ")
    assert all(set(rule.actions) == set(Profile) for rule in table)
    assert {rule.source for rule in table} == {
        *("constant", "package", "policy", "identity", "vocabulary"),
        *("geometry", "frames", "icc", "slide", "operator"),
    }


def test_each_parent_in_the_table_is_a_sequence_in_the_table():
    for path in rules():
        parent = path.rpartition(".")[0]
        assert not parent or dictionary_VR(rules()[parent].tag) == "SQ"


@pytest.mark.parametrize("profile", Profile)
def test_no_text_can_be_chosen_freely(profile):
    numbers = {"DS", "IS", "US", "UL", "SL", "FL", "OB", "SQ"}

    free = [
        path
        for path, rule in rules().items()
        if profile not in rule.values
        and profile not in rule.patterns
        and rule.actions[profile] not in "XZ"
    ]

    assert {dictionary_VR(rules()[path].tag) for path in free} <= numbers


def test_each_name_of_the_device_vocabulary_may_be_written():
    for manufacturer, model, _ in devices._MODELS:
        assert rules()["Manufacturer"].allows(manufacturer, Profile.PUBLIC)
        assert rules()["ManufacturerModelName"].allows(model, Profile.PUBLIC)
    for manufacturer, _ in devices._MANUFACTURERS:
        assert rules()["Manufacturer"].allows(manufacturer, Profile.PUBLIC)


def test_codes_that_may_be_written_are_those_that_are_claimed():
    allowed = rules()["DeidentificationMethodCodeSequence.CodeValue"].values

    assert allowed[Profile.PUBLIC] == {
        *(*scrub.CODES, scrub.CLEAN_PIXEL_DATA, scrub.CLEAN_STRUCTURED_CONTENT)
    }
    assert allowed[Profile.RESEARCH] == set(modules.CODE_MEANINGS)
    assert Profile.CARE not in allowed


@pytest.mark.parametrize("value", modules.CODE_MEANINGS)
def test_meanings_of_codes_are_those_of_dicom(value):
    meanings = {code.meaning for code in codes.cid7050.concepts.values() if code.value == value}

    assert meanings == {modules.CODE_MEANINGS[value]}


def test_codes_of_stains_and_organs_are_those_of_the_standard():
    concepts = pydicom.sr._concepts_dict.concepts["SCT"].values()
    known = {(value, entry[0]) for group in concepts for value, entry in group.items()}
    of_cid = {value for group in concepts for value, entry in group.items() if 8112 in entry[1]}

    assert set(listed("stains")) == of_cid
    for name in ("stains", "anatomy"):
        assert set(listed(name).items()) <= known


def built(profile, given):
    permit = Permit(profile=profile, given={k: OperatorText(v) for k, v in given.items()})
    dataset = Dataset()
    for path, value in given.items():
        setattr(dataset, path, value)
    return dataset, permit


@pytest.mark.parametrize(
    ("profile", "path", "value", "is_allowed"),
    [
        ("care", "PatientName", "MÜLLER^ÅSE", True),
        ("research", "PatientName", CANARY, False),
        ("public", "PatientName", CANARY, False),
        ("care", "PatientBirthDate", "19570423", True),
        ("research", "PatientBirthDate", "19570423", False),
        ("research", "StudyDate", "20120517", True),
        ("public", "StudyDate", "20120517", False),
        ("public", "AcquisitionDateTime", "20120101000000", True),
        ("public", "AcquisitionDateTime", "20120517000000", False),
        ("care", "AccessionNumber", "B22-12345", True),
        ("research", "AccessionNumber", "B22-12345", False),
        ("research", "ContainerIdentifier", "B22-12345", False),
        ("public", "InstitutionName", CANARY, False),
        ("public", "PatientAge", "057Y", False),
        ("research", "PatientAge", "057Y", True),
        ("care", "ReferringPhysicianName", CANARY, True),
        ("research", "ReferringPhysicianName", CANARY, False),
        ("care", "StudyDescription", CANARY, True),
        ("research", "StudyDescription", CANARY, False),
        ("public", "StudyDescription", CANARY, False),
        ("care", "ClinicalTrialSponsorName", CANARY, False),
        ("research", "ClinicalTrialSponsorName", CANARY, True),
        ("public", "ClinicalTrialSponsorName", CANARY, False),
        ("care", "ConsultingPhysicianName", CANARY, False),
        ("public", "StudyTime", "143107", False),
        ("research", "StudyTime", "143107", False),
        ("care", "StudyTime", "143107", True),
    ],
)
def test_text_of_the_operator_goes_where_the_profile_lets_it(profile, path, value, is_allowed):
    dataset, permit = built(Profile(profile), {path: value})

    if is_allowed:
        enforce(dataset, permit)
    else:
        with pytest.raises(PolicyError, match="may not be written"):
            enforce(dataset, permit)


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("path", ["PatientName", "PatientID", "AccessionNumber", "StudyDate"])
def test_text_that_the_operator_did_not_give_for_it_is_refused(profile, path):
    dataset, _ = built(profile, {path: "20120517"})
    permit = Permit(profile=profile, given={"ContainerIdentifier": OperatorText("20120517")})

    with pytest.raises(PolicyError, match="value that may not be written"):
        enforce(dataset, permit)


def test_what_we_build_is_allowed(dataset):
    enforce(dataset)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", CANARY),
        ("PatientID", "B22-12345"),
        ("PatientBirthDate", "19570423"),
        ("PatientSex", "F"),
        ("StudyDate", "20230517"),
        ("StudyDate", "19700101"),
        ("StudyTime", "114207"),
        ("ContentDate", "20230517"),
        ("ContentTime", "114207"),
        ("AcquisitionDateTime", "20230517114207"),
        ("AccessionNumber", "B22-12345"),
        ("PatientIdentityRemoved", "NO"),
        ("LongitudinalTemporalInformationModified", "UNMODIFIED"),
        ("DeidentificationMethod", CANARY),
        ("DeidentificationMethod", ["coverslip 0.1.0 profile=public", CANARY]),
        ("DeviceSerialNumber", "SS7731"),
        ("SoftwareVersions", "Image Library v12.0.15"),
        ("Manufacturer", CANARY),
        ("ManufacturerModelName", "GT450 of Dr Smith"),
        ("StudyInstanceUID", "1.2.840.113619.2.1"),
        ("SOPInstanceUID", "2.25.1.2"),
        ("ContainerIdentifier", "S22-12345;A1"),
        ("SpecimenLabelInImage", "YES"),
        ("ReferringPhysicianName", CANARY),
        ("StudyID", "42"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]),
    ],
)
def test_value_that_the_table_does_not_allow_is_refused(dataset, keyword, value):
    setattr(dataset, keyword, value)

    with pytest.raises(PolicyError, match="value that may not be written") as raised:
        enforce(dataset)

    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImageComments", CANARY),
        ("StudyDescription", CANARY),
        ("SeriesDate", "19000101"),
        ("InstitutionName", CANARY),
        ("OperatorsName", CANARY),
        ("LabelText", CANARY),
        ("BarcodeValue", CANARY),
        ("SpecificCharacterSet", "ISO_IR 192"),
        ("ICCProfile", b"\0\0"),
        ("CodeValue", "113100"),
    ],
)
def test_attribute_that_is_not_listed_there_is_refused(dataset, keyword, value):
    setattr(dataset, keyword, value)

    with pytest.raises(PolicyError, match="may not be written at the top level"):
        enforce(dataset)


def test_attribute_in_the_wrong_sequence_is_refused(dataset):
    dataset.OpticalPathSequence[0].PatientID = dataset.PatientID

    with pytest.raises(PolicyError, match=r"\(0010,0020\) may not be written at OpticalPathS"):
        enforce(dataset)


def test_value_in_a_nested_item_is_checked(dataset):
    dataset.OpticalPathSequence[0].IlluminationTypeCodeSequence[0].CodeMeaning = CANARY

    with pytest.raises(PolicyError, match=r"at OpticalPathSequence\.IlluminationTypeC"):
        enforce(dataset)


@pytest.mark.parametrize("tag", [0x00090010, 0x00091001, 0x00101234, 0x00080000, 0x60000022])
def test_private_and_unknown_attributes_are_refused(dataset, tag):
    dataset.add_new(tag, "LO", CANARY)

    with pytest.raises(PolicyError, match=r"private or unknown|may not be written"):
        enforce(dataset)


def test_sequence_that_must_be_empty_may_not_have_items(dataset):
    item = Dataset()
    specimen = dataset.SpecimenDescriptionSequence[0]
    specimen.IssuerOfTheSpecimenIdentifierSequence = Sequence([item])

    with pytest.raises(PolicyError, match="must be empty at SpecimenDescriptionSequence"):
        enforce(dataset)


def test_representation_that_hides_a_value_is_refused(dataset):
    dataset.add_new("PatientID", "LT", CANARY)

    with pytest.raises(PolicyError, match="representation"):
        enforce(dataset)


@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize("number", ["0.00025130000000001", "123456789012345678"])
def test_decimal_string_of_more_than_sixteen_characters_is_refused(dataset, number):
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.PixelSpacing = [number, "0.0003"]

    with pytest.raises(PolicyError, match=r"\(0028,0030\)"):
        enforce(dataset)


@pytest.mark.filterwarnings("ignore:A value of type 'SourceText'")
@pytest.mark.parametrize(
    "keyword", ["PatientID", "PatientName", "StudyDate", "Rows", "InstanceNumber"]
)
def test_sealed_text_never_gets_as_far_as_a_file(dataset, keyword):
    def put_and_enforce():
        setattr(dataset, keyword, SourceText(CANARY))
        enforce(dataset)

    with pytest.raises((PolicyError, TypeError, ValueError, AttributeError)) as raised:
        put_and_enforce()

    assert CANARY not in str(raised.value)


@pytest.mark.filterwarnings("ignore:A value of type 'str'")
def test_text_cannot_pass_for_a_number(dataset):
    dataset.Rows = CANARY

    with pytest.raises(PolicyError, match=r"\(0028,0010\)"):
        enforce(dataset)


def test_pseudonym_of_another_kind_is_refused(dataset):
    assert re.fullmatch("C-.{13}", dataset.ContainerIdentifier)
    dataset.PatientID = dataset.ContainerIdentifier

    with pytest.raises(PolicyError, match=r"\(0010,0020\)"):
        enforce(dataset)
