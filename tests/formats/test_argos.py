import numpy as np
import pytest
import tifffile

import coverslip
from coverslip.model import Role
from tests.formats.findings import check_every_text_is_found
from tests.synth import build_argos


def test_tifffile_finds_the_same_levels(tmp_path):
    built = build_argos(tmp_path)
    slide = coverslip.open(built.path)
    assert slide.format == "Argos"
    with tifffile.TiffFile(built.path) as other:
        assert other.is_avs
        assert len(other.series[0].levels) == len(slide.levels) == 3
        for theirs, truth in zip(other.series[0].levels, built.levels, strict=True):
            assert np.abs(theirs.asarray().astype(int) - truth.rgb).mean() < 2.5


def test_tifffile_finds_the_same_focal_planes(tmp_path):
    built = build_argos(tmp_path, focal_planes=3, z_range="5", levels=2)
    slide = coverslip.open(built.path)
    assert [level.plane_distance_um for level in slide.levels] == [2.5, 2.5]
    assert [level.ifds for level in slide.levels] == [(0, 2, 4), (1, 3, 5)]
    with tifffile.TiffFile(built.path) as other:
        series = other.series[0]
        assert series.axes == "ZYXS"
        for shown, level in zip(series.levels, built.levels, strict=True):
            for pixels, plane in zip(shown.asarray(), level.planes, strict=True):
                assert np.abs(pixels.astype(int) - plane.rgb).mean() < 2.5


def test_map_is_a_label_and_macro_an_overview(tmp_path):
    slide = coverslip.open(build_argos(tmp_path, focal_planes=2).path)
    assert [image.role for image in slide.associated_images] == [Role.LABEL, Role.OVERVIEW]
    assert slide.description.objective_power == 20
    assert slide.spacing.row_mm == pytest.approx(0.0005)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"said_planes": 2}, "says 2 focal planes and has 3 pyramids"),
        ({"z_range": "0"}, "distance of its focal planes"),
        ({"z_range": "none"}, "distance of its focal planes"),
    ],
)
def test_focal_planes_that_are_not_told_are_refused(options, reason, tmp_path):
    built = build_argos(tmp_path, focal_planes=3, levels=1, **options)
    with pytest.raises(coverslip.UnsupportedSlideError, match=reason):
        coverslip.open(built.path)


def test_every_text_is_found_and_no_unknown_word_is_a_key(tmp_path):
    check_every_text_is_found(
        build_argos(tmp_path), ("Barcode", "User", "@Name"), plain=("MinZ", "ZRange")
    )
