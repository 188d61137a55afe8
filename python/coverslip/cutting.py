"""Chooses the size of frames that are cut out of something larger: one JPEG, or strips."""

from dataclasses import replace
from typing import Literal

import numpy as np

from coverslip import _core
from coverslip.errors import CoverslipError, LimitError
from coverslip.limits import LIMITS
from coverslip.model import Level, Picture, Slide, Strips, TileIndex
from coverslip.sampling import StripSample, core_picture

Frames = Literal["auto", "native"] | int
"""Side of square frames in pixels; what needs no JPEG to be coded anew; that if it is usable."""
USUAL = 1024
_MOST_USABLE = 2048
"""Width of a restart interval up to which viewers take frames of it well."""
_WIDE = 4096
"""Wider frames are no higher than usual ones."""
_JPEG_SIDE = 65535
Size = tuple[int, int]
"""Columns and rows."""


def cut_into(slide: Slide, source: _core.Source, frames: Frames) -> Slide:
    """Return a slide whose levels that are not tiled will be cut into frames of one size.

    All levels of a pyramid get the same, since readers drop those whose frames have another size
    than the base's: that of the base's tiles, else that of ``frames`` if it is one JPEG.

    Raises
    ------
    LimitError
        If that would be too many.
    """
    sizes: dict[tuple[int, int], Size] = {}
    levels = []
    for level in slide.levels:
        pyramid = level.region, level.optical_path
        if pyramid not in sizes:
            sizes[pyramid] = _size_by_base(slide, level, source, frames)
        if _is_cut(level) and _size(level) != sizes[pyramid]:
            levels.append(_cut(level, *_of_whole_mcus(slide, level, source, sizes[pyramid])))
        else:
            levels.append(level)
    return replace(slide, levels=tuple(levels))


def _size(level: Level) -> Size:
    return level.tile_width, level.tile_length


def _is_cut(level: Level) -> bool:
    is_raster_in_strips = level.raster is not None and not level.raster.is_tiled
    return is_raster_in_strips or isinstance(level.picture, Picture | Strips)


def _size_by_base(slide: Slide, base: Level, source: _core.Source, frames: Frames) -> Size:
    """Return the size of the frames of a pyramid."""
    if not isinstance(base.picture, Picture):
        return _size(base)
    if isinstance(frames, int):
        return frames, frames
    return _native(slide, base, source, _MOST_USABLE if frames == "auto" else _JPEG_SIDE)


def _of_whole_mcus(slide: Slide, level: Level, source: _core.Source, size: Size) -> Size:
    """Return a size if frames of it are whole MCUs of a level, else the usual one."""
    if level.raster is not None:
        return size
    facts = _facts(slide, level, source)
    if facts is None:
        return size
    is_whole = all(side % mcu == 0 for side, mcu in zip(size, _mcu(facts), strict=True))
    return size if is_whole else (USUAL, USUAL)


def _facts(slide: Slide, level: Level, source: _core.Source) -> _core.JpegFacts | None:
    """Return what a level's JPEG says; ``None`` if it is not right, which its route tells."""
    try:
        if isinstance(level.picture, Picture):
            picture = core_picture(level, level.picture, slide.private_ranges)
            return _core.inspect_picture(source, picture)
        if isinstance(level.picture, Strips):
            return StripSample(source, level, level.picture).facts()
    except CoverslipError:
        pass
    return None


def _mcu(facts: _core.JpegFacts) -> Size:
    """Return columns and rows of an MCU; that of a single component is one block."""
    factors = facts.sampling if len(facts.sampling) > 1 else [(1, 1)]
    return 8 * max(across for across, _ in factors), 8 * max(down for _, down in factors)


def _native(slide: Slide, base: Level, source: _core.Source, most: int) -> Size:
    """Return columns and rows of frames that are whole restart intervals of the base.

    They are as nearly square as that lets them be; without such intervals, or with ones wider
    than ``most`` pixels, they are usual ones.
    """
    facts = _facts(slide, base, source)
    if facts is None:
        return USUAL, USUAL
    across, down = _mcu(facts)
    interval = facts.restart_interval * across
    if not 0 < interval <= most or not facts.stitches(base.image_width, interval):
        return USUAL, USUAL
    columns = interval * max(1, USUAL // interval)
    side = columns if columns <= _WIDE else USUAL
    return columns, -(-side // down) * down


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
