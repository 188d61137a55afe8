"""Slides whose description says ``key = value``: what the laws of every format do not ask."""

import numpy as np
import openslide
import pytest
import tifffile

import coverslip
from coverslip.model import Role
from tests.formats.findings import check_every_text_is_found
from tests.interop import readers
from tests.synth import build_keyed

NAMES = {
    "huron": "Huron",
    "motic": "Motic",
    "mikroscan": "Mikroscan",
    "3dhistech": "3DHISTECH TIFF",
    "trestle": "Trestle",
    "grundium": "Aperio SVS",
}
VENDORS = {"grundium": "aperio", "huron": "huron", "trestle": "trestle"}
"""Those of the formats that OpenSlide knows; the others it takes for a generic TIFF."""


@pytest.mark.parametrize("maker", NAMES)
def test_others_believe_the_built_slides(maker, tmp_path):
    built = build_keyed(tmp_path, 1, maker=maker)
    assert coverslip.open(built.path).format == NAMES[maker]
    with openslide.OpenSlide(built.path) as shown:
        assert shown.properties["openslide.vendor"] == VENDORS.get(maker, "generic-tiff")
        base = built.levels[0]
        region = shown.read_region((0, 0), 0, (base.width, base.length))
        pixels = np.asarray(region)[..., :3].astype(int)
        assert np.abs(pixels - base.rgb).mean() < 2.5
    with tifffile.TiffFile(built.path) as other:
        assert other.pages[0].shape == (base.length, base.width, 3)


@pytest.mark.parametrize("maker", sorted(set(NAMES) - {"trestle"}))
def test_roles_are_those_of_tag_254_and_of_the_place(maker, tmp_path):
    slide = coverslip.open(build_keyed(tmp_path, 2, maker=maker).path)
    roles = [image.role for image in slide.associated_images]
    assert roles == [Role.THUMBNAIL, Role.LABEL, Role.OVERVIEW]


def test_openslide_puts_overlapping_trestle_tiles_together_alike(tmp_path):
    built = build_keyed(tmp_path, 3, maker="trestle", overlaps="64 64 32 32 16 16")
    with openslide.OpenSlide(built.path) as shown:
        assert shown.properties["openslide.vendor"] == "trestle"
        assert list(shown.level_dimensions) == [(lv.width, lv.length) for lv in built.levels]
        for number, level in enumerate(built.levels):
            region = shown.read_region((0, 0), number, (level.width, level.length))
            assert np.abs(np.asarray(region)[..., :3].astype(int) - level.rgb).mean() < 2.5


@pytest.mark.parametrize("files_beside", [False, True])
def test_files_beside_a_trestle_slide_are_told(files_beside, tmp_path):
    built = build_keyed(tmp_path, maker="trestle", levels=1, files_beside=files_beside)
    notes = coverslip.open(built.path).description.notes
    kinds = ("tiles overlap one by one", "picture of the whole glass")
    assert [any(kind in note for note in notes) for kind in kinds] == [files_beside] * 2
    assert all(built.path.stem not in note for note in notes)
    built = build_keyed(tmp_path, maker="huron", levels=1)
    built.path.with_suffix(".Full").write_bytes(b"of somebody else")
    assert coverslip.open(built.path).description.notes == ()


@pytest.mark.parametrize(
    ("overlaps", "reason"),
    [
        ("64 56", "64x56 pixels, which are no whole MCUs"),
        ("64", "does not say"),
        ("128 0", "as a whole"),
    ],
)
def test_trestle_overlaps_that_cannot_be_cut_off_are_refused(overlaps, reason, tmp_path):
    built = build_keyed(tmp_path, 3, maker="trestle", overlaps="64 64", levels=1)
    told = built.path.read_bytes().replace(b"= 64 64", f"= {overlaps:5}".encode())
    built.path.write_bytes(told)
    with pytest.raises(coverslip.UnsupportedSlideError, match=reason):
        coverslip.convert(built.path, tmp_path / "out")


@pytest.mark.parametrize("maker", sorted(set(NAMES) - {"grundium"}))
def test_every_text_is_found_and_no_unknown_word_is_a_key(maker, tmp_path):
    check_every_text_is_found(
        build_keyed(tmp_path, maker=maker),
        ("Filename", "User", "Barcode", "Date"),
        plain=("AppMag", "MPP", "3dh_PixelSizeX", "Objective Power"),
    )


@pytest.mark.parametrize("overlaps", ["60 30 30 15 14 7", "5 0 3 0 1 0"])
def test_overlaps_of_no_whole_mcus_are_composed_if_that_is_allowed(overlaps, tmp_path):
    built = build_keyed(tmp_path, maker="trestle", overlaps=overlaps, codec="jpeg_ycbcr420")
    with pytest.raises(coverslip.UnsupportedSlideError, match="no whole MCUs") as raised:
        coverslip.convert(built.path, tmp_path / "out")
    assert "--allow-recode" in raised.value.hint
    result = coverslip.convert(built.path, tmp_path / "out", allow_recode=95)
    with openslide.OpenSlide(built.path) as other:
        for number, level in enumerate(built.levels):
            frames = readers.by_pydicom(result.instances[number].path, "gdcm")
            shown = readers.mosaic(frames, level.width, level.length).astype(int)
            theirs = other.read_region((0, 0), number, (level.width, level.length))
            assert np.abs(shown - np.asarray(theirs)[..., :3]).mean() < 2.5
