"""Slides whose description says ``key = value``: what the laws of every format do not ask."""

import numpy as np
import openslide
import pytest
import tifffile

import coverslip
from coverslip.model import Role
from tests.formats.findings import check_every_text_is_found
from tests.synth import build_keyed

NAMES = {
    "huron": "Huron",
    "motic": "Motic",
    "mikroscan": "Mikroscan",
    "3dhistech": "3DHISTECH TIFF",
    "trestle": "Trestle",
    "argos": "Argos",
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


@pytest.mark.parametrize("maker", sorted(set(NAMES) - {"argos", "trestle"}))
def test_roles_are_those_of_tag_254_and_of_the_place(maker, tmp_path):
    slide = coverslip.open(build_keyed(tmp_path, 2, maker=maker).path)
    roles = [image.role for image in slide.associated_images]
    assert roles == [Role.THUMBNAIL, Role.LABEL, Role.OVERVIEW]


def test_overlapping_trestle_tiles_are_refused(tmp_path):
    built = build_keyed(tmp_path, 3, maker="trestle", overlaps="64 64 32 32 16 16")
    with pytest.raises(coverslip.UnsupportedSlideError, match="overlap"):
        coverslip.open(built.path)


def test_argos_focal_planes_are_refused_by_name(tmp_path):
    built = build_keyed(tmp_path, 4, maker="argos", focal_planes=True)
    with pytest.raises(coverslip.UnsupportedSlideError, match="focal planes"):
        coverslip.open(built.path)


@pytest.mark.parametrize("maker", sorted(set(NAMES) - {"argos", "grundium"}))
def test_every_text_is_found_and_no_unknown_word_is_a_key(maker, tmp_path):
    check_every_text_is_found(
        build_keyed(tmp_path, maker=maker),
        ("Filename", "User", "Barcode", "Date"),
        plain=("AppMag", "MPP", "3dh_PixelSizeX", "Objective Power"),
    )
