import re
from dataclasses import replace

import numpy as np
import openslide
import pydicom
import pytest
import tifffile

import coverslip
from coverslip.cli.inspect import describe
from coverslip.formats.planes import light_notes
from coverslip.model import ItemKind, Role
from tests.formats.findings import check_every_text_is_found
from tests.synth import build_scn
from tests.synth.scn import FINER, TWO, Roi


def rewritten(built, old, new):
    """Replace a pattern in the XML by something of the same length."""
    data = built.path.read_bytes()
    found = re.search(old, data)
    assert found
    built.path.write_bytes(data.replace(found[0], new.ljust(len(found[0])), 1))
    return built.path


def test_openslide_shows_the_same_regions_in_the_same_places(tmp_path):
    built = build_scn(tmp_path, rois=TWO)
    opened = coverslip.open(built.path)
    with openslide.OpenSlide(built.path) as other:
        assert other.properties["openslide.vendor"] == "leica"
        assert other.level_count == 3
        assert "macro" in other.associated_images
        for region in range(2):
            said = [int(other.properties[f"openslide.region[{region}].{key}"])
                    for key in ("x", "y", "width", "height")]  # fmt: skip
            base = next(level for level in opened.levels if level.region == region)
            assert said[2:] == [base.image_width, base.image_length]
            truth = next(level for level in built.levels if level.region == region)
            shown = np.asarray(other.read_region(said[:2], 0, said[2:]).convert("RGB"))
            assert np.abs(shown.astype(int) - truth.rgb).mean() < 2.5
            # From the glass's left edge here, from its right in DICOM, where the label is up.
            x_mm, y_mm = opened.description.regions[region].corner_mm
            assert said[:2] == [round((26 - x_mm) * 2000), round(y_mm * 2000)]
        assert float(other.properties["openslide.mpp-x"]) == pytest.approx(0.5, rel=1e-3)


def test_tifffile_knows_the_format(tmp_path):
    built = build_scn(tmp_path, rois=TWO)
    with tifffile.TiffFile(built.path) as other:
        assert other.is_scn
        shapes = {tuple(level.shape[:2]) for one in other.series for level in one.levels}
    assert {(level.length, level.width) for level in built.levels} <= shapes


def test_roles_come_from_the_xml_and_not_from_the_order(tmp_path):
    slide = coverslip.open(build_scn(tmp_path, supplemental=True).path)
    assert [level.ifd for level in slide.levels] == [3, 2, 1]
    assert [(i.ifd, i.role) for i in slide.associated_images] == [
        (0, Role.OVERVIEW),
        (4, Role.LABEL),
    ]
    assert slide.description.notes == ()


def test_slide_without_an_overview_has_only_its_regions(tmp_path):
    slide = coverslip.open(build_scn(tmp_path, rois=TWO, macro=False, levels=2).path)
    assert [(level.ifd, level.region) for level in slide.levels] == [(1, 0), (0, 0), (3, 1), (2, 1)]
    assert slide.associated_images == ()


def test_directory_that_the_xml_does_not_name_is_a_label(tmp_path):
    slide = coverslip.open(build_scn(tmp_path, orphan=True).path)
    assert [image.role for image in slide.associated_images] == [Role.OVERVIEW, Role.LABEL]
    assert slide.description.notes == ("IFD 4 is no level of the pyramid: not written",)


def test_regions_lie_where_they_were_scanned(tmp_path):
    result = coverslip.convert(build_scn(tmp_path, rois=TWO).path, tmp_path / "out")
    bases = [instance for instance in result.instances if "NONE" in image_type(instance.path)]
    origins = [origin_mm(instance.path) for instance in bases]
    assert origins[0] == pytest.approx((22.0, 9.0), abs=0.001)
    assert origins[1] == pytest.approx((15.0, 31.3), abs=0.001)
    for instance in bases:
        dataset = pydicom.dcmread(instance.path, stop_before_pixels=True)
        assert dataset.ImageOrientationSlide == [-1, 0, 0, 0, 1, 0]
    assert any("series of its own" in note for note in result.notes)


def image_type(path):
    return pydicom.dcmread(path, stop_before_pixels=True).ImageType


def origin_mm(path):
    (origin,) = pydicom.dcmread(path, stop_before_pixels=True).TotalPixelMatrixOriginSequence
    return float(origin.XOffsetInSlideCoordinateSystem), float(
        origin.YOffsetInSlideCoordinateSystem
    )


def test_place_of_the_only_region_does_not_go_out(tmp_path):
    result = coverslip.convert(build_scn(tmp_path).path, tmp_path / "out")
    assert origin_mm(result.instances[0].path) == pytest.approx((25.0, 0.0), abs=0.001)


def test_regions_of_different_magnification_keep_their_own_spacing(tmp_path):
    built = build_scn(tmp_path, rois=FINER, levels=2)
    slide = coverslip.open(built.path)
    assert slide.description.objective_power is None
    result = coverslip.convert(built.path, tmp_path / "out", mpp_um=1.0)
    spacings = [
        float(
            pydicom.dcmread(instance.path, stop_before_pixels=True)
            .SharedFunctionalGroupsSequence[0]
            .PixelMeasuresSequence[0]
            .PixelSpacing[0]
        )
        for instance in result.instances
    ]
    # The user's word is about the first region; the others follow by the XML's proportions.
    assert spacings == pytest.approx([0.001, 0.002, 0.0005, 0.001], rel=1e-3)


@pytest.mark.parametrize(
    ("roi", "reason"),
    [
        (Roi(focal_planes=2), "distance of its focal planes"),
        (Roi(light="DOE^JANE"), "neither brightfield nor fluorescence"),
    ],
)
def test_planes_and_lights_that_are_not_known_are_refused(roi, reason, tmp_path):
    built = build_scn(tmp_path, rois=(Roi(), roi), levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError, match=reason) as raised:
        coverslip.open(built.path)
    assert "DOE" not in str(raised.value)


def test_light_that_is_not_named_is_taken_for_brightfield(tmp_path):
    slide = coverslip.open(build_scn(tmp_path, rois=(Roi(light=None),), levels=1).path)
    assert not slide.description.optical_paths[0].is_fluorescence


def test_tifffile_finds_the_same_planes_and_channels(tmp_path):
    roi = Roi(light="fluorescence", focal_planes=2, channels=3, spacing_z_nm=1500)
    built = build_scn(tmp_path, rois=(roi,), codec="jpeg_grey", levels=2)
    slide = coverslip.open(built.path)
    assert [level.optical_path for level in slide.levels] == [0, 0, 1, 1, 2, 2]
    assert {level.plane_distance_um for level in slide.levels} == {1.5}
    assert {image.role for image in slide.associated_images} == {Role.OVERVIEW}
    assert slide.description.notes == light_notes(slide.description.optical_paths)
    with tifffile.TiffFile(built.path) as other:
        series = max(other.series, key=lambda one: one.size)
        assert series.axes == "CZYX"
        for number, shown in enumerate(series.levels):
            for channel, planes in enumerate(shown.asarray()):
                level = built.levels[2 * channel + number]
                for pixels, plane in zip(planes, level.planes, strict=True):
                    assert np.abs(pixels.astype(int) - plane.rgb).mean() < 2


def test_regions_of_different_light_have_optical_paths_of_their_own(tmp_path):
    glowing = replace(TWO[1], light="fluorescence", channels=2)
    slide = coverslip.open(build_scn(tmp_path, rois=(TWO[0], glowing, TWO[0]), levels=1).path)
    assert [level.optical_path for level in slide.levels] == [0, 1, 2, 0]
    lights = [path.is_fluorescence for path in slide.description.optical_paths]
    assert lights == [False, True, True]


def test_inspect_says_which_region_a_level_shows(tmp_path):
    slide = coverslip.open(build_scn(tmp_path, rois=TWO, levels=2).path)
    described = describe(slide, slide.routes())
    assert [level["region"] for level in described["levels"]] == [0, 0, 1, 1]


def test_slide_without_a_scan_is_refused(tmp_path):
    built = build_scn(tmp_path, levels=1)
    path = rewritten(built, rb"<image name=(?:(?!offsetX=\"0\").)*?</image>", b"")
    with pytest.raises(coverslip.UnsupportedSlideError, match="no scan of it"):
        coverslip.open(path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (rb'ifd="3"', b'ifd="9"', "does not have"),
        (rb'ifd="3"', b'ifd=""', "does not have"),
        (rb'ifd="3"', b'ifd="1"', "another size"),
        (rb'sizeX="620" sizeY="470" r', b'sizeX="DOE" sizeY="470" r', "no numbers in sizeX"),
        (rb"<view [^>]*/>", b"", "without a view"),
        (rb"<dimension sizeX=.155.[^>]*/>.*?</pixels>", b"</pixels>", None),
        (rb"<pixels [^>]*>.*?</pixels>", b"", "without pixels"),
        (rb"<collection [^>]*>", b"<other>", "not well-formed"),
    ],
)
def test_xml_that_contradicts_itself_is_told(old, new, reason, tmp_path):
    path = rewritten(build_scn(tmp_path), old, new)
    if reason is None:
        assert len(coverslip.open(path).levels) == 2
        return
    with pytest.raises(coverslip.SourceError, match=reason) as raised:
        coverslip.open(path)
    assert "DOE" not in str(raised.value)


def test_directory_with_two_roles_is_told(tmp_path):
    built = build_scn(tmp_path, rois=(Roi(), Roi(offset_nm=(1, 1))), levels=1)
    with pytest.raises(coverslip.SourceError, match="two roles"):
        coverslip.open(rewritten(built, rb'ifd="2"', b'ifd="1"'))


def test_overview_that_is_rounded_by_a_little_is_no_region(tmp_path):
    built = build_scn(tmp_path, levels=1)
    path = rewritten(built, rb'<view sizeX="26000000"', b'<view sizeX="25999000"')
    slide = coverslip.open(path)
    assert [level.ifd for level in slide.levels] == [1]
    assert [image.role for image in slide.associated_images] == [Role.OVERVIEW]


def test_spacing_of_the_tags_is_compared_with_the_xmls(tmp_path):
    built = build_scn(tmp_path, levels=1)
    assert coverslip.open(built.path).description.notes == ()
    path = rewritten(
        built, rb'<view sizeX="310000" sizeY="235000"', b'<view sizeX="330000" sizeY="250000"'
    )
    slide = coverslip.open(path)
    assert slide.spacing.row_mm == pytest.approx(250 / 470 / 1000)
    (note,) = slide.description.notes
    assert "tag 283 and the XML disagree" in note


def test_region_at_the_label_is_told(tmp_path):
    built = build_scn(tmp_path, rois=(Roi(offset_nm=(0, 60_000_000)),), levels=1)
    (note,) = coverslip.open(built.path).description.notes
    assert "region 0 reaches to where the label usually is" in note


@pytest.mark.parametrize("namespace", ["2010/10/01", "2010/03/10"])
def test_bar_code_is_found_as_it_was_read_from_the_glass(namespace, tmp_path):
    built = build_scn(tmp_path, namespace=namespace, levels=1)
    items = coverslip.open(built.path).description.metadata.items
    (code,) = [item for item in items if item.key in ("barcode", "@barcode")]
    assert code.kind == ItemKind.IDENTIFIER
    assert code.text.reveal() in built.identifiers


def test_every_text_is_found_and_no_unknown_word_is_a_key(tmp_path):
    check_every_text_is_found(
        build_scn(tmp_path, supplemental=True),
        ("barcode", "@uuid", "creationDate", "device@model", "device@version", "user"),
        plain=("@sizeX", "objective"),
    )


def test_scanner_is_known_by_its_model(tmp_path):
    result = coverslip.convert(build_scn(tmp_path, levels=1).path, tmp_path / "out")
    dataset = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)
    assert (dataset.Manufacturer, dataset.ManufacturerModelName) == (
        "Leica Biosystems",
        "SCN400 F",
    )
