"""Labels and overviews beside the levels: drawn ones, and under care the slide's own."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import zxingcpp

import coverslip
from coverslip.deid.custody import Custody
from coverslip.deid.metadata import read_metadata
from coverslip.deid.policy import Policy
from coverslip.errors import PolicyError, VerificationError
from coverslip.model import AssociatedImage, Role
from tests.conftest import SLIDES
from tests.interop import readers
from tests.interop.validator import validator_findings
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS, build_generic, build_svs
from tests.synth.overview import draw_overview

GLASS = draw_overview(5, noise=1.0)


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return build_svs(tmp_path_factory.mktemp("slide"), overview=GLASS.picture)


def custody(folder):
    table = folder / "table.csv"
    table.write_text("file,patient_id,container_identifier\n*,MRN-7719204,B22-66177-A-3\n")
    return Custody(metadata=read_metadata(table))


def instances_by_role(result):
    datasets = [pydicom.dcmread(instance.path) for instance in result.instances]
    return {dataset.ImageType[2]: dataset for dataset in datasets}


@pytest.mark.parametrize("profile", ["public", "research"])
def test_substitute_shows_the_pseudonym_and_nothing_of_the_slide(profile, slide, tmp_path, tool):
    policy = Policy(profile=profile, label="substitute")
    result = coverslip.convert(slide.path, tmp_path / "out", policy=policy)

    label = instances_by_role(result)["LABEL"]
    pixels = readers.by_pydicom(result.instances[-1].path, "pylibjpeg")[0]
    codes = zxingcpp.read_barcodes(np.ascontiguousarray(pixels))
    assert [code.text for code in codes] == [label.ContainerIdentifier]
    assert label.ContainerIdentifier == result.certificate["slide_pseudonym"]
    assert list(label.ImageType) == ["DERIVED", "PRIMARY", "LABEL", "NONE"]
    assert (label.SpecimenLabelInImage, label.BurnedInAnnotation) == ("YES", "NO")
    assert (label.LabelText, label.BarcodeValue) == (label.ContainerIdentifier,) * 2
    assert "PyramidUID" not in label
    assert (
        survivors(
            [text for text in slide.identifiers if len(text) >= 5], places_of(tmp_path / "out")
        )
        == set()
    )
    assert coverslip.verify(tmp_path / "out", source=slide.path).is_clean
    for instance in result.instances:
        assert validator_findings(instance.path, slide, tool("dciodvfy")) == []


def test_readers_show_the_substitute_as_the_label(slide, tmp_path):
    import openslide
    import wsidicom

    result = coverslip.convert(slide.path, tmp_path / "out", label="substitute")
    pixels = readers.by_pydicom(result.instances[-1].path, "gdcm")[0]
    with openslide.OpenSlide(result.instances[0].path) as opened:
        shown = np.asarray(opened.associated_images["label"].convert("RGB"))
    assert np.array_equal(shown, pixels)
    with wsidicom.WsiDicom.open(result.instances[0].path.parent) as opened:
        assert np.array_equal(np.asarray(opened.read_label().convert("RGB")), pixels)


def test_slide_without_a_label_gets_a_substitute_too(tmp_path):
    slide = build_generic(tmp_path)
    result = coverslip.convert(slide.path, tmp_path / "out", label="substitute")

    assert result.frames.picture == 1


def test_care_writes_label_and_overview_as_they_are(slide, tmp_path, tool):
    policy = Policy(profile="care")
    given = custody(tmp_path)
    result = coverslip.convert(slide.path, tmp_path / "out", policy=policy, custody=given)

    found = instances_by_role(result)
    assert set(found) == {"VOLUME", "LABEL", "OVERVIEW"}
    for role in ("LABEL", "OVERVIEW"):
        assert found[role].ImageType[0] == "ORIGINAL"
        assert (found[role].SpecimenLabelInImage, found[role].BurnedInAnnotation) == ("YES", "YES")
        assert found[role].ContainerIdentifier == "B22-66177-A-3"
    assert (found["LABEL"].LabelText, found["LABEL"].BarcodeValue) == ("", "")
    overview = readers.by_pydicom(result.instances[-1].path, "pylibjpeg")[0]
    assert np.abs(overview.astype(int) - GLASS.picture).mean() < 6  # the source is JPEG
    assert zxingcpp.read_barcodes(np.ascontiguousarray(overview))
    fates = {
        (count["kind"], count["fate"]): count["count"]
        for count in result.certificate["findings"]["by_kind_and_fate"]
    }
    assert fates["picture", "kept"] == 2
    for instance in result.instances:
        assert validator_findings(instance.path, slide, tool("dciodvfy")) == []


@pytest.mark.parametrize(("label", "compression"), [("jpeg", 7), ("lzw", 5)])
def test_label_that_care_keeps_is_the_slide_s_pixel_for_pixel(label, compression, tmp_path):
    import tifffile

    slide = build_svs(tmp_path, label=label)
    policy = Policy(profile="care", overview="drop")
    given = custody(tmp_path)
    result = coverslip.convert(slide.path, tmp_path / "out", policy=policy, custody=given)

    (image,) = (i for i in coverslip.open(slide.path).associated_images if i.role == "LABEL")
    with tifffile.TiffFile(slide.path) as tiff:
        source = tiff.pages[image.ifd].asarray()
        assert tiff.pages[image.ifd].compression == compression
    assert np.array_equal(readers.by_pydicom(result.instances[-1].path, "pylibjpeg")[0], source)


@pytest.mark.parametrize("profile", ["public", "research"])
@pytest.mark.parametrize("picture", ["label", "overview"])
def test_no_other_profile_keeps_a_picture(profile, picture):
    with pytest.raises(PolicyError, match="keeps no label"):
        Policy(profile=profile, **{picture: "keep"})


def test_writer_refuses_a_scanned_label_whatever_the_policy_says():
    from coverslip.dicom import wsm
    from tests.unit import builders

    clean = builders.clean_metadata()
    spec = builders.overview_spec(clean)
    wsm.build(clean, spec)
    with pytest.raises(ValueError, match="under the profile care only"):
        wsm.build(clean, replace(spec, is_as_scanned=True))


def test_verification_finds_a_bar_code_that_is_not_the_pseudonym(slide, tmp_path, monkeypatch):
    from coverslip import assembly
    from coverslip.deid.pixels.substitute import draw_label

    monkeypatch.setattr(assembly, "draw_label", lambda _: draw_label("B22-66177-A-3"))
    with pytest.raises(VerificationError, match="a bar code that is not"):
        coverslip.convert(slide.path, tmp_path / "out", label="substitute")
    assert not (tmp_path / "out").exists()


def test_substitute_under_care_says_the_identifier_that_was_given(slide, tmp_path, tool):
    policy = Policy(profile="care", label="substitute", overview="drop")
    given = custody(tmp_path)
    result = coverslip.convert(slide.path, tmp_path / "out", policy=policy, custody=given)

    label = instances_by_role(result)["LABEL"]
    assert (label.LabelText, label.BarcodeValue) == ("B22-66177-A-3",) * 2
    assert validator_findings(result.instances[-1].path, slide, tool("dciodvfy")) == []


@pytest.mark.parametrize("keyword", ["LabelText", "BarcodeValue"])
@pytest.mark.parametrize("value", ["", "B22-66177-A-3", "C-0000000000000", "as shown, and more"])
def test_verification_accepts_nothing_but_the_identifier_as_a_label_s_text(
    keyword, value, slide, tmp_path
):
    result = coverslip.convert(slide.path, tmp_path / "out", label="substitute")
    path = result.instances[-1].path
    assert coverslip.verify(tmp_path / "out").is_clean

    label = pydicom.dcmread(path)
    shown = label.ContainerIdentifier
    setattr(label, keyword, value.replace("as shown", shown))
    label.save_as(path)

    tag = {"LabelText": "(2200,0002)", "BarcodeValue": "(2200,0005)"}[keyword]
    found = [(s.place, s.what) for s in coverslip.verify(tmp_path / "out").found]
    assert (tag, "it is not what the label shows") in found


@pytest.mark.parametrize("keyword", ["LabelText", "BarcodeValue"])
def test_verification_accepts_no_label_s_text_in_a_level(keyword, slide, tmp_path):
    result = coverslip.convert(slide.path, tmp_path / "out")
    path = result.instances[0].path
    level = pydicom.dcmread(path)
    setattr(level, keyword, level.ContainerIdentifier)
    level.save_as(path)
    assert "it must be empty" in {s.what for s in coverslip.verify(tmp_path / "out").found}


@pytest.mark.parametrize("keyword", ["LabelText", "BarcodeValue"])
def test_writer_refuses_a_label_s_text_that_is_not_its_identifier(keyword):
    from coverslip.dicom import wsm
    from coverslip.dicom.allowlist import enforce
    from coverslip.model import Role
    from tests.unit import builders

    clean = builders.clean_metadata()
    spec = replace(builders.overview_spec(clean), role=Role.LABEL)
    dataset = wsm.build(clean, spec)
    enforce(dataset)
    setattr(dataset, keyword, "C-0000000000000")
    with pytest.raises(PolicyError, match="may not be written here"):
        enforce(dataset)


UNMARKED = ("generic", "ndpi", "argos", "indica", "trestle", "ventana")
"""Their slides tell of no picture that it is the label: the overview shows it, or nothing does."""
SUPPLEMENTAL = "scn-regions-unlike"


@pytest.mark.parametrize("name", FORMATS)
def test_label_is_known_only_where_the_slide_tells(name, built):
    images = coverslip.open(built(name).path).associated_images
    told = not name.startswith((*UNMARKED, "scn")) or name == SUPPLEMENTAL
    assert sum(image.is_known_label for image in images) == told
    assert all(image.role is Role.LABEL for image in images if image.is_known_label)


def test_third_party_label_may_be_anything():
    image = AssociatedImage(ifd=1, role=Role.LABEL, image_width=9, image_length=9)
    assert not image.is_recognised
    assert replace(image, role=Role.OVERVIEW).is_recognised
    assert replace(image, is_known_label=True).is_recognised


STRAYS = {
    "ndpi": (0, 1, 1),
    "svs-gt450": (1, 0, 1),
    "svs-lzw": (1, 1, 1),
    "scn-regions-unlike": (1, 1, 1),
    "ome-series-jfif": (1, 1, 1),
    "ventana-bif": (0, 1, 1),
    "argos": (0, 1, 1),
    "indica-colour": (0, 1, 0),
    "qptiff-bands": (1, 1, 1),
    "philips": (1, 0, 1),
}
"""How many labels, pictures that nothing recognises, and overviews a slide has."""


@pytest.mark.parametrize("name", STRAYS)
def test_care_writes_no_picture_as_a_label_that_is_not_known_to_be_one(name, tmp_path):
    labels, strays, overviews = STRAYS[name]
    slide = FORMATS[name](tmp_path)
    policy = Policy(profile="care", mpp_um=0.5, allow_pixel=True, allow_recode=90)
    result = coverslip.convert(
        slide.path, tmp_path / "out", policy=policy, custody=custody(tmp_path)
    )

    kinds = [
        pydicom.dcmread(i.path, stop_before_pixels=True).ImageType[2] for i in result.instances
    ]
    assert (kinds.count("LABEL"), kinds.count("OVERVIEW")) == (labels, overviews)
    fates = {
        (row["place"], row["fate"]): row["count"]
        for row in result.certificate["findings"]["by_place_and_fate"]
    }
    assert fates.get(("LABEL", "kept"), 0) == labels
    assert fates.get(("unrecognised picture", "dropped"), 0) == strays
    assert not {("LABEL", "dropped"), ("unrecognised picture", "kept")} & set(fates)
    assert any(f"{strays} unrecognised picture" in note for note in result.notes) == (strays > 0)
    assert any("no label was written" in note for note in result.notes) == (labels == 0)
    assert coverslip.verify(tmp_path / "out").is_clean


@pytest.mark.slides
def test_map_of_a_real_slide_is_no_label(tmp_path):
    path = SLIDES / "hamamatsu/test3-DAPI-2-(387).ndpi"
    policy = Policy(profile="care")
    result = coverslip.convert(path, tmp_path / "out", policy=policy, custody=custody(tmp_path))
    kinds = {
        pydicom.dcmread(i.path, stop_before_pixels=True).ImageType[2] for i in result.instances
    }
    assert kinds == {"VOLUME", "OVERVIEW"}
    assert "1 unrecognised picture, maybe the label, stayed behind" in result.notes
