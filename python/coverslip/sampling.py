"""A few of the streams of a level, to look at before its route is chosen."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.errors import UnsupportedSlideError
from coverslip.model import Level, Picture, Strips

_SAMPLE_SIZE = 12
"""Tiles that are looked at before a route is chosen; the plan looks at all of them."""
_SMALL_PICTURE = 1 << 20
"""Bytes of a JPEG that is decoded as a whole to look at its colours."""
_LOOKED_AT_PIXELS = 8 << 20
"""Of large tiles fewer are decoded to look at their colours, but three."""
_JPEG_SIDE = 65535


def core_picture(
    level: Level, picture: Picture, private_ranges: npt.NDArray[np.uint64]
) -> _core.Picture:
    """Return the picture of a level as the core takes it."""
    return _core.Picture(
        picture.offset,
        picture.byte_count,
        width=level.image_width,
        length=level.image_length,
        private=private_ranges,
        starts=picture.starts,
    )


def looked_at(tiles: list[int], size: tuple[int, int]) -> list[int]:
    """Return those of a few tiles of a size that are decoded to look at their colours."""
    most = max(3, _LOOKED_AT_PIXELS // (size[0] * size[1]))
    if len(tiles) <= most:
        return tiles
    return [tiles[round(at)] for at in np.linspace(0, len(tiles) - 1, most)]


class Sample(Protocol):
    """Streams of a level, to look at their pixels."""

    level: Level
    has_missing: bool

    def data(self) -> Iterator[bytes]:
        """Yield them."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and length of each."""


class TileSample:
    """A few tiles of a level that have data, from all over it."""

    def __init__(self, source: _core.Source, level: Level) -> None:
        self.source = source
        self.level = level
        present = np.flatnonzero(level.tiles.byte_counts)
        picked = np.linspace(0, max(len(present) - 1, 0), _SAMPLE_SIZE).astype(np.int64)
        self.tiles: list[int] = [int(t) for t in present[np.unique(picked)]] if len(present) else []
        self.has_missing = len(present) < len(level.tiles.byte_counts)

    def _range(self, tile: int) -> tuple[int, int]:
        tiles = self.level.tiles
        return int(tiles.offsets[tile]), int(tiles.byte_counts[tile])

    @property
    def size(self) -> tuple[int, int]:
        """Width and length of each."""
        return self.level.tile_width, self.level.tile_length

    def facts(self) -> _core.JpegFacts | _core.Jpeg2000Facts:
        """Return what the first of the tiles says, after all were found fit to be frames."""
        if not self.tiles:
            raise UnsupportedSlideError("the level has no tile with data")
        first, *_ = (
            _core.inspect_tile(self.source, tile, *self._range(tile), *self.size)
            for tile in self.tiles
        )
        return first

    def data(self) -> Iterator[bytes]:
        """Yield them."""
        for tile in looked_at(self.tiles, self.size):
            yield self.source.read(*self._range(tile))


class PictureSample:
    """The whole picture, if it is small: of a large one no part can be decoded by itself."""

    what = "one baseline JPEG"
    has_missing = False

    def __init__(self, source: _core.Source, level: Level, picture: Picture) -> None:
        self.source = source
        self.level = level
        self.picture = picture

    @property
    def size(self) -> tuple[int, int]:
        """Width and length of each."""
        return self.level.image_width, self.level.image_length

    def data(self) -> Iterator[bytes]:
        """Yield them."""
        if self.picture.byte_count <= _SMALL_PICTURE and max(self.size) <= _JPEG_SIDE:
            yield self.source.read(self.picture.offset, self.picture.byte_count)


class StripSample:
    """A few strips of a level, to look at."""

    what = "baseline JPEG in strips"
    has_missing = False

    def __init__(self, source: _core.Source, level: Level, strips: Strips) -> None:
        self.source = source
        self.level = level
        self.strips = strips

    @property
    def size(self) -> tuple[int, int]:
        """Width and length of each."""
        return self.level.image_width, self.strips.rows_per_strip

    def facts(self) -> _core.JpegFacts:
        """Return what the first strip says; all are looked at when they are joined."""
        if max(self.level.image_width, self.level.image_length) > _JPEG_SIDE:
            raise UnsupportedSlideError("its strips are a picture larger than a JPEG can be")
        facts = _core.inspect_tile(self.source, 0, *self._range(0), *self.size)
        if not isinstance(facts, _core.JpegFacts):
            raise UnsupportedSlideError("its strips are JPEG 2000")
        return facts

    def _range(self, strip: int) -> tuple[int, int]:
        return int(self.strips.offsets[strip]), int(self.strips.byte_counts[strip])

    def data(self) -> Iterator[bytes]:
        """Yield them."""
        whole = max(1, self.level.image_length // self.strips.rows_per_strip)
        for strip in np.unique(np.linspace(0, whole - 1, _SAMPLE_SIZE).astype(np.int64)):
            yield self.source.read(*self._range(int(strip)))
