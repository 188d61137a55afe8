"""Where the pixels of a slide lie: orientation, origin, spacing."""

from dataclasses import dataclass
from typing import Literal

from coverslip.model import LabelSide, Level, Role, Spacing

INTEGER_DOWNSAMPLE_TOLERANCE_PX = 1.5
"""Vendors round a reduced level's size up, down, or to whole blocks."""
_DIGITS = 6
"""Of a spacing; a scanner's calibration has four."""

Direction = tuple[Literal[-1, 0, 1], Literal[-1, 0, 1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How a picture lies on the slide, seen from above (PS3.3 C.8.12.2).

    The corners are defaults, plainly not measured, for sources that do not tell where the scanned
    area lies.
    """

    row_direction: Direction
    """X and Y of the step to the next column."""
    column_direction: Direction
    """X and Y of the step to the next row."""
    corner_mm: tuple[float, float]
    """X and Y of the picture's outer corner at its first pixel."""


_TISSUE_END_MM, _GLASS_END_MM = 50.0, 75.0
"""Largest Y of the tissue's area, and of the glass with its label."""

_PLACEMENTS = {
    LabelSide.LEFT: Placement(
        row_direction=(0, -1), column_direction=(-1, 0), corner_mm=(25.0, _TISSUE_END_MM)
    ),
    LabelSide.RIGHT: Placement(row_direction=(0, 1), column_direction=(1, 0), corner_mm=(0.0, 0.0)),
    LabelSide.TOP: Placement(
        row_direction=(1, 0), column_direction=(0, -1), corner_mm=(0.0, _TISSUE_END_MM)
    ),
    LabelSide.BOTTOM: Placement(
        row_direction=(-1, 0), column_direction=(0, 1), corner_mm=(25.0, 0.0)
    ),
}


def image_orientation(label_side: LabelSide) -> tuple[int, int, int, int, int, int]:
    """Return Image Orientation (Slide): direction of a row, then of a column.

    Rows times columns points down into the glass, so the picture is never a mirror image.
    """
    placement = _PLACEMENTS[label_side]
    return (*placement.row_direction, 0, *placement.column_direction, 0)


def origin_mm(
    label_side: LabelSide,
    spacing: Spacing,
    corner_mm: tuple[float, float] | None = None,
    role: Role = Role.VOLUME,
) -> tuple[float, float]:
    """Return X and Y of the centre of the first pixel, in millimetres.

    All levels share the outer corner; the centre of the first pixel moves with the spacing. An
    overview shows the glass to its end: where rows or columns run down from the label, it begins
    there.

    Parameters
    ----------
    label_side
        Side of the stored picture at which the label lies.
    spacing
        Of the level.
    corner_mm
        X and Y of the outer corner, ``None`` for the default of the side.
    role
        ``VOLUME`` for a level, ``OVERVIEW``.
    """
    placement = _PLACEMENTS[label_side]
    corners = corner_mm or placement.corner_mm
    if role is Role.OVERVIEW and corners[1] == _TISSUE_END_MM:
        corners = corners[0], _GLASS_END_MM
    row, column = placement.row_direction, placement.column_direction
    x_mm, y_mm = (
        corner + spacing.column_mm / 2 * along_row + spacing.row_mm / 2 * along_column
        for corner, along_row, along_column in zip(corners, row, column, strict=True)
    )
    return x_mm, y_mm


def level_spacing(base: Spacing, base_level: Level, level: Level) -> Spacing:
    """Return the spacing of a reduced level.

    Readers refuse a ratio of spacings that is not an integer, though sizes are rounded: so the
    nearest whole downsample counts where the level's size is within 1.5 pixels of it, on both
    axes. Else counts what the source says of both levels, else the ratio of sizes.

    Parameters
    ----------
    base
        Spacing of the base level, possibly given by the operator.
    base_level, level
        The two levels.
    """
    across = base_level.image_width / level.image_width
    down = base_level.image_length / level.image_length
    ratio_of_longer_axis = across if level.image_width >= level.image_length else down
    downsample = max(1, round(ratio_of_longer_axis))
    if _fits(base_level.image_width, level.image_width, downsample) and _fits(
        base_level.image_length, level.image_length, downsample
    ):
        return rounded(base.scaled(downsample, downsample))
    if level.spacing is not None and base_level.spacing is not None:
        return region_spacing(base, base_level, level)
    return rounded(base.scaled(down, across))


def region_spacing(first: Spacing, first_level: Level, base_level: Level) -> Spacing:
    """Return the spacing of a region's base level.

    Sizes of regions have nothing to do with each other, so only what the source says of both
    levels counts; else regions are taken to be scanned alike.

    Parameters
    ----------
    first
        Spacing of the slide's first level, possibly given by the operator.
    first_level, base_level
        The slide's first level, and the region's.
    """
    if first_level.spacing is None or base_level.spacing is None:
        return rounded(first)
    return rounded(
        first.scaled(
            base_level.spacing.row_mm / first_level.spacing.row_mm,
            base_level.spacing.column_mm / first_level.spacing.column_mm,
        )
    )


def rounded(spacing: Spacing) -> Spacing:
    """Return a spacing of six digits: nobody measures more, and more may be some other number."""
    return Spacing(
        row_mm=float(f"{spacing.row_mm:.{_DIGITS}g}"),
        column_mm=float(f"{spacing.column_mm:.{_DIGITS}g}"),
    )


def _fits(base_size: int, size: int, downsample: int) -> bool:
    return abs(base_size / downsample - size) <= INTEGER_DOWNSAMPLE_TOLERANCE_PX
