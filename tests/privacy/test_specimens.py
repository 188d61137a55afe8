"""What is said of a specimen: codes of closed lists, and where it lies."""

import pytest

import coverslip
from tests.interop import readers
from tests.privacy.given import GIVEN, KEY, codes_of, convert, custody, header
from tests.synth import build_svs


@pytest.mark.parametrize(
    ("profile", "options", "has_organ"),
    [
        ("care", {}, True),
        ("research", {}, True),
        ("research", {"anatomy": "drop"}, False),
        ("public", {}, False),
        ("public", {"anatomy": "keep"}, True),
    ],
)
def test_stain_and_organ_are_codes(profile, options, has_organ, slide, tmp_path, tool):
    given = custody(tmp_path, key=None, stains="H&E", anatomy="76752008")
    result = convert(slide, tmp_path / "out", profile, given, **options)

    dataset = header(result)
    specimen = dataset.SpecimenDescriptionSequence[0]
    (step,) = specimen.SpecimenPreparationSequence
    identifier, *coded = step.SpecimenPreparationStepContentItemSequence
    assert identifier.TextValue == specimen.SpecimenIdentifier
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in coded] == [
        *("Staining", "hematoxylin stain", "water soluble eosin stain")
    ]
    assert ("PrimaryAnatomicStructureSequence" in specimen) == has_organ
    if profile != "care":
        assert "113104" in codes_of(dataset)
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []


@pytest.mark.parametrize("profile", ["care", "research", "public"])
def test_fixative_and_embedding_are_codes_of_a_step_of_their_own(profile, slide, tmp_path, tool):
    given = custody(
        tmp_path,
        key=None,
        stains="H&E",
        fixative="434162003",
        embedding="311731000",
        specimen_type="430856003",
    )
    result = convert(slide, tmp_path / "out", profile, given)

    dataset = header(result)
    specimen = dataset.SpecimenDescriptionSequence[0]
    said = [
        [
            (item.ConceptNameCodeSequence[0].CodeMeaning, item.ConceptCodeSequence[0].CodeValue)
            for item in step.SpecimenPreparationStepContentItemSequence
            if item.ValueType == "CODE"
        ]
        for step in specimen.SpecimenPreparationSequence
    ]
    processing = ("Processing type", "9265001")
    assert said[0] == [
        processing,
        ("Tissue Fixative", "434162003"),
        ("Embedding medium", "311731000"),
    ]
    assert said[1][0] == ("Processing type", "127790008")
    assert ("SpecimenTypeCodeSequence" in specimen) == (profile != "public")
    if profile != "care":
        assert "113104" in codes_of(dataset)
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []
    given = list(GIVEN.values())
    assert coverslip.verify(tmp_path / "out", slide.path, given=given).is_clean


def test_fixative_is_read_by_others_as_one(slide, tmp_path):
    import wsidicom
    from highdicom.content import SpecimenDescription

    given = custody(tmp_path, fixative="434162003", embedding="311731000", stains="H&E")
    result = convert(slide, tmp_path / "out", "research", given)
    (described,) = header(result).SpecimenDescriptionSequence
    processing, staining = SpecimenDescription.from_dataset(described).specimen_preparation_steps
    assert processing.fixative.value == "434162003"
    assert processing.embedding_medium.value == "311731000"
    assert len(staining.processing_procedure.substances) == 2
    with wsidicom.WsiDicom.open(result.instances[0].path.parent) as opened:
        assert opened.metadata.slide is not None


@pytest.mark.parametrize("profile", ["care", "research", "public"])
def test_where_a_specimen_lies_is_a_text_that_others_read(profile, slide, tmp_path):
    from highdicom.content import SpecimenDescription

    given = custody(tmp_path, KEY if profile != "public" else None)
    result = convert(slide, tmp_path / "out", profile, given)
    (described,) = header(result).SpecimenDescriptionSequence
    location = SpecimenDescription.from_dataset(described).specimen_location
    assert location == (GIVEN["specimen_location"] if profile == "care" else None)


def test_slide_that_says_the_name_of_that_item_itself_is_no_alarm(tmp_path):
    slide = build_svs(tmp_path, levels=1, size=(200, 200))
    data = slide.path.read_bytes()
    at = data.index(b"|Parmset = ") + 2
    end = data.index(b"|", at)
    row = b"x = Location of Specimen"[: end - at]
    slide.path.write_bytes(data[:at] + row + data[at + len(row) :])
    convert(slide, tmp_path / "out", "care", custody(tmp_path))
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert [str(one) for one in report.found] == []
