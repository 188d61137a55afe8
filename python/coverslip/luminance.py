"""Decodes a level in grey, piece by piece, at a size in which it can be searched."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.decoders import Decoders
from coverslip.errors import LimitError, UnsupportedSlideError
from coverslip.limits import LIMITS
from coverslip.model import (
    FrameFormat,
    Level,
    Montage,
    Mosaic,
    Picture,
    Raster,
    StoredPixels,
    Strips,
)
from coverslip.model import TileIndex as Index
from coverslip.montages import Composer
from coverslip.pictures import Pixels, parts
from coverslip.samples import Samples, check_samples, decode, is_inverted

_APERIO_YCC, _JPEG, _JPEG_2000 = 33003, 7, 34712
_JPEG_METHOD = "ISO_10918_1"
_RED_FIRST = ("RGB", "YBR_ICT", "YBR_RCT")
_LUMINANCE = (77, 150, 29)
"""Of 256, after ITU-R BT.601."""
_BRIGHTEST = 255
_SPREAD = (0.5, 99.5)
"""Of samples of 16 bits, which seldom use them all: per cent that become black and white."""

_Part = tuple[int, int, Samples, float]
"""First row and column, samples, and the share that they have in the grey."""


def luminance_of(
    source: _core.Source,
    level: Level,
    frame_format: FrameFormat,
    most: int,
    on_part: Callable[[], object] | None = None,
    *,
    with_padding: bool = False,
) -> npt.NDArray[np.uint8]:
    """Return the luminance of a level, white where it has no tile; shape (rows, columns).

    It is reduced by a whole factor while it is decoded, so that no more than one piece of the
    level is held beside it. Samples of 16 bits are spread over the greys.

    Parameters
    ----------
    source
        The slide.
    level
        A level.
    frame_format
        What its frames are, which tells luminance from red.
    most
        Pixels that the result may have.
    on_part
        Called for each piece; what it raises ends the decoding.
    with_padding
        Whether what tiles hold beyond the edges of the level is returned, too: their frames hold
        it.

    Raises
    ------
    CoverslipError
        If it is stored in a way that is not read, is damaged, or the level has more pixels than
        are searched.
    """
    pixels = level.image_width * level.image_length
    if pixels > LIMITS.searched_pixels:
        raise LimitError(
            f"it has {pixels} pixels, more than the limit "
            f"searched_pixels = {LIMITS.searched_pixels}"
        )
    factor = reduction_of(level, most)
    is_plain = factor == 1 and level.bits_per_sample == 8 and not _is_planar(level)
    shown = _with_padding(level) if with_padding else level
    canvas = _Greys(shown) if is_plain else _Means(shown, factor)
    for row, column, part, share in _grey_parts(source, level, shown, frame_format):
        if on_part is not None:
            on_part()
        canvas.add(row, column, part, share)
    return canvas.grey()


def reduction_of(level: Level, most: int) -> int:
    """Return by which whole factor each side of a level is reduced to have so many pixels."""
    return max(1, int(np.ceil(np.sqrt(level.image_width * level.image_length / most))))


def _with_padding(level: Level) -> Level:
    """Return a level as large as its tiles are together, if these are what its frames hold."""
    is_tiled = level.picture is None and (level.raster is None or level.raster.is_tiled)
    if not is_tiled:
        return level
    across = -(-level.image_width // level.tile_width)
    down = -(-level.image_length // level.tile_length)
    return replace(
        level, image_width=across * level.tile_width, image_length=down * level.tile_length
    )


class _Greys:
    """Gathers pieces of 8 bits that are whole greys, and are not reduced."""

    def __init__(self, level: Level) -> None:
        self._is_inverted = _is_inverted(level)
        self._pixels = np.full((level.image_length, level.image_width), _BRIGHTEST, np.uint8)

    def add(self, row: int, column: int, part: Samples, _share: float) -> None:
        """Put a piece where it belongs; what lies there already is replaced."""
        if part.dtype != np.uint8:
            raise UnsupportedSlideError("its samples have more bits than tag 258 says")
        self._pixels[row : row + part.shape[0], column : column + part.shape[1]] = part

    def grey(self) -> npt.NDArray[np.uint8]:
        """Return the pixels."""
        return np.invert(self._pixels) if self._is_inverted else self._pixels


class _Means:
    """Gathers the means of blocks of pixels; blocks at the far edges may be smaller."""

    def __init__(self, level: Level, factor: int) -> None:
        self._factor = factor
        self._is_deep = level.bits_per_sample > 8
        self._is_inverted = _is_inverted(level)
        self._empty = 0 if self._is_deep else _BRIGHTEST
        self._counts = [
            np.bincount(np.arange(side) // factor).astype(np.float32)
            for side in (level.image_length, level.image_width)
        ]
        shape = tuple(len(counts) for counts in self._counts)
        self._sums = np.zeros(shape, np.float32)

    def add(self, row: int, column: int, part: Samples, share: float) -> None:
        """Put a piece where it belongs, added to what lies there already."""
        values = (part.astype(np.float32) - self._empty) * np.float32(share)
        first = [row // self._factor, column // self._factor]
        for axis, start in ((0, row), (1, column)) if self._factor > 1 else ():
            block = np.arange(start, start + values.shape[axis]) // self._factor
            begins = np.flatnonzero(np.diff(block, prepend=-1))
            values = np.add.reduceat(values, begins, axis=axis)
        area = tuple(slice(at, at + n) for at, n in zip(first, values.shape, strict=True))
        self._sums[area] += values

    def grey(self) -> npt.NDArray[np.uint8]:
        """Return the means as greys."""
        rows, columns = self._counts
        means = self._sums / (rows[:, np.newaxis] * columns) + self._empty
        if self._is_deep:
            low, high = np.percentile(means, _SPREAD)
            means = (means - low) * (_BRIGHTEST / max(high - low, 1))
        grey = np.clip(np.round(means), 0, _BRIGHTEST).astype(np.uint8)
        return np.invert(grey) if self._is_inverted else grey


def _is_inverted(level: Level) -> bool:
    """Tell whether zero is white in what is decoded; what is composed was inverted already."""
    return is_inverted(level) and not isinstance(level.picture, Montage)


def _is_planar(level: Level) -> bool:
    """Tell whether pieces hold one of several colours."""
    if level.raster is not None:
        return level.raster.is_planar
    return isinstance(level.picture, Mosaic) and level.picture.planes > 1


def _grey_parts(
    source: _core.Source, level: Level, shown: Level, frame_format: FrameFormat
) -> Iterator[_Part]:
    """Yield what is to be shown of the pieces of a level."""
    if level.raster is not None:
        yield from _raster_parts(source, level, shown, level.raster)
        return
    if isinstance(level.picture, Montage):
        yield from _composed_parts(source, level, level.picture)
        return
    is_red_first = frame_format.photometric_interpretation in _RED_FIRST
    has_luminance = level.compression == _APERIO_YCC or not is_red_first
    planes = _planes(shown, _compression(level, frame_format))
    shares = [1.0] if has_luminance else _shares(len(planes))
    for stored, share in zip(planes, shares, strict=False):
        across, down = stored.overlap
        for row, column, part in parts(source, stored):
            # What a tile shares with the next one is that one's.
            if row + part.shape[0] < stored.image_length:
                part = part[: stored.tile_length - down]
            if column + part.shape[1] < stored.image_width:
                part = part[:, : stored.tile_width - across]
            grey = part[..., 0] if has_luminance or part.shape[2] == 1 else _weighted(part)
            yield row, column, grey, share


def _shares(planes: int) -> list[float]:
    """Return what each of some planes counts in the grey."""
    return [weight / 256 for weight in _LUMINANCE] if planes == 3 else [1 / planes] * planes


def _raster_parts(
    source: _core.Source, level: Level, shown: Level, raster: Raster
) -> Iterator[_Part]:
    """Yield the pieces of a level that are no frames; of colours apart each has its share."""
    check_samples(level, raster)
    planes = level.samples_per_pixel if raster.is_planar else 1
    shares = _shares(planes)
    count, across = len(raster.offsets) // planes, -(-level.image_width // raster.width)
    with closing(_decoders()) as decoders:
        for number in map(int, np.flatnonzero(raster.byte_counts)):
            plane, piece = divmod(number, count)
            row, column = divmod(piece, across)
            row, column = row * raster.length, column * raster.width
            rows = raster.length if raster.is_tiled else level.image_length - row
            data = source.read(int(raster.offsets[number]), int(raster.byte_counts[number]))
            samples = decode(level, raster, data, number, min(rows, raster.length), decoders)
            grey = samples if samples.ndim == 2 else _weighted(samples[..., :3])
            grey = grey[: shown.image_length - row, : shown.image_width - column]
            yield row, column, grey, shares[plane]


def _composed_parts(source: _core.Source, level: Level, montage: Montage) -> Iterator[_Part]:
    """Yield the frames of a level whose tiles lie at any place."""
    width, length = level.tile_width, level.tile_length
    with closing(_decoders()) as decoders:
        composer = Composer(source, montage, decoders)
        for row in range(0, level.image_length, length):
            for column in range(0, level.image_width, width):
                rows = min(length, level.image_length - row)
                columns = min(width, level.image_width - column)
                part = composer.compose(column, row, columns, rows)
                if part is not None:
                    yield row, column, part if part.ndim == 2 else _weighted(part), 1.0


def _decoders() -> Decoders:
    return Decoders(memory_bytes=LIMITS.decoder_memory_bytes, seconds=LIMITS.decoder_seconds)


def _weighted(rgb: Samples) -> Pixels:
    """Return the luminance of colours, which have 8 bits; a matrix product takes longer."""
    red, green, blue = (
        np.multiply(rgb[..., channel], weight, dtype=np.uint16)
        for channel, weight in enumerate(_LUMINANCE)
    )
    weighted: Pixels = (red + green + blue >> 8).astype(np.uint8)
    return weighted


def _compression(level: Level, frame_format: FrameFormat) -> int:
    """Return the value of tag 259 that is true of the tiles: their frames tell, the tag may lie."""
    is_jpeg = frame_format.lossy_methods == (_JPEG_METHOD,)
    if is_jpeg != (level.compression == _JPEG):
        return _JPEG if is_jpeg else _JPEG_2000
    return level.compression


def _planes(level: Level, compression: int) -> list[StoredPixels]:
    """Return where the pixels of a level are: once, or for each colour that is apart."""
    held = level.picture
    width, length, is_tiled, overlap, planes = level.tile_width, level.tile_length, True, (0, 0), 1
    if isinstance(held, Strips):
        width, length, is_tiled = level.image_width, held.rows_per_strip, False
    elif isinstance(held, Picture):
        width, length = level.image_width, level.image_length
    elif isinstance(held, Mosaic):
        width, length = held.tile_width, held.tile_length
        overlap, planes = held.overlap, held.planes
    across = held.across if isinstance(held, Mosaic) else -(-level.image_width // width)
    if isinstance(held, Picture):
        ranges = np.array([[held.offset], [held.byte_count]], np.uint64)
    else:
        index = level.tiles if held is None else held
        ranges = np.array([index.offsets, index.byte_counts], np.uint64)
    return [
        StoredPixels(
            image_width=level.image_width,
            image_length=level.image_length,
            tile_width=width,
            tile_length=length,
            is_tiled=is_tiled,
            samples_per_pixel=1 if planes > 1 else level.samples_per_pixel,
            compression=compression,
            photometric_interpretation=level.photometric_interpretation,
            tiles=Index(
                offsets=offsets,
                byte_counts=byte_counts,
                across=across,
                down=len(offsets) // max(across, 1),
            ),
            jpeg_tables=level.jpeg_tables,
            overlap=overlap,
        )
        for offsets, byte_counts in np.split(ranges, planes, axis=1)
    ]
