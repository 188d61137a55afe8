"""Chooses the size of the frames that a level is cut into which is one JPEG (Hamamatsu NDPI)."""

from dataclasses import replace
from typing import Literal

import numpy as np

from coverslip import _core
from coverslip.errors import CoverslipError, LimitError
from coverslip.limits import LIMITS
from coverslip.model import Level, Picture, Slide, TileIndex
from coverslip.sampling import core_picture

Frames = Literal["native"] | int
"""Side of square frames in pixels, or what needs no JPEG to be coded anew."""
USUAL = 1024
_WIDE = 4096
"""Wider frames are no higher than usual ones."""
_JPEG_SIDE = 65535


def cut_into(slide: Slide, source: _core.Source, frames: Frames) -> Slide:
    """Return a slide whose levels that are one JPEG will be cut into such frames.

    All get the same, since readers drop levels whose frames have another size than the base's.

    Raises
    ------
    LimitError
        If that would be too many.
    """
    base = next((level for level in slide.levels if isinstance(level.picture, Picture)), None)
    if base is None:
        return slide
    size = _native(slide, base, source) if frames == "native" else (frames, frames)
    levels = (
        _cut(level, *size) if isinstance(level.picture, Picture) else level
        for level in slide.levels
    )
    return replace(slide, levels=tuple(levels))


def _native(slide: Slide, base: Level, source: _core.Source) -> tuple[int, int]:
    """Return columns and rows of frames that are whole restart intervals of the base.

    They are as nearly square as that lets them be; without such intervals they are usual ones.
    """
    if not isinstance(base.picture, Picture):
        raise AssertionError("the level is no picture")
    try:
        picture = core_picture(base, base.picture, slide.private_ranges)
        facts = _core.inspect_picture(source, picture)
    except CoverslipError:
        return USUAL, USUAL  # the level's route tells what is wrong
    factors = facts.sampling if len(facts.sampling) > 1 else [(1, 1)]
    interval = facts.restart_interval * 8 * max(horizontal for horizontal, _ in factors)
    if interval == 0 or not facts.stitches(base.image_width, interval):
        return USUAL, USUAL
    columns = interval * max(1, USUAL // interval)
    if columns > _JPEG_SIDE:
        return USUAL, USUAL
    mcu = 8 * max(vertical for _, vertical in factors)
    side = columns if columns <= _WIDE else USUAL
    return columns, -(-side // mcu) * mcu


def _cut(level: Level, columns: int, rows: int) -> Level:
    across, down = -(-level.image_width // columns), -(-level.image_length // rows)
    if across * down > LIMITS.tiles:
        raise LimitError(
            f"a level needs {across * down} frames, more than the limit tiles = {LIMITS.tiles}"
        )
    nothing = np.zeros(across * down, np.uint64)
    tiles = TileIndex(offsets=nothing, byte_counts=nothing, across=across, down=down)
    return replace(
        level,
        tile_width=columns,
        tile_length=rows,
        tiles=tiles,
        planes_above=tuple(_cut(plane, columns, rows) for plane in level.planes_above),
    )
