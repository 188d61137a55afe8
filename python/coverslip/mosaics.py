"""Finds JPEG tiles that become frames by their coefficients, and gives them to the core."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.errors import CoverslipError, SourceError, UnsupportedSlideError
from coverslip.model import Level, Mosaic
from coverslip.sampling import looked_at

_SAMPLE_SIZE = 12
"""Tiles that are looked at before a route is chosen; the writer looks at all of them."""
_PROCESSES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}


def mosaic_of(level: Level) -> Mosaic:
    """Return the tiles of a level as those of a mosaic, which may be one without overlap."""
    if isinstance(level.picture, Mosaic):
        return level.picture
    return Mosaic(
        offsets=level.tiles.offsets,
        byte_counts=level.tiles.byte_counts,
        across=level.tiles.across,
        tile_width=level.tile_width,
        tile_length=level.tile_length,
    )


def core_mosaic(level: Level, private_ranges: npt.NDArray[np.uint64]) -> _core.Mosaic:
    """Return the tiles of a level as the core takes them."""
    mosaic = mosaic_of(level)
    return _core.Mosaic(
        mosaic.offsets,
        mosaic.byte_counts,
        across=mosaic.across,
        tile=(mosaic.tile_width, mosaic.tile_length),
        overlap=mosaic.overlap,
        size=(level.image_width, level.image_length),
        planes=mosaic.planes,
        private=private_ranges,
    )


class CodedSample:
    """A few tiles of a mosaic that have data, from all over it and from its edges."""

    has_missing = False

    def __init__(self, source: _core.Source, level: Level) -> None:
        self.source = source
        self.level = level
        self.mosaic = mosaic_of(level)
        count = len(self.mosaic.byte_counts) // self.mosaic.planes
        present = np.flatnonzero(self.mosaic.byte_counts[:count])
        if not len(present):
            raise UnsupportedSlideError("the level has no tile with data")
        picked = present[np.linspace(0, len(present) - 1, _SAMPLE_SIZE).astype(np.int64)]
        corners = [t for t in (self.mosaic.across - 1, count - self.mosaic.across) if t in present]
        self.tiles = [int(tile) for tile in np.unique([*picked, *corners])]

    @property
    def size(self) -> tuple[int, int]:
        """Width and length of each."""
        return self.mosaic.tile_width, self.mosaic.tile_length

    def data(self) -> Iterator[bytes]:
        """Yield streams whose colours can be looked at; of one colour alone nothing can be told."""
        if self.mosaic.planes == 1:
            for tile in looked_at(self.tiles, self.size):
                yield self.source.read(*self._range(tile))

    def _range(self, tile: int) -> tuple[int, int]:
        return int(self.mosaic.offsets[tile]), int(self.mosaic.byte_counts[tile])

    def facts(self) -> _core.JpegFacts:
        """Return what the first tile says, after all were found to have coefficients to read.

        Raises
        ------
        CoverslipError
            For the first of which that is not so.
        """
        return self._inspected()[0]

    def why(self) -> str | None:
        """Return what keeps the tiles from being frames, ``None`` if nothing does.

        Raises
        ------
        CoverslipError
            If it keeps their coefficients from being read as well.
        """
        if isinstance(self.level.picture, Mosaic):
            self._check_overlap()
            return "JPEG that overlap" if any(self.mosaic.overlap) else "one JPEG for each colour"
        try:
            for tile in self.tiles:
                _core.inspect_tile(self.source, tile, *self._range(tile), *self.size)
        except UnsupportedSlideError:
            name = self._coding()
            if name is None:
                raise
            return name
        return None

    def _coding(self) -> str | None:
        """Return how the tiles are coded, ``None`` if their coefficients are no way out."""
        try:
            inspected = self._inspected()
        except CoverslipError:
            return None
        if not all(map(self._covers, self.tiles, inspected)):
            return None
        processes = {facts.sof for facts in inspected}
        if processes - _PROCESSES.keys():
            return "arithmetic-coded JPEG"
        if 0xC2 in processes:
            return "progressive JPEG"
        is_cut = any((facts.columns, facts.rows) != self.size for facts in inspected)
        return "JPEG that is cut off at an edge" if is_cut else "JPEG in several scans"

    def _check_overlap(self) -> None:
        """Raise unless neighbouring tiles share whole MCUs, which alone can be cut off."""
        factors = self.facts().sampling
        across = 8 * max(horizontal for horizontal, _ in factors) if len(factors) > 1 else 8
        down = 8 * max(vertical for _, vertical in factors) if len(factors) > 1 else 8
        right, below = self.mosaic.overlap
        if right % across or below % down:
            raise UnsupportedSlideError(
                f"its tiles overlap by {right}x{below} pixels, which are no whole MCUs of "
                f"{across}x{down}"
            )

    def _inspected(self) -> list[_core.JpegFacts]:
        return [_core.inspect_coded(self.source, t, *self._range(t)) for t in self.tiles]

    def _covers(self, tile: int, facts: _core.JpegFacts) -> bool:
        """Tell whether a tile is as large as its place in the level."""
        row, column = divmod(tile, self.mosaic.across)
        width, length = self.size
        wanted = (
            min(width, self.level.image_width - column * width),
            min(length, self.level.image_length - row * length),
        )
        own = (facts.columns or width, facts.rows or length)
        return all(
            want <= have <= most for want, have, most in zip(wanted, own, self.size, strict=True)
        )


def is_rewritten(source: _core.Source, level: Level) -> bool:
    """Tell whether the coefficients of a level's tiles must be coded anew, not their bytes copied.

    Raises
    ------
    CoverslipError
        If they can be neither.
    """
    if level.picture is not None or level.raster is not None:
        return isinstance(level.picture, Mosaic)
    if level.compression != 7:
        return False
    try:
        return CodedSample(source, level).why() is not None
    except SourceError:
        return False  # what is wrong is told where tiles are copied
