"""Levels whose tiles or strips must be decoded, since they cannot be frames as they are."""

import numpy as np

from coverslip.errors import LimitError, SourceError, UnsupportedSlideError
from coverslip.formats.tints import chroma_of, palette_of
from coverslip.limits import LIMITS
from coverslip.model import Level, Raster, Spacing, TileIndex, Uint64Array
from coverslip.tiff import Directory
from coverslip.tiff.tags import (
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    TILE_BYTE_COUNTS,
    TILE_LENGTH,
    TILE_OFFSETS,
    TILE_WIDTH,
)

_IMAGE_WIDTH, _IMAGE_LENGTH, _BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_SAMPLES_PER_PIXEL, _ROWS_PER_STRIP, _PLANAR, _PREDICTOR = 277, 278, 284, 317
_CHUNKY, _APART = 1, 2
"""Values of tag 284 PlanarConfiguration."""
_NONE = 1
_RGB = 2
_MAX_FRAME_SIDE = 65535
"""Rows and Columns are 16-bit unsigned in DICOM."""
_CUT_FRAME = 1024
"""Side of the frames that strips are cut into, the same on all levels: readers ask for that."""
_BAND = 64
"""Rows of a strip that holds a whole plane, when it is divided."""

DECODED = {
    _NONE: "uncompressed",
    5: "LZW",
    8: "Deflate",
    22610: "JPEG XR",
    32773: "PackBits",
    32946: "Deflate",
    34887: "LERC",
    34925: "LZMA",
    34926: "ZSTD",
    34927: "WebP",
    34934: "JPEG XR",
    50000: "ZSTD",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}


_JPEG_2000 = {33003, 33004, 33005, 34712}


def is_decoded(directory: Directory) -> bool:
    """Tell whether the pieces of a directory must be decoded."""
    compression = directory.integer(_COMPRESSION, 1)
    return compression in DECODED or (compression in _JPEG_2000 and not directory.is_tiled)


def raster_level(directory: Directory, spacing: Spacing | None) -> Level:
    """Return a directory as a level that must be decoded; its structure has been checked.

    Raises
    ------
    UnsupportedSlideError
        If its pieces are larger than a frame can be, or its planes are none that TIFF knows.
    SourceError
        If its numbers make no sense.
    LimitError
        If it would be cut into too many frames.
    """
    width, length = directory.integer(_IMAGE_WIDTH, 0), directory.integer(_IMAGE_LENGTH, 0)
    columns, rows = _piece_size(directory, width, length)
    if min(width, length, columns, rows) < 1:
        raise SourceError(f"{directory.place} has a width or length of 0")
    planar = directory.integer(_PLANAR, _CHUNKY)
    if planar not in (_CHUNKY, _APART):
        raise UnsupportedSlideError(f"{directory.place} has an unknown tag 284")
    samples = directory.integer(_SAMPLES_PER_PIXEL, 1)
    is_planar = planar == _APART and samples > 1
    compression = directory.integer(_COMPRESSION, 1)
    across, down = -(-width // columns), -(-length // rows)
    frames = None if directory.is_tiled else _frames(directory, width, length)
    offsets, counts = piece_ranges(directory, across * down * (samples if is_planar else 1))
    bits = (directory.integers(_BITS_PER_SAMPLE) or (1,))[0]
    palette, chroma = palette_of(directory), chroma_of(directory)
    is_rgb_at_last = palette is not None or chroma is not None
    is_plain = compression == _NONE and chroma is None
    if is_plain and not directory.is_tiled and down == 1:
        row_bytes = width * (1 if is_planar else samples) * bits // 8
        offsets, counts = _in_bands(directory, offsets, counts, row_bytes, length)
        rows = min(rows, _BAND)
    return Level(
        ifd=directory.number,
        image_width=width,
        image_length=length,
        tile_width=columns if directory.is_tiled else _CUT_FRAME,
        tile_length=rows if directory.is_tiled else _CUT_FRAME,
        samples_per_pixel=samples if palette is None else 3,
        bits_per_sample=bits,
        compression=compression,
        photometric_interpretation=(
            _RGB if is_rgb_at_last else directory.integer(_PHOTOMETRIC, -1)
        ),
        tiles=frames or _tiles(offsets, counts, across, down),
        spacing=spacing,
        raster=Raster(
            codec=DECODED.get(compression, "JPEG 2000"),
            offsets=offsets,
            byte_counts=counts,
            width=columns,
            length=rows,
            is_tiled=directory.is_tiled,
            is_planar=is_planar,
            predictor=directory.integer(_PREDICTOR, 1),
            byte_order=directory.byte_order,
            palette=palette,
            chroma=chroma,
        ),
    )


def _piece_size(directory: Directory, width: int, length: int) -> tuple[int, int]:
    """Return width and length of a tile or strip; a strip is never longer than the picture."""
    if not directory.is_tiled:
        return width, min(directory.integer(_ROWS_PER_STRIP, length), length)
    columns, rows = directory.integer(TILE_WIDTH, 0), directory.integer(TILE_LENGTH, 0)
    if max(columns, rows) > _MAX_FRAME_SIDE:
        raise UnsupportedSlideError(
            f"{directory.place} has tiles of {columns}x{rows}, more than a frame can have"
        )
    return columns, rows


def piece_ranges(directory: Directory, pieces: int) -> tuple[Uint64Array, Uint64Array]:
    """Return offsets and byte counts of all tiles or strips; missing ones are 0 and 0.

    Surplus entries are ignored, and a deficit means missing pieces.
    """
    offsets = directory.array(TILE_OFFSETS)
    counts = directory.array(TILE_BYTE_COUNTS)
    if offsets is None:
        offsets = directory.array(STRIP_OFFSETS)
    if counts is None:
        counts = directory.array(STRIP_BYTE_COUNTS)
    if offsets is None or counts is None:
        raise SourceError(f"{directory.place} has no tile offsets or no byte counts")
    if len(offsets) < pieces and pieces > 4 * len(offsets) + 4096:
        raise SourceError(
            f"{directory.place} needs {pieces} tiles and has offsets for {len(offsets)}"
        )
    present = min(len(offsets), len(counts), pieces)
    offsets, counts = (_of_length(pieces, array[:present]) for array in (offsets, counts))
    missing = (offsets == 0) | (counts == 0)
    offsets[missing] = counts[missing] = 0
    return offsets, counts


def _of_length(length: int, values: Uint64Array) -> Uint64Array:
    """Return values with zeros behind them, without a copy if there are enough."""
    if len(values) == length:
        return values
    return np.concatenate([values, np.zeros(length - len(values), np.uint64)])


def _in_bands(
    directory: Directory, offsets: Uint64Array, counts: Uint64Array, row_bytes: int, length: int
) -> tuple[Uint64Array, Uint64Array]:
    """Divide strips that hold a whole plane without compression, so that each fits into memory."""
    if (counts != row_bytes * length).any():
        raise SourceError(f"{directory.place} has a strip that is not as long as its rows")
    first = np.arange(0, length, _BAND, dtype=np.uint64)
    rows = np.minimum(first + np.uint64(_BAND), np.uint64(length)) - first
    starts = offsets[:, None] + first * np.uint64(row_bytes)
    return starts.ravel(), np.tile(rows * np.uint64(row_bytes), len(offsets))


def _tiles(offsets: Uint64Array, counts: Uint64Array, across: int, down: int) -> TileIndex:
    """Return the tiles of the first plane, which tell which tiles are missing."""
    tiles = across * down
    return TileIndex(offsets=offsets[:tiles], byte_counts=counts[:tiles], across=across, down=down)


def _frames(directory: Directory, width: int, length: int) -> TileIndex:
    """Return the frames that strips are cut into, without data."""
    across, down = -(-width // _CUT_FRAME), -(-length // _CUT_FRAME)
    if across * down > LIMITS.tiles:
        raise LimitError(
            f"{directory.place} needs {across * down} frames, more than the limit "
            f"tiles = {LIMITS.tiles}"
        )
    none = np.zeros(across * down, np.uint64)
    return TileIndex(offsets=none, byte_counts=none, across=across, down=down)
