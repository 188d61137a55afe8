import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile

import coverslip
from coverslip.model import Role
from tests.formats.findings import check_every_text_is_found
from tests.synth import build_ventana, tiff


@pytest.mark.parametrize("stitched", [False, True])
def test_openslide_shows_the_same_pixels(stitched, tmp_path):
    built = build_ventana(tmp_path, stitched=stitched)
    with openslide.OpenSlide(built.path) as other:
        assert other.properties["openslide.vendor"] == "ventana"
        sizes = list(other.level_dimensions)
        assert sizes == [(level.width, level.length) for level in built.levels]
        assert float(other.properties["openslide.mpp-x"]) == built.mpp_um
        for number, (size, level) in enumerate(zip(sizes, built.levels, strict=True)):
            shown = np.asarray(other.read_region((0, 0), number, size).convert("RGB"))
            assert np.abs(shown.astype(int) - level.rgb).mean() < 2.5


@pytest.mark.parametrize(("stitched", "name"), [(False, "Ventana BIF"), (True, "Ventana TIFF")])
@pytest.mark.parametrize("in_metadata", [False, True])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_both_kinds_are_known_by_name(stitched, name, in_metadata, quote, tmp_path):
    built = build_ventana(
        tmp_path, stitched=stitched, in_metadata=in_metadata, quote=quote, levels=1
    )
    slide = coverslip.open(built.path)
    assert slide.format == name
    assert slide.spacing.row_mm == pytest.approx(0.000465)
    assert slide.description.objective_power == 20
    with tifffile.TiffFile(built.path) as other:
        assert other.is_bif


def test_label_image_is_an_overview_and_the_map_of_tissue_a_label(tmp_path):
    slide = coverslip.open(build_ventana(tmp_path).path)
    assert [level.ifd for level in slide.levels] == [2, 3, 4]
    assert [image.role for image in slide.associated_images] == [Role.OVERVIEW, Role.LABEL]
    assert slide.description.notes == ()
    (tmp_path / "tif").mkdir()
    slide = coverslip.open(build_ventana(tmp_path / "tif", stitched=True, unnamed=True).path)
    roles = [image.role for image in slide.associated_images]
    assert roles == [Role.OVERVIEW, Role.THUMBNAIL, Role.LABEL]
    assert slide.description.notes == ("IFD 2 is no level of the pyramid: not written",)


def test_colour_profile_is_that_of_the_levels_and_not_of_the_overview(tmp_path):
    metadata = coverslip.open(build_ventana(tmp_path, levels=1).path).description.metadata
    assert metadata.icc_profile is not None
    # Up to the second when it was made, which the profile says (ICC.1:2022 7.2.1, bytes 24 to 35).
    assert metadata.icc_profile[36:] == imagecodecs.cms_profile("srgb")[36:]
    (other,) = [item for item in metadata.items if item.key == "ICCProfile"]
    assert other.place == "IFD 0 ICCProfile"


def test_area_that_was_not_scanned_becomes_blank(tmp_path):
    built = build_ventana(tmp_path, not_scanned=True)
    result = coverslip.convert(built.path, tmp_path / "out")
    assert [instance.frames.blank for instance in result.instances] == [8, 2, 0]


@pytest.mark.parametrize(
    ("overlap", "most"),
    [(("16", "0"), "16"), (("0", "-3"), "3"), (("0", "0.5"), "0.5"), (("-0.25", "24"), "24")],
)
def test_real_overlap_is_refused_with_its_size(overlap, most, tmp_path):
    built = build_ventana(tmp_path, overlap=overlap, levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError, match="1 of 38 joints") as raised:
        coverslip.convert(built.path, tmp_path / "out")
    assert f"by up to {most} pixels" in str(raised.value)
    assert "stitched TIFF" in raised.value.hint


def test_overlap_of_a_joint_that_was_not_used_does_not_matter(tmp_path):
    built = build_ventana(tmp_path, overlap=("16", "0"), is_joined=False)
    assert len(coverslip.open(built.path).levels) == len(built.levels)


def test_several_pictures_of_one_level_are_refused_by_name(tmp_path):
    built = build_ventana(tmp_path, focal_planes=True)
    with pytest.raises(coverslip.UnsupportedSlideError, match="as of focal planes") as raised:
        coverslip.open(built.path)
    assert "focal plane" in raised.value.hint


def test_overlap_of_an_area_without_tiles_does_not_matter(tmp_path):
    built = build_ventana(tmp_path, not_scanned=True, levels=1)
    data = built.path.read_bytes()
    end = b'AOIScanned="0" AOIIndex="1" Width="128"'
    assert end in data
    assert len(coverslip.open(built.path).levels) == 1


@pytest.mark.parametrize("zero", ["0.0", "-0", "0.000"])
def test_every_spelling_of_zero_is_none(zero, tmp_path):
    built = build_ventana(tmp_path, overlap=(zero, "0"), levels=1)
    assert len(coverslip.open(built.path).levels) == 1


@pytest.mark.parametrize("joints", ["none", "unreadable"])
def test_joints_that_are_not_told_are_refused(joints, tmp_path):
    built = build_ventana(tmp_path, joints=joints, levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError, match="how its tiles join") as raised:
        coverslip.open(built.path)
    assert "DOE" not in str(raised.value)


def test_areas_that_lie_elsewhere_than_their_tiles_are_refused(tmp_path):
    built = build_ventana(tmp_path, second_area=(0, 0), levels=1)
    assert len(coverslip.open(built.path).levels) == 1
    for number, beside in enumerate([(512, 0), (0, -77)]):
        (tmp_path / str(number)).mkdir()
        built = build_ventana(tmp_path / str(number), second_area=beside, levels=1)
        with pytest.raises(coverslip.UnsupportedSlideError, match="otherwise on the glass"):
            coverslip.open(built.path)


def test_joints_in_xml_that_cannot_be_parsed_are_told(tmp_path):
    built = build_ventana(tmp_path, levels=1)
    data = built.path.read_bytes()
    built.path.write_bytes(data.replace(b"</AoiOrigin>", b"<//AoiOrigi>"))
    with pytest.raises(coverslip.SourceError, match="not well-formed"):
        coverslip.open(built.path)


def test_other_xml_that_cannot_be_parsed_is_a_finding_and_no_reason_to_refuse(tmp_path):
    built = build_ventana(tmp_path, stitched=True, levels=1)
    data = built.path.read_bytes()
    built.path.write_bytes(data.replace(b"</iScan>", b"</iScan<"))
    slide = coverslip.open(built.path)
    assert slide.spacing is None
    assert "IFD 0 XMP" in {item.place for item in slide.description.metadata.items}


def test_slide_without_levels_in_tiles_is_refused(tmp_path):
    tags = {256: tiff.long(9), 257: tiff.long(9), 700: tiff.byte(b"<iScan Barcode1D='DOE'/>")}
    path = tmp_path / "x.bif"
    tiff.write_tiff(path, [tiff.Directory(tags, [b"x"], tiled=False)])
    with pytest.raises(coverslip.UnsupportedSlideError, match="no level in tiles") as raised:
        coverslip.open(path)
    assert "DOE" not in str(raised.value)


def test_every_text_is_found_and_no_unknown_word_is_a_key(tmp_path):
    check_every_text_is_found(
        build_ventana(tmp_path),
        ("@Barcode1D", "@PatientName", "@UnitNumber", "@BaseName", "@ScanDate"),
        plain=("@OverlapX", "@ScanRes", "@NumRows"),
    )
