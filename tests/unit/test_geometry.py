import numpy as np
import pytest

from coverslip.dicom.geometry import image_orientation, level_spacing, origin_mm, region_spacing
from coverslip.model import LabelSide, Level, Spacing, TileIndex

BASE = Spacing.from_mpp_um(0.25)


def shown(spacing):
    """Return a spacing as it is told: with six digits, so that it can carry no other number."""
    return Spacing(
        row_mm=float(f"{spacing.row_mm:.6g}"), column_mm=float(f"{spacing.column_mm:.6g}")
    )


def level(width: int, length: int, spacing: Spacing | None = None) -> Level:
    return Level(
        ifd=0,
        image_width=width,
        image_length=length,
        tile_width=256,
        tile_length=256,
        samples_per_pixel=3,
        bits_per_sample=8,
        compression=7,
        photometric_interpretation=6,
        tiles=TileIndex(
            offsets=np.zeros(1, np.uint64), byte_counts=np.zeros(1, np.uint64), across=1, down=1
        ),
        spacing=spacing,
    )


@pytest.mark.parametrize("side", LabelSide)
def test_no_picture_is_a_mirror_image(side):
    orientation = image_orientation(side)

    normal = np.cross(orientation[:3], orientation[3:])

    assert normal.tolist() == [0, 0, -1]


@pytest.mark.parametrize(
    ("side", "orientation", "corner"),
    [
        (LabelSide.LEFT, (0, -1, 0, -1, 0, 0), (25, 50)),
        (LabelSide.RIGHT, (0, 1, 0, 1, 0, 0), (0, 0)),
        (LabelSide.TOP, (1, 0, 0, 0, -1, 0), (0, 50)),
        (LabelSide.BOTTOM, (-1, 0, 0, 0, 1, 0), (25, 0)),
    ],
)
def test_default_places_are_those_of_the_table(side, orientation, corner):
    nothing = Spacing(row_mm=1e-12, column_mm=1e-12)

    assert image_orientation(side) == orientation
    assert origin_mm(side, nothing) == pytest.approx(corner)


@pytest.mark.parametrize("side", LabelSide)
def test_label_lies_at_high_y(side):
    """The picture's edge at the label is the one nearest to Y = 75."""
    orientation = np.array(image_orientation(side))
    row, column = orientation[:2], orientation[3:5]
    toward_label = {
        LabelSide.LEFT: -row,
        LabelSide.RIGHT: row,
        LabelSide.TOP: -column,
        LabelSide.BOTTOM: column,
    }[side]

    assert toward_label.tolist() == [0, 1]


@pytest.mark.parametrize("side", LabelSide)
@pytest.mark.parametrize("factor", [1, 4, 16])
def test_levels_share_their_outer_corner(side, factor):
    spacing = Spacing(row_mm=0.0003 * factor, column_mm=0.0002 * factor)
    orientation = np.array(image_orientation(side))

    corner = (
        np.array(origin_mm(side, spacing))
        - orientation[:2] * spacing.column_mm / 2
        - orientation[3:5] * spacing.row_mm / 2
    )

    expected = {"left": (25, 50), "right": (0, 0), "top": (0, 50), "bottom": (25, 0)}[side]
    assert corner == pytest.approx(expected)


def test_first_pixel_lies_inside_the_corner():
    assert origin_mm(LabelSide.LEFT, Spacing(row_mm=0.2, column_mm=0.1)) == pytest.approx(
        (24.9, 49.95)
    )


def test_region_that_was_measured_lies_at_its_own_corner():
    spacing = Spacing(row_mm=0.2, column_mm=0.1)

    assert origin_mm(LabelSide.BOTTOM, spacing, (20.0, 7.5)) == pytest.approx((19.95, 7.6))


def test_region_scanned_finer_has_a_finer_spacing_whatever_its_size():
    spacing = Spacing.from_mpp_um(1.0)
    first = level(1000, 1000, Spacing.from_mpp_um(0.5))
    other = level(250, 250, Spacing.from_mpp_um(0.25))

    assert region_spacing(spacing, first, other) == Spacing.from_mpp_um(0.5)
    assert region_spacing(spacing, first, level(250, 250)) == spacing


@pytest.mark.parametrize(
    ("size", "downsample"),
    [
        ((25000, 20000), 4),
        ((24999, 20001), 4),
        ((6251, 5000), 16),
        ((100000, 80000), 1),
        ((3125, 2500), 32),
    ],
)
def test_spacing_is_a_whole_multiple_where_the_size_is_near_one(size, downsample):
    spacing = level_spacing(BASE, level(100000, 80000), level(*size))

    assert spacing == BASE.scaled(downsample, downsample)


def test_both_axes_must_be_near_the_same_whole_multiple():
    spacing = level_spacing(BASE, level(100000, 80000), level(25000, 26667))

    assert spacing == shown(BASE.scaled(80000 / 26667, 4))


def test_spacing_of_the_source_counts_where_no_whole_multiple_does():
    base_level = level(100000, 80000, BASE)
    reduced = level(24000, 20000, BASE.scaled(4.1, 4.1))

    spacing = level_spacing(BASE, base_level, reduced)

    assert spacing.row_mm == pytest.approx(BASE.row_mm * 4.1)


def test_spacing_given_by_the_operator_scales_what_the_source_says():
    base_level = level(100000, 80000, BASE)
    reduced = level(24000, 20000, BASE.scaled(4.1, 4.1))
    given = Spacing.from_mpp_um(0.5)

    spacing = level_spacing(given, base_level, reduced)

    assert spacing.column_mm == pytest.approx(given.column_mm * 4.1)


def test_spacing_of_a_whole_multiple_wins_over_that_of_the_source():
    base_level = level(100000, 80000, BASE)
    reduced = level(25000, 20000, BASE.scaled(4.003, 4.003))

    assert level_spacing(BASE, base_level, reduced) == BASE.scaled(4, 4)


def test_ratio_of_sizes_counts_where_the_source_says_nothing():
    spacing = level_spacing(BASE, level(1000, 1000), level(300, 400))

    assert spacing == shown(BASE.scaled(2.5, 1000 / 300))


def test_downsample_of_a_tiny_level_is_that_of_its_longer_axis():
    spacing = level_spacing(BASE, level(100000, 80000), level(3, 2))

    assert spacing == BASE.scaled(33333, 33333)


def test_enlarged_level_does_not_divide_by_zero():
    spacing = level_spacing(BASE, level(100, 100), level(300, 300))
    assert spacing == shown(BASE.scaled(1 / 3, 1 / 3))
