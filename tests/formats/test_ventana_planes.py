"""Focal planes of Ventana BIF, which are volumes: all planes of a level in one directory."""

import struct

import numpy as np
import openslide
import pytest
import tifffile

import coverslip
from tests.interop import readers
from tests.synth import build_ventana


def test_focal_planes_go_from_near_over_nominal_to_far(tmp_path):
    built = build_ventana(tmp_path, focal_planes=5, levels=2, z_spacing="1.25")
    slide = coverslip.open(built.path)
    assert [level.plane_distance_um for level in slide.levels] == [1.25, 1.25]
    assert [level.ifds for level in slide.levels] == [(2,) * 5, (3,) * 5]
    (note,) = slide.description.notes
    assert "near ones are written as the lower" in note
    with tifffile.TiffFile(built.path) as other:
        for ifd, level in zip((2, 3), built.levels, strict=True):
            page = other.pages[ifd]
            nominal, near, nearest, far, farthest = page.asarray()
            shown = [nearest, near, nominal, far, farthest]
            assert page.axes == "ZYXS"
            for pixels, plane in zip(shown, level.planes, strict=True):
                assert np.abs(pixels.astype(int) - plane.rgb).mean() < 2.5


def test_openslide_shows_the_nominal_plane(tmp_path):
    built = build_ventana(tmp_path, focal_planes=3, levels=2)
    with openslide.OpenSlide(built.path) as other:
        for number, size in enumerate(other.level_dimensions):
            shown = np.asarray(other.read_region((0, 0), number, size).convert("RGB"))
            assert np.abs(shown.astype(int) - built.levels[number].planes[1].rgb).mean() < 2.5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"focal_planes": 4}, "4 focal planes, and does not say"),
        ({"said_planes": 5}, "3 focal planes, and does not say"),
        ({"planes_below": False}, "levels have different focal planes"),
        ({"z_spacing": "0"}, "distance of its focal planes"),
        ({"z_spacing": "DOE"}, "distance of its focal planes"),
    ],
)
def test_focal_planes_that_are_not_told_are_refused(options, reason, tmp_path):
    built = build_ventana(tmp_path, **{"focal_planes": 3, "levels": 2, **options})
    with pytest.raises(coverslip.UnsupportedSlideError, match=reason) as raised:
        coverslip.open(built.path)
    assert "DOE" not in str(raised.value)


def test_more_focal_planes_than_can_be_told_apart_are_refused(tmp_path):
    built = build_ventana(tmp_path, focal_planes=3, levels=1)
    data = built.path.read_bytes()
    entry = struct.pack("<HHQI", 32997, 4, 1, 3)
    assert data.count(entry) == 1
    built.path.write_bytes(data.replace(entry, struct.pack("<HHQI", 32997, 4, 1, 0xFFFFFFFF)))
    with pytest.raises(coverslip.UnsupportedSlideError, match="more than can be told apart"):
        coverslip.open(built.path)


def test_focal_planes_that_are_decoded_are_compared_with_those_of_the_slide(tmp_path):
    built = build_ventana(
        tmp_path, focal_planes=3, codec="j2k_rgb", clipped=True, missing=((0, 0), (2, 0))
    )
    result = coverslip.convert(built.path, tmp_path / "out", allow_pixel=True)
    assert [instance.frames.pixel for instance in result.instances] == [0, 0, 3]
    report = coverslip.verify(result.study_path, built.path)
    assert (report.exit_status, report.frames_equal) == (0, 3 * (23 + 6 + 1))


def test_focal_planes_that_overlap_are_composed_each_by_itself(tmp_path):
    built = build_ventana(tmp_path, overlaps=(16, 8), focal_planes=3, levels=2)
    result = coverslip.convert(built.path, tmp_path / "out", allow_recode=95)
    with openslide.OpenSlide(built.path) as other:
        for number, instance in enumerate(result.instances):
            frames = readers.by_pydicom(instance.path, "gdcm")
            size = other.level_dimensions[number]
            planes = [readers.mosaic(part, *size).astype(int) for part in np.split(frames, 3)]
            for shown, plane in zip(planes, built.levels[number].planes, strict=True):
                assert np.abs(shown - plane.rgb).mean() < 2.5
            nominal = np.asarray(other.read_region((0, 0), number, size).convert("RGB"))
            assert np.abs(planes[1] - nominal).mean() < (2.5 if number == 0 else 6)
