"""Takes the samples out of a tile or strip that cannot be a frame as it is.

What is decoded is hostile. Each decoder is told how much may come out of it before it begins, and
whatever it raises becomes an error of ours, without its message.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from coverslip.codecs import JPEG, JPEG_2000, JPEG_LS, LERC, LOSSLESS_JPEG, Wanted
from coverslip.decoders import Decoders
from coverslip.errors import CoverslipError, LimitError, SourceError, UnsupportedSlideError
from coverslip.limits import LIMITS
from coverslip.model import Coded, Level, Raster

Samples = npt.NDArray[np.uint8 | np.uint16]

_UNCOMPRESSED, _LZW = 1, 5
_PROCESSES = {
    "JPEG": JPEG,
    "lossless JPEG": LOSSLESS_JPEG,
    "JPEG 2000": JPEG_2000,
    "JPEG-LS": JPEG_LS,
    "LERC": LERC,
}
_WITH_TABLES = ("JPEG", "lossless JPEG")
_LZW_CODE_BYTES = 4096
"""What the last code of a stream may stand for; some writers end on more than a strip holds."""
_NO_PREDICTOR, _HORIZONTAL = 1, 2
_PREDICTED = {5, 8, 32946, 34925, 34926, 50000}
"""Codecs with which tag 317 means something; on others readers disagree about it."""
_LOSSY = {
    22610: "ISO_29199_2",
    34927: "RFC_9649",
    34934: "ISO_29199_2",
    50001: "RFC_9649",
    50002: "ISO_18181_1",
    52546: "ISO_18181_1",
}
"""Terms of (0028,2114). DICOM defines that of JPEG XL only (PS3.3 C.7.6.1.1.5); the others are
named after their standards in the same way, since a defined one would be wrong."""
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2


def lossy_method(level: Level) -> str | None:
    """Return the term of (0028,2114) for a codec that may have lost something.

    All of these can also store without loss, but whether one did cannot be told from its stream.
    """
    coded = None if level.raster is None else level.raster.coded
    return _LOSSY.get(level.compression) if coded is None else coded.lossy_method


def white(level: Level) -> int:
    """Return the largest sample: fewer than 16 bits may be used of them."""
    coded = None if level.raster is None else level.raster.coded
    return (1 << (level.bits_per_sample if coded is None else coded.depth)) - 1


def is_inverted(level: Level) -> bool:
    """Tell whether white is zero: black and white are then exchanged."""
    return level.photometric_interpretation == _WHITE_IS_ZERO


def check_samples(level: Level, raster: Raster) -> None:
    """Raise if the samples of a level cannot become those of a frame, whatever its data are.

    Raises
    ------
    UnsupportedSlideError
        For a depth, colour or predictor that is not understood or has no place in the IOD.
    LimitError
        If a tile or strip is larger than what is decoded at a time.
    """
    allowed = (_WHITE_IS_ZERO, _BLACK_IS_ZERO) if level.samples_per_pixel == 1 else (_RGB,)
    if level.photometric_interpretation not in allowed:
        raise UnsupportedSlideError(
            f"its {raster.codec} samples (compression {level.compression}) are neither RGB nor "
            "grey (tag 262 PhotometricInterpretation)"
        )
    if level.bits_per_sample not in (8, 16):
        raise UnsupportedSlideError("its samples have neither 8 nor 16 bits (tag 258)")
    if level.bits_per_sample == 16 and level.samples_per_pixel != 1:
        raise UnsupportedSlideError("colour samples of 16 bits have no place in this IOD")
    if raster.predictor not in (_NO_PREDICTOR, _HORIZONTAL):
        raise UnsupportedSlideError("its predictor is not that of integers (tag 317)")
    if raster.predictor != _NO_PREDICTOR and level.compression not in _PREDICTED:
        raise UnsupportedSlideError(f"its tiles are {raster.codec}, which has no predictor")
    size = raster.width * raster.length * level.samples_per_pixel * level.bits_per_sample // 8
    if size > LIMITS.decoded_bytes:
        raise LimitError(
            f"a tile or strip has {size} bytes when decoded, more than the limit "
            f"decoded_bytes = {LIMITS.decoded_bytes}"
        )


def decode(
    level: Level, raster: Raster, data: bytes, piece: int, rows: int, decoders: Decoders
) -> Samples:
    """Return what a tile or strip holds, in the byte order of this machine.

    The shape is (rows, columns, samples), or (rows, columns) where there is one sample.

    Parameters
    ----------
    level
        The level it belongs to; see `check_samples`.
    raster
        How the pieces of the level are stored.
    data
        The bytes of the piece.
    piece
        Its number, for messages.
    rows
        How many rows it must have; the last strip may have more, which are dropped.
    decoders
        Who decodes it.

    Raises
    ------
    SourceError
        If that is not what comes out of it.
    """
    kind = "tile" if raster.is_tiled else "strip"
    is_single = raster.is_planar or raster.palette is not None
    samples = 1 if is_single else level.samples_per_pixel
    shape = (rows, raster.width) if samples == 1 else (rows, raster.width, samples)
    dtype = np.dtype(np.uint8 if level.bits_per_sample == 8 else np.uint16)
    sample_bytes = samples * dtype.itemsize
    whole = _piece_bytes(raster, raster.length, sample_bytes)
    wanted = Wanted(
        compression=level.compression,
        shape=shape,
        sample_bytes=dtype.itemsize,
        most=whole + 1 + (_LZW_CODE_BYTES if level.compression == _LZW else 0),
        lzma_bytes=LIMITS.lzma_bytes,
    )
    if raster.coded is not None:
        wanted = _wanted_of(wanted, level, raster.coded, piece)
        data = (level.jpeg_tables or b"")[: wanted.table_bytes] + data
    try:
        if level.compression != _UNCOMPRESSED:
            data = decoders.decode(data, wanted)
        if level.compression == _LZW and len(data) <= whole + _LZW_CODE_BYTES:
            data = data[:whole]
        is_picture = raster.coded is not None or level.compression in (*_LOSSY, LERC)
        order = "=" if is_picture else raster.byte_order
        if len(data) not in (_piece_bytes(raster, rows, sample_bytes), whole):
            raise ValueError("too few or too many bytes")
        decoded = _shaped(data, shape, dtype.newbyteorder(order), raster)
        if raster.predictor == _HORIZONTAL:
            decoded = np.cumsum(decoded, axis=1, dtype=dtype)
        if raster.palette is not None:
            return raster.palette[decoded]
        if raster.chroma is not None:
            return rgb_of_ycbcr(decoded)
        if raster.coded is not None and raster.coded.is_ycbcr and wanted.compression == JPEG_2000:
            return rgb_of_ycbcr(decoded)
        return decoded.astype(dtype, copy=False)
    except LimitError:
        raise  # a ValueError too, but not one of the codec
    except ImportError:
        failed: CoverslipError = UnsupportedSlideError(
            f"the imagecodecs that is installed cannot decode {raster.codec}"
        )
    except MemoryError:
        failed = LimitError(f"{kind} {piece} cannot be decoded in the memory at hand")
    except ValueError:
        failed = SourceError(f"{kind} {piece} does not hold {raster.codec} of its size")
    raise failed


def _wanted_of(wanted: Wanted, level: Level, coded: Coded, piece: int) -> Wanted:
    """Return what is wanted of a tile of JPEG or its kin, which may end where the level does."""
    rows, columns = wanted.shape[:2]
    row, column = divmod(piece, level.tiles.across)
    clipped = (
        min(rows, level.image_length - row * rows),
        min(columns, level.image_width - column * columns),
    )
    return replace(
        wanted,
        compression=_PROCESSES[coded.process],
        clipped=clipped if level.has_tiles else (rows, columns),
        table_bytes=len(level.jpeg_tables or b"") if coded.process in _WITH_TABLES else 0,
        is_ycbcr=coded.is_ycbcr,
        may_be_lossy=coded.lossy_method is not None,
    )


def rgb_of_ycbcr(part: npt.NDArray[np.uint8 | np.uint16]) -> npt.NDArray[np.uint8]:
    """Return red, green and blue of samples after ITU-R BT.601 in full range (JFIF)."""
    luminance, blue, red = np.moveaxis(part.astype(np.float32), 2, 0)
    blue, red = blue - 128, red - 128
    rgb = np.stack(
        [
            luminance + 1.402 * red,
            luminance - 0.344136 * blue - 0.714136 * red,
            luminance + 1.772 * blue,
        ],
        axis=2,
    )
    return np.clip(np.round(rgb), 0, 255).astype(np.uint8)


def _piece_bytes(raster: Raster, rows: int, sample_bytes: int) -> int:
    """Return the bytes of so many rows of a tile or strip without compression.

    ``sample_bytes`` are those of all samples of a pixel, if each has its own chroma.
    """
    if raster.chroma is None:
        return rows * raster.width * sample_bytes
    across, down = _units(raster, rows, raster.chroma)
    columns, high = raster.chroma
    return across * down * (columns * high + 2)


def _units(raster: Raster, rows: int, chroma: tuple[int, int]) -> tuple[int, int]:
    """Return how many groups of pixels that share chroma lie side by side, and in a column."""
    return -(-raster.width // chroma[0]), -(-rows // chroma[1])


def _shaped(data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], raster: Raster) -> Samples:
    """Return the rows that are wanted of unpacked bytes, of which there are enough, as an array."""
    rows, columns = shape[:2]
    if raster.chroma in (None, (1, 1)):
        return np.frombuffer(data, dtype, count=math.prod(shape)).reshape(shape)
    return _of_units(data, raster, rows)[:rows, :columns]


def _of_units(data: bytes, raster: Raster, rows: int) -> Samples:
    """Return luminance and chroma of each pixel, the latter repeated.

    They are stored in groups: the luminance of each pixel, then the chroma of all (TIFF 6.0,
    section 21).
    """
    if raster.chroma is None:
        raise AssertionError("there are no groups")
    wide, high = raster.chroma
    across, down = _units(raster, rows, raster.chroma)
    units = np.frombuffer(data, np.uint8, count=across * down * (wide * high + 2))
    units = units.reshape(down, across, wide * high + 2)
    luminance = units[..., :-2].reshape(down, across, high, wide).swapaxes(1, 2)
    chroma = units[..., -2:].repeat(high, axis=0).repeat(wide, axis=1)
    return np.concatenate([luminance.reshape(*chroma.shape[:2], 1), chroma], axis=2)
