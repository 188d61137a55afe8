"""Philips TIFF: what the laws of every format do not ask."""

import numpy as np
import openslide
import pytest
import tifffile

import coverslip
from coverslip.deid.metadata import read_metadata
from coverslip.deid.pixels.mask import PAINT
from coverslip.model import ItemKind, Role
from tests.formats.findings import check_every_text_is_found, items_of
from tests.interop import readers
from tests.synth import build_philips
from tests.synth.overview import draw_overview


@pytest.mark.parametrize("missing", [(), ((0, 3), (1, 0))], ids=["whole", "sparse"])
def test_openslide_believes_the_built_slides(missing, tmp_path):
    built = build_philips(tmp_path, 1, missing=missing)
    with openslide.OpenSlide(built.path) as shown:
        assert shown.properties["openslide.vendor"] == "philips"
        assert set(shown.associated_images) == {"label", "macro"}
        assert shown.level_dimensions == tuple(
            (level.width, level.length) for level in built.levels
        )
        for number, level in enumerate(built.levels):
            size = (level.width, level.length)
            region = shown.read_region((0, 0), number, size)
            seen = np.asarray(region)[..., 3] > 0
            pixels = np.asarray(region)[..., :3][seen].astype(int)
            assert np.abs(pixels - level.rgb[seen]).mean() < 2.5


def test_tifffile_knows_the_format(tmp_path):
    with tifffile.TiffFile(build_philips(tmp_path, 2).path) as other:
        assert other.is_philips


def test_levels_have_their_true_size_and_no_tiles_of_padding(tmp_path):
    built = build_philips(tmp_path, 3, surplus=True)
    slide = coverslip.open(built.path)
    for level, truth in zip(slide.levels, built.levels, strict=True):
        assert (level.image_width, level.image_length) == (truth.width, truth.length)
        assert level.tiles.across == -(-truth.width // truth.tile)
    assert slide.spacing.row_mm == pytest.approx(built.mpp_um / 1000)


def test_slide_without_the_spacing_of_each_level_is_refused(tmp_path):
    with pytest.raises(coverslip.SourceError, match="1 pixel spacings for 3 levels"):
        coverslip.open(build_philips(tmp_path, 4, spacings=False).path)


@pytest.mark.parametrize("scans", [0, 2])
def test_slide_with_another_number_of_scans_is_refused(scans, tmp_path):
    with pytest.raises(coverslip.SourceError, match=f"describes {scans} whole-slide images"):
        coverslip.open(build_philips(tmp_path, 5, scans=scans).path)


def test_roles_come_from_the_descriptions(tmp_path):
    slide = coverslip.open(build_philips(tmp_path, 6).path)
    assert [image.role for image in slide.associated_images] == [Role.LABEL, Role.OVERVIEW]


def test_pictures_in_the_xml_are_findings_with_and_without_their_directories(tmp_path):
    for directories in (True, False):
        folder = tmp_path / str(directories)
        folder.mkdir()
        built = build_philips(folder, 7, directories=directories)
        pictures = [item for item in items_of(built) if item.kind is ItemKind.PICTURE]
        assert len(pictures) == 2


@pytest.mark.parametrize("directories", [True, False])
def test_pictures_go_out_as_openslide_shows_them_wherever_they_are(directories, tmp_path):
    built = build_philips(tmp_path, 8, directories=directories, levels=1)
    (tmp_path / "given.csv").write_text("file,patient_id\n*,MRN-7719204\n")
    given = coverslip.Custody(metadata=read_metadata(tmp_path / "given.csv"))
    policy = coverslip.Policy(profile="care")
    result = coverslip.convert(built.path, tmp_path / "out", policy=policy, custody=given)
    with openslide.OpenSlide(built.path) as shown:
        truths = [shown.associated_images[name].convert("RGB") for name in ("label", "macro")]
    for instance, truth in zip(result.instances[1:], truths, strict=True):
        (pixels,) = readers.by_pydicom(instance.path, "pylibjpeg")
        assert pixels.shape[1::-1] == truth.size
        assert np.abs(pixels.astype(int) - np.asarray(truth)).mean() < 2
    places = {f.place for f in coverslip.open(built.path).findings if f.kind is ItemKind.PICTURE}
    assert ("IFD 0 OVERVIEW" in places) != directories


def test_macro_in_the_xml_is_masked(tmp_path):
    glass = draw_overview(5, noise=1.0)
    built = build_philips(tmp_path, 9, directories=False, overview=glass.picture, levels=1)
    result = coverslip.convert(built.path, tmp_path / "out", overview="mask")
    (pixels,) = readers.by_pydicom(result.instances[-1].path, "pylibjpeg")
    assert (pixels[glass.label] == PAINT).all()
    fates = {
        count["fate"]: count["count"]
        for count in result.certificate["findings"]["by_kind_and_fate"]
        if count["kind"] == "picture"
    }
    # The label, and the texts that hold both.
    assert fates == {"masked": 1, "dropped": 3}


@pytest.mark.parametrize("data", ["!!!", "AAAA", "/9j/4AAQSkZJRg=="])
def test_picture_in_the_xml_that_cannot_be_read_is_dropped_with_a_note(data, tmp_path):
    built = build_philips(tmp_path, 10, directories=False, data=data, levels=1)
    result = coverslip.convert(built.path, tmp_path / "out", overview="mask")
    assert len(result.instances) == 1
    assert any("the overview was dropped" in note for note in result.notes)


def test_every_text_is_found_and_no_unknown_word_is_a_key(tmp_path):
    check_every_text_is_found(
        build_philips(tmp_path),
        ("PIM_DP_UFS_BARCODE", "PIIM_DP_SCANNER_OPERATOR_ID", "DICOM_ACQUISITION_DATETIME"),
        plain=("DICOM_PIXEL_SPACING", "PIM_DP_IMAGE_TYPE"),
    )


def test_spacing_that_is_next_to_nothing_is_none(tmp_path):
    slide = build_philips(tmp_path)
    data = slide.path.read_bytes()
    at = data.index(b"DICOM_PIXEL_SPACING")
    begin = data.index(b"&quot;" if b"&quot;" in data[at : at + 200] else b'"0', at)
    end = data.index(b"</Attribute>", begin)
    text = b'"1e-320" "1e-320"'
    assert len(text) <= end - begin
    slide.path.write_bytes(data[:begin] + text.ljust(end - begin) + data[end:])
    with pytest.raises(coverslip.SourceError, match="pixel spacings"):
        coverslip.open(slide.path)
