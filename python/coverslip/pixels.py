"""Decodes the tiles of a level once, and stores their pixels as lossless JPEG 2000.

That codec was chosen since every reader that matters takes it; `benches/record` has the figures.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.cores import Cores, decoders_of_limits, in_flight, sample_bytes, spooled
from coverslip.decoders import Decoders
from coverslip.errors import LimitError, SourceError, VerificationError
from coverslip.guard import core_count
from coverslip.limits import LIMITS
from coverslip.model import Level, Raster, TileIndex
from coverslip.samples import Samples, decode, is_inverted, white


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Frames of a level that stand in a file of their own."""

    tiles: TileIndex
    """Where they lie in it; a missing tile has byte count 0."""
    blank: bytes = field(repr=False)
    """The frame that stands for a missing tile."""
    source_bytes: int
    """What the tiles take in the slide."""


def store(
    source: _core.Source,
    level: Level,
    private_ranges: npt.NDArray[np.uint64],
    spool: Path,
    *,
    is_emitted: bool,
    most: int,
    prove: bool,
    on_frames: Callable[[int], object] | None,
) -> Stored:
    """Decode a level and append its frames, lossless JPEG 2000 codestreams, to a file.

    All cores work on it. Ctrl-C ends it when the frames that are in work are done.

    Parameters
    ----------
    source
        The slide.
    level
        A level with a raster, which `coverslip.samples.check_samples` has found fit.
    private_ranges
        Shape (n, 2): offset and byte count of what no frame may touch.
    spool
        The file.
    is_emitted
        Whether a missing tile is black, for light that the specimen gives off, and not white.
    most
        Bytes beyond which it may not grow.
    prove
        Whether to decode each frame again and compare it with what was decoded from the slide.
    on_frames
        Called about ten times a second with how many frames are written.

    Raises
    ------
    SourceError
        If a tile is not what the tags say, or the slide changes meanwhile.
    LimitError
        If more would have to be decoded at a time than the limits allow.
    VerificationError
        If a frame does not decode to the pixels it was made of.
    """
    raster = level.raster
    if raster is None:
        raise AssertionError("the level need not be decoded")
    _core.TileIndex(source, raster.offsets, raster.byte_counts, private_ranges)
    with closing(decoders_of_limits()) as decoders, Cores() as cores:
        reader = _Reader(source, level, raster, cores, decoders)
        jobs = (partial(_frame, number, read, prove=prove) for number, read in reader.frames())
        in_order = cores.in_order(jobs, in_flight(level))
        offsets, byte_counts = spooled(in_order, spool, most=most, on_frames=on_frames)
    source.check_unchanged()
    tiles = TileIndex(
        offsets=offsets, byte_counts=byte_counts, across=level.tiles.across, down=level.tiles.down
    )
    return Stored(
        tiles=tiles,
        blank=_encode(blank(level, level.tile_length, level.tile_width, is_emitted=is_emitted)),
        source_bytes=int(raster.byte_counts.sum()),
    )


def _frame(number: int, read: Callable[[], Samples | None], *, prove: bool) -> bytes:
    """Return the codestream of one frame, empty if the slide has no tile there."""
    samples = read()
    if samples is None:
        return b""
    frame = _encode(samples)
    if prove and not np.array_equal(_decode(frame), samples):
        raise VerificationError(f"frame {number} does not decode to the pixels it was made of")
    return frame


def _encode(samples: Samples) -> bytes:
    import imagecodecs

    encoded = imagecodecs.jpeg2k_encode(
        np.ascontiguousarray(samples),
        level=0,
        codecformat="j2k",
        reversible=True,
        mct=samples.ndim == 3,
        numthreads=1,
    )
    return bytes(encoded)


def _decode(frame: bytes) -> Samples:
    import imagecodecs

    decoded: Samples = imagecodecs.jpeg2k_decode(frame, numthreads=1)
    return decoded


def blank(level: Level, rows: int, columns: int, *, is_emitted: bool = False) -> Samples:
    """Return what stands where a level has nothing: white, or black if light is emitted."""
    shape = (rows, columns) if level.samples_per_pixel == 1 else (rows, columns, 3)
    nothing = 0 if is_emitted else white(level)
    return np.full(shape, nothing, np.uint8 if level.bits_per_sample == 8 else np.uint16)


class _Reader:
    """Reads and decodes the pieces of a level."""

    def __init__(
        self,
        source: _core.Source,
        level: Level,
        raster: Raster,
        cores: Cores,
        decoders: Decoders,
    ) -> None:
        self.source = source
        self.level = level
        self.raster = raster
        self.cores = cores
        self.decoders = decoders
        self.kept: dict[int, Samples] = {}

    def frames(self) -> Iterator[tuple[int, Callable[[], Samples | None]]]:
        """Yield number and reader of each frame, row by row; strips are decoded on the way."""
        if self.raster.is_tiled:
            for tile in range(len(self.level.tiles.offsets)):
                yield tile, partial(self._tile, tile)
            return
        side = self.level.tile_width
        for row in range(self.level.tiles.down):
            band = self._band(row)
            for column in range(self.level.tiles.across):
                number = row * self.level.tiles.across + column
                part = band[:, column * side : (column + 1) * side]
                yield number, partial(_same, part)

    def _piece(self, piece: int, rows: int) -> Samples:
        offset, byte_count = int(self.raster.offsets[piece]), int(self.raster.byte_counts[piece])
        data = self.source.read(offset, byte_count)
        samples = decode(self.level, self.raster, data, piece, rows, self.decoders)
        return white(self.level) - samples if is_inverted(self.level) else samples

    def _tile(self, tile: int) -> Samples | None:
        """Return a tile, ``None`` if it is missing."""
        pieces = self._planes(tile, len(self.level.tiles.offsets))
        present = [bool(self.raster.byte_counts[piece]) for piece in pieces]
        if not any(present):
            return None
        if not all(present):
            raise SourceError(f"tile {tile} lacks one of its colours")
        return _together([self._piece(piece, self.raster.length) for piece in pieces])

    def _planes(self, piece: int, count: int) -> list[int]:
        """Return the numbers of a piece, of ``count``, in all planes."""
        planes = self.level.samples_per_pixel if self.raster.is_planar else 1
        return [piece + plane * count for plane in range(planes)]

    def _strip(self, strip: int) -> Samples:
        count = -(-self.level.image_length // self.raster.length)
        pieces = self._planes(strip, count)
        if not all(self.raster.byte_counts[piece] for piece in pieces):
            raise SourceError(f"strip {strip} has no data")
        rows = min(self.raster.length, self.level.image_length - strip * self.raster.length)
        return _together([self._piece(piece, rows) for piece in pieces])

    def _band(self, row: int) -> Samples:
        """Return the rows of pixels that a row of frames takes, white where the picture ends."""
        level, length = self.level, self.raster.length
        columns = level.tiles.across * level.tile_width
        if sample_bytes(level, level.tile_length, columns) > LIMITS.decoded_bytes:
            raise LimitError(
                f"{level.tile_length} rows of {columns} pixels are more than the limit "
                f"decoded_bytes = {LIMITS.decoded_bytes}"
            )
        top = row * level.tile_length
        bottom = min(top + level.tile_length, level.image_length)
        band = blank(level, level.tile_length, columns)
        for strip, samples in self._strips(range(top // length, -(-bottom // length))):
            first = strip * length
            begin, end = max(first, top), min(first + len(samples), bottom)
            rows = samples[begin - first : end - first]
            band[begin - top : end - top, : level.image_width] = rows
        return band

    def _strips(self, strips: range) -> Iterator[tuple[int, Samples]]:
        """Yield strips; the last one is kept, since the next row of frames may begin in it."""
        jobs = (
            partial(_same, self.kept[strip]) if strip in self.kept else partial(self._strip, strip)
            for strip in strips
        )
        with closing(self.cores.in_order(jobs, 2 * core_count())) as decoded:
            for strip, samples in zip(strips, decoded, strict=True):
                self.kept = {strip: samples}
                yield strip, samples


def _same(samples: Samples) -> Samples:
    return samples


def _together(planes: list[Samples]) -> Samples:
    """Return planes as one array of pixels."""
    return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)
