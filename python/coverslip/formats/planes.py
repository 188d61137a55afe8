"""Focal planes, channels, colours: the same picture several times.

Each is in its own directory, but for focal planes of volumes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from coverslip.errors import LimitError, UnsupportedSlideError
from coverslip.formats.jpeg import segments
from coverslip.formats.likeness import size_of
from coverslip.formats.pyramid import no_tiles, to_level
from coverslip.limits import LIMITS
from coverslip.model import Level, Mosaic, OpticalPath
from coverslip.tiff import Directory
from coverslip.tiff.tags import IMAGE_DEPTH, TILE_LENGTH, TILE_WIDTH

_MAX_DISTANCE_UM = 100.0
"""The glass over a specimen is 170 micrometres thick."""
_TOLERANCE = 0.02
"""Steps of a stage are told rounded."""
_MAX_PLANES = 999
_WHITE_IS_ZERO, _RGB, _JPEG = 0, 2, 7
"""Values of tags 262 and 259."""
_TABLES = (0xDB, 0xC4)
"""Markers of the tables without which a tile cannot be decoded."""


def stacked(planes: Sequence[Level], distance_um: float | None) -> Level:
    """Return levels that are focal planes as one level; one that is alone as it is.

    Parameters
    ----------
    planes
        From the lowest on the slide to the highest.
    distance_um
        Micrometres from each to the next, ``None`` if the slide does not tell.

    Raises
    ------
    UnsupportedSlideError
        If they are stored in different ways, or their distance is not known.
    """
    first, *above = planes
    if not above:
        return first
    _check_count(len(planes))
    if distance_um is None or not 0.001 <= distance_um <= _MAX_DISTANCE_UM:
        raise UnsupportedSlideError("the slide does not tell the distance of its focal planes")
    wanted = _storage(first)
    for plane in above:
        if _storage(plane) != wanted:
            raise UnsupportedSlideError(
                f"IFD {plane.ifd} is a focal plane, and stored in another way than IFD {first.ifd}"
            )
    return replace(first, planes_above=tuple(above), plane_distance_um=round(distance_um, 3))


def planes_of(directory: Directory) -> list[Level]:
    """Return the focal planes of a volume in the order of its tiles; of no volume the only one.

    Tag 32997 ImageDepth tells how many there are, all tiles of one before those of the next.

    Raises
    ------
    SourceError, LimitError, UnsupportedSlideError
        As `to_level`, and if there are more than can be told apart.
    """
    depth = directory.integer(IMAGE_DEPTH, 1)
    width, length = size_of(directory)
    tile_width, tile_length = directory.integer(TILE_WIDTH, 0), directory.integer(TILE_LENGTH, 0)
    if depth <= 1 or min(width, length, tile_width, tile_length) < 1:
        return [to_level(directory)]
    _check_count(depth)
    tiles = -(-width // tile_width) * -(-length // tile_length)
    return [to_level(directory.plane(number, tiles)) for number in range(depth)]


def _check_count(planes: int) -> None:
    if planes > _MAX_PLANES:
        raise UnsupportedSlideError(f"{planes} focal planes are more than can be told apart")


def stacked_pyramids(
    pyramids: Sequence[Sequence[Level]], distance_um: float | None
) -> Iterator[Level]:
    """Yield the levels of pyramids that are focal planes of one, from the lowest to the highest.

    Raises
    ------
    UnsupportedSlideError
        As `stacked`, and if they do not all have the same levels.
    """
    if len({len(pyramid) for pyramid in pyramids}) > 1:
        raise UnsupportedSlideError("focal planes have different levels")
    for planes in zip(*pyramids, strict=True):
        yield stacked(planes, distance_um)


def stacks(pictures: Iterable[tuple[float, Level]]) -> tuple[Level, ...]:
    """Return pictures as levels: those of one size are its focal planes.

    Parameters
    ----------
    pictures
        The height in micrometres of each picture of the specimen, and the picture; levels come in
        the order of their first.

    Raises
    ------
    UnsupportedSlideError
        If heights are not told, or not the same on all levels, or unevenly spaced.
    """
    by_size: dict[tuple[int, int], list[tuple[float, Level]]] = {}
    for height, level in pictures:
        by_size.setdefault((level.image_width, level.image_length), []).append((height, level))
    levels = []
    for planes in by_size.values():
        planes.sort(key=lambda plane: plane[0])
        levels.append(stacked([level for _, level in planes], _distance([h for h, _ in planes])))
    if len({tuple(height for height, _ in planes) for planes in by_size.values()}) > 1:
        raise UnsupportedSlideError("levels have different focal planes")
    return tuple(levels)


def in_colour(pyramids: Sequence[Sequence[Level]]) -> list[Level]:
    """Return the levels of grey pyramids, those of red, green and blue, as levels in colour.

    Raises
    ------
    UnsupportedSlideError
        If the three are stored in different ways, or in one that is not put together.
    """
    if len({len(pyramid) for pyramid in pyramids}) > 1:
        raise UnsupportedSlideError("the colours of the slide have different levels")
    return [_in_colour(colours) for colours in zip(*pyramids, strict=True)]


def _in_colour(colours: Sequence[Level]) -> Level:
    first, *others = colours
    if not others:
        return first
    if any(_storage(other) != _storage(first) for other in others):
        raise UnsupportedSlideError(f"the colours of IFD {first.ifd} are stored in different ways")
    if first.photometric_interpretation == _WHITE_IS_ZERO:
        raise UnsupportedSlideError(f"white is zero in the colours of IFD {first.ifd} (tag 262)")
    held = [level.raster or level.tiles for level in colours]
    offsets = np.concatenate([each.offsets for each in held])
    byte_counts = np.concatenate([each.byte_counts for each in held])
    whole = replace(
        first,
        samples_per_pixel=len(colours),
        photometric_interpretation=_RGB,
        other_ifds=tuple(other.ifd for other in others),
    )
    if first.raster is not None:
        raster = replace(first.raster, offsets=offsets, byte_counts=byte_counts, is_planar=True)
        return replace(whole, raster=raster)
    if first.picture is not None or first.compression != _JPEG:
        raise UnsupportedSlideError(
            f"the colours of IFD {first.ifd} are stored apart, in a way that is not put together"
        )
    mosaic = Mosaic(
        offsets=offsets,
        byte_counts=byte_counts,
        across=first.tiles.across,
        tile_width=first.tile_width,
        tile_length=first.tile_length,
        planes=len(colours),
    )
    return replace(whole, picture=mosaic, tiles=no_tiles(first.tiles.across, first.tiles.down))


def light_notes(paths: Sequence[OpticalPath]) -> tuple[str, ...]:
    """Return a note on each channel whose wavelength is not known."""
    return tuple(
        f"optical path {number}: fluorescence of a wavelength that is not told, so written as "
        "lit by the full spectrum"
        for number, path in enumerate(paths, 1)
        if path.is_fluorescence and path.wave_length_nm is None
    )


def _distance(heights: Sequence[float]) -> float | None:
    """Return the distance of focal planes whose heights are given from low to high.

    TILED_FULL has one for all (PS3.3 C.7.6.17.3).
    """
    if len(heights) == 1:
        return None
    steps = [above - below for below, above in pairwise(heights)]
    if min(steps) <= 0:
        raise UnsupportedSlideError(
            "pictures of the same size are no focal planes whose heights are told"
        )
    mean = sum(steps) / len(steps)
    if any(abs(step - mean) > _TOLERANCE * mean for step in steps):
        raise UnsupportedSlideError("the focal planes are not the same distance apart")
    return mean


def _storage(level: Level) -> tuple[object, ...]:
    """Return what must be the same of all frames of an instance."""
    return (
        level.image_width,
        level.image_length,
        level.tile_width,
        level.tile_length,
        level.samples_per_pixel,
        level.bits_per_sample,
        level.compression,
        level.photometric_interpretation,
        type(level.picture),
        None if level.picture is not None else _tables(level.jpeg_tables or b""),
    )


def _tables(stream: bytes) -> list[bytes]:
    """Return the tables of an abbreviated JPEG stream; comments may differ.

    Raises
    ------
    LimitError
        If it is longer than it may be: there are a thousand planes, and a segment may be empty.
    """
    if len(stream) > LIMITS.table_bytes:
        raise LimitError(
            f"tag 347 JPEGTables of {len(stream)} bytes, more than the limit "
            f"table_bytes = {LIMITS.table_bytes}"
        )
    return [segment for marker, segment in segments(stream) if marker in _TABLES]
