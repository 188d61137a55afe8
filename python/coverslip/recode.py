"""Composes levels whose tiles only fit together once they are decoded, and encodes them as JPEG.

That loses something once more, so it is done where nothing else is possible and the user says so.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.cores import Cores, decoders_of_limits, in_flight, sample_bytes, spooled
from coverslip.model import Level, Montage
from coverslip.montages import Composer
from coverslip.pixels import Stored

_SUBSAMPLING = "422"
"""As the Photometric Interpretation says, YBR_FULL_422."""


def store(
    source: _core.Source,
    level: Level,
    private_ranges: npt.NDArray[np.uint64],
    spool: Path,
    *,
    quality: int,
    most: int,
    on_frames: Callable[[int], object] | None,
) -> Stored:
    """Compose the frames of a level and append them to a file, as JPEG streams.

    Each frame is composed by itself, so that no more of the level is in memory than the frames in
    work; all cores work on it.

    Parameters
    ----------
    source
        The slide.
    level
        A level whose tiles lie at any place, and are known as a raster.
    private_ranges
        Shape (n, 2): offset and byte count of what no frame may touch.
    spool
        The file.
    quality
        Of the JPEG, as libjpeg counts it.
    most
        Bytes beyond which it may not grow.
    on_frames
        Called about ten times a second with how many frames are written.

    Raises
    ------
    SourceError
        If a tile is not what the tags say, or the slide changes meanwhile.
    LimitError
        If more would be made than the limits allow.
    """
    montage = level.picture
    if not isinstance(montage, Montage):
        raise AssertionError("the tiles of the level have no places")
    _core.TileIndex(source, montage.offsets, montage.byte_counts, private_ranges)
    with closing(decoders_of_limits()) as decoders, Cores() as cores:
        composer = Composer(source, montage, decoders)
        jobs = (partial(_frame, composer, area, quality) for area in _areas(level))
        frames = cores.in_order(jobs, in_flight(level))
        offsets, byte_counts = spooled(frames, spool, most=most, on_frames=on_frames)
    source.check_unchanged()
    return Stored(
        tiles=replace(level.tiles, offsets=offsets, byte_counts=byte_counts),
        blank=b"",
        source_bytes=int(montage.byte_counts.sum()),
    )


def decoded_bytes(level: Level) -> int:
    """Return how many bytes the tiles of a level have when they are decoded."""
    total = 0
    for plane in level.focal_planes:
        if isinstance(plane.picture, Montage):
            stored, byte_counts = plane.picture.stored, plane.picture.byte_counts
            tile = sample_bytes(stored, stored.tile_length, stored.tile_width)
            total += int(np.count_nonzero(byte_counts)) * tile
    return total


def _areas(level: Level) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, width and length of each frame, row by row."""
    for row in range(level.tiles.down):
        for column in range(level.tiles.across):
            x, y = column * level.tile_width, row * level.tile_length
            yield x, y, level.tile_width, level.tile_length


def _frame(composer: Composer, area: tuple[int, int, int, int], quality: int) -> bytes:
    """Return the JPEG of one frame, empty if the slide has nothing there."""
    import imagecodecs

    samples = composer.compose(*area)
    if samples is None:
        return b""
    if samples.ndim == 2:
        return bytes(imagecodecs.jpeg8_encode(samples, level=quality, optimize=True))
    encoded = imagecodecs.jpeg8_encode(
        samples,
        level=quality,
        colorspace="RGB",
        outcolorspace="YCBCR",
        subsampling=_SUBSAMPLING,
        optimize=True,
    )
    return bytes(encoded)
