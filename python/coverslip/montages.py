"""Puts tiles together that overlap or gape by any number of pixels."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.decoders import Decoders
from coverslip.model import Level, Montage, Mosaic, TileIndex
from coverslip.samples import Samples, decode, is_inverted, white

_KEPT_BYTES = 16 << 20
"""Decoded tiles that are kept for the next parts of a frame."""


def montage_of_mosaic(level: Level, mosaic: Mosaic, why: str) -> Montage:
    """Return the regularly overlapping tiles of a level as tiles that lie at any place."""
    down = len(mosaic.offsets) // mosaic.across
    stored = replace(
        level,
        image_width=mosaic.across * mosaic.tile_width,
        image_length=down * mosaic.tile_length,
        tile_width=mosaic.tile_width,
        tile_length=mosaic.tile_length,
        tiles=TileIndex(
            offsets=mosaic.offsets,
            byte_counts=mosaic.byte_counts,
            across=mosaic.across,
            down=down,
        ),
        picture=None,
        planes_above=(),
    )
    places = np.empty((down, mosaic.across, 2), np.int64)
    places[..., 0] = np.arange(mosaic.across) * (mosaic.tile_width - mosaic.overlap[0])
    places[..., 1] = np.arange(down)[:, None] * (mosaic.tile_length - mosaic.overlap[1])
    return Montage(stored=stored, places=places, parts=1, why=why)


class Composer:
    """Composes parts of a level, each from the few tiles that show in it.

    Parameters
    ----------
    source
        The slide.
    montage
        Where its tiles lie; how they are stored must be known as a raster.
    decoders
        Who decodes them.
    """

    def __init__(self, source: _core.Source, montage: Montage, decoders: Decoders) -> None:
        raster = montage.stored.raster
        if raster is None:
            raise AssertionError("nothing says how its tiles are decoded")
        self._source, self._decoders = source, decoders
        self._level, self._raster, self._parts = montage.stored, raster, montage.parts
        self._across = montage.places.shape[1]
        places = montage.places.reshape(-1, 2)
        shown = np.flatnonzero(places[:, 0] >= 0)
        order = np.argsort(places[shown, 1], kind="stable")
        self._numbers = shown[order]
        self._places = places[self._numbers]

    def compose(self, x: int, y: int, columns: int, rows: int) -> Samples | None:
        """Return a part of the level, white where it has no tile; ``None`` if that is all of it."""
        level = self._level
        shape = (rows, columns) if level.samples_per_pixel == 1 else (rows, columns, 3)
        part = np.full(shape, white(level), np.uint8)
        kept: OrderedDict[int, Samples] = OrderedDict()
        is_empty = True
        for number, place in self._touching(x, y, columns, rows):
            tile, source_area, left, top = self._piece_of(number, place)
            if tile is None:
                continue
            samples = self._tile(tile, kept)
            piece = samples[source_area]
            is_empty = not _paste(part, piece, left - x, top - y) and is_empty
        return None if is_empty else part

    def _touching(
        self, x: int, y: int, columns: int, rows: int
    ) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Yield number and place of each tile of the base that may show, in their order.

        Where two overlap the one to the lower right is seen, as in OpenSlide.
        """
        parts, raster = self._parts, self._raster
        # A pixel more on each side, since places are rounded.
        above = np.searchsorted(self._places[:, 1], (y - 1) * parts - raster.length)
        below = np.searchsorted(self._places[:, 1], (y + rows + 1) * parts, side="right")
        lefts = self._places[above:below, 0]
        is_near = (lefts > (x - 1) * parts - raster.width) & (lefts < (x + columns + 1) * parts)
        near = np.flatnonzero(is_near) + above
        for index in near[np.argsort(self._numbers[near])]:
            yield int(self._numbers[index]), self._places[index]

    def _piece_of(
        self, number: int, place: npt.NDArray[np.int64]
    ) -> tuple[int | None, tuple[slice, slice], int, int]:
        """Return which tile of the level shows a tile of the base, where in it, and its place.

        A part that does not begin at a whole pixel begins at the one before.
        """
        parts, (row, column) = self._parts, divmod(number, self._across)
        row, part_row = divmod(row, parts)
        column, part_column = divmod(column, parts)
        columns, left = _extent(part_column, self._raster.width, parts, int(place[0]))
        rows, top = _extent(part_row, self._raster.length, parts, int(place[1]))
        tiles = self._level.tiles
        tile = row * tiles.across + column
        is_there = row < tiles.down and column < tiles.across and self._raster.byte_counts[tile]
        return (tile if is_there else None), (rows, columns), left, top

    def _tile(self, tile: int, kept: OrderedDict[int, Samples]) -> Samples:
        if tile in kept:
            kept.move_to_end(tile)
            return kept[tile]
        raster = self._raster
        data = self._source.read(int(raster.offsets[tile]), int(raster.byte_counts[tile]))
        samples = decode(self._level, raster, data, tile, raster.length, self._decoders)
        if is_inverted(self._level):
            samples = white(self._level) - samples
        kept[tile] = samples
        while len(kept) > 1 and len(kept) * samples.nbytes > _KEPT_BYTES:
            kept.popitem(last=False)
        return samples


def _extent(part: int, size: int, parts: int, place: int) -> tuple[slice, int]:
    """Return the pixels of a tile in one direction that a part of it takes, and their place."""
    begin, end = part * size // parts, -(-(part + 1) * size // parts)
    # The part begins at part * size / parts, and that is to come to place / parts.
    return slice(begin, end), round((place - part * size) / parts) + begin


def _paste(whole: Samples, piece: Samples, left: int, top: int) -> bool:
    """Put a piece where it belongs, as far as it shows; tell whether it does."""
    rows, columns = whole.shape[:2]
    from_row, from_column = max(0, -top), max(0, -left)
    to_row = min(piece.shape[0], rows - top)
    to_column = min(piece.shape[1], columns - left)
    if from_row >= to_row or from_column >= to_column:
        return False
    seen = piece[from_row:to_row, from_column:to_column]
    whole[top + from_row : top + to_row, left + from_column : left + to_column] = seen
    return True
