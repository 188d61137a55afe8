"""Decodes the few pictures that are looked at: overviews and small levels.

Codecs are run on hostile data here, so nothing is decoded before its header, as the core reads
it, agrees with the size that the directory tells.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import numpy as np
import numpy.typing as npt

from coverslip import _core, colour
from coverslip.codecs import DECODED, Wanted
from coverslip.decoders import Decoders
from coverslip.errors import CoverslipError, LimitError, SourceError, UnsupportedSlideError
from coverslip.limits import LIMITS
from coverslip.model import StoredPixels
from coverslip.samples import rgb_of_ycbcr

Pixels = npt.NDArray[np.uint8]
"""Shape (rows, columns, samples)."""
_NONE, _JPEG = 1, 7
_JPEG_2000 = (33003, 33004, 33005, 34712)
_APERIO_YCC = 33003
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_HORIZONTAL = 2


def rgb_of(source: _core.Source, stored: StoredPixels) -> Pixels:
    """Return a picture, of shape (rows, columns, 3).

    Raises
    ------
    LimitError
        If it has more pixels than an overview may have.
    UnsupportedSlideError
        If it is stored in a way that is not read, or says two things about its colours.
    SourceError
        If it is damaged.
    """
    pixels = stored.image_width * stored.image_length
    if pixels > LIMITS.overview_pixels:
        raise LimitError(
            f"the overview has {pixels} pixels, more than the limit "
            f"overview_pixels = {LIMITS.overview_pixels}"
        )
    if not stored.tiles.byte_counts.all():
        raise SourceError("a part of the overview is missing")
    is_ycbcr = _is_ycbcr(source, stored)
    picture = np.empty((stored.image_length, stored.image_width, 3), np.uint8)
    for row, column, part in parts(source, stored):
        rgb = rgb_of_ycbcr(part) if is_ycbcr else _to_rgb(part, stored)
        picture[row : row + rgb.shape[0], column : column + rgb.shape[1]] = rgb
    return picture


def parts(source: _core.Source, stored: StoredPixels) -> Iterator[tuple[int, int, Pixels]]:
    """Yield first row, first column and untransformed samples of each tile or strip with data.

    Raises
    ------
    LimitError
        If one is larger than what is decoded at a time.
    """
    size = stored.tile_width * stored.tile_length * stored.samples_per_pixel
    if size > LIMITS.decoded_bytes:
        raise LimitError(
            f"a tile or strip has {size} bytes when decoded, more than the limit "
            f"decoded_bytes = {LIMITS.decoded_bytes}"
        )
    limits = {"memory_bytes": LIMITS.decoder_memory_bytes, "seconds": LIMITS.decoder_seconds}
    with closing(Decoders(**limits)) as decoders:
        yield from _decoded_parts(source, stored, _decoder(stored.compression, decoders))


def _decoded_parts(
    source: _core.Source, stored: StoredPixels, decode: "_Decode"
) -> Iterator[tuple[int, int, Pixels]]:
    for number in np.flatnonzero(stored.tiles.byte_counts):
        row, column = divmod(int(number), stored.tiles.across)
        row *= stored.tile_length - stored.overlap[1]
        column *= stored.tile_width - stored.overlap[0]
        rows = min(stored.tile_length, stored.image_length - row)
        columns = min(stored.tile_width, stored.image_width - column)
        length = stored.tile_length if stored.is_tiled else rows
        size = (stored.tile_width, length)
        with _naming(f"{'tile' if stored.is_tiled else 'strip'} {number}"):
            part = decode(source, stored, int(number), size)
            part = part.reshape(length, stored.tile_width, stored.samples_per_pixel)
        yield row, column, part[:rows, :columns]


@contextmanager
def _naming(piece: str) -> Iterator[None]:
    """Say of every error in the block which tile or strip it is about, and what kind it is."""
    try:
        yield
    except CoverslipError as error:
        if str(error).startswith(f"{piece}:"):
            raise
        raise type(error)(f"{piece}: {error}", hint=error.hint) from None
    except ImportError:
        reason = "is in a codec that the installed imagecodecs lacks"
        raise UnsupportedSlideError(f"{piece} {reason}") from None
    except MemoryError:
        raise LimitError(f"{piece} cannot be decoded in the memory at hand") from None
    except Exception:  # noqa: BLE001 (the message of a codec may quote the slide)
        raise SourceError(f"{piece} cannot be decoded") from None


_Decode = Callable[[_core.Source, StoredPixels, int, tuple[int, int]], Pixels]


def _decoder(compression: int, decoders: Decoders) -> _Decode:
    if compression == _JPEG:
        return _jpeg
    if compression in _JPEG_2000:
        return _jpeg2000
    if compression == _NONE or compression in DECODED:
        return partial(_unpacked, decoders)
    raise UnsupportedSlideError(f"compression {compression} is not decoded")


def _read(source: _core.Source, stored: StoredPixels, number: int) -> bytes:
    offset, count = int(stored.tiles.offsets[number]), int(stored.tiles.byte_counts[number])
    if count > LIMITS.value_bytes:
        raise LimitError(
            f"it has {count} bytes, more than the limit value_bytes = {LIMITS.value_bytes}"
        )
    if stored.held is not None:
        return stored.held[offset : offset + count]
    return source.read(offset, count)


def _jpeg(source: _core.Source, stored: StoredPixels, number: int, size: tuple[int, int]) -> Pixels:
    import imagecodecs

    data, tables = _read(source, stored, number), stored.jpeg_tables or b""
    decoded: Pixels = imagecodecs.jpeg8_decode(_core.join_jpeg(data, tables, *size))
    return decoded


def _jpeg2000(
    source: _core.Source, stored: StoredPixels, number: int, size: tuple[int, int]
) -> Pixels:
    import imagecodecs

    _inspect(source, stored, number, size)
    decoded: Pixels = imagecodecs.jpeg2k_decode(_read(source, stored, number))
    return decoded


def _inspect(
    source: _core.Source, stored: StoredPixels, number: int, size: tuple[int, int]
) -> _core.JpegFacts | _core.Jpeg2000Facts:
    if stored.held is not None:
        return _core.inspect_jpeg(_read(source, stored, number))
    offset, count = int(stored.tiles.offsets[number]), int(stored.tiles.byte_counts[number])
    return _core.inspect_tile(source, number, offset, count, *size)


def _unpacked(
    decoders: Decoders,
    source: _core.Source,
    stored: StoredPixels,
    number: int,
    size: tuple[int, int],
) -> Pixels:
    """Decode in another process, to a size that is known before."""
    columns, rows = size
    byte_count = columns * rows * stored.samples_per_pixel
    if byte_count > LIMITS.decoded_bytes:
        raise LimitError(
            f"it has {byte_count} bytes when decoded, more than the limit "
            f"decoded_bytes = {LIMITS.decoded_bytes}"
        )
    data = _read(source, stored, number)
    if stored.compression != _NONE:
        samples = () if stored.samples_per_pixel == 1 else (stored.samples_per_pixel,)
        wanted = Wanted(
            compression=stored.compression,
            shape=(rows, columns, *samples),
            sample_bytes=1,
            # The last strip may have as many rows as the others.
            most=columns * stored.tile_length * stored.samples_per_pixel,
            lzma_bytes=LIMITS.lzma_bytes,
        )
        data = decoders.decode(data, wanted)
    unpacked = np.frombuffer(data, np.uint8, byte_count).reshape(rows, columns, -1)
    if stored.predictor == _HORIZONTAL:
        return np.cumsum(unpacked, axis=1, dtype=np.uint8)
    if stored.predictor != 1:
        raise UnsupportedSlideError(f"predictor {stored.predictor} (tag 317) is not undone")
    return unpacked


def _is_ycbcr(source: _core.Source, stored: StoredPixels) -> bool:
    """Tell whether samples are YCbCr once decoded.

    Raises
    ------
    UnsupportedSlideError
        If the signs of that contradict each other and the picture does not tell.
    """
    if stored.compression != _JPEG or stored.samples_per_pixel != 3:
        return stored.compression == _APERIO_YCC
    size = stored.tile_width, stored.tile_length
    facts = _inspect(source, stored, 0, size)
    if not isinstance(facts, _core.JpegFacts):
        raise SourceError("tile or strip 0 is not JPEG, as tag 259 says")
    parts = (_read(source, stored, number) for number in range(len(stored.tiles.offsets)))
    verdict = colour.of_jpeg(
        facts,
        stored.photometric_interpretation,
        lambda: colour.measure_jpeg(parts, stored.jpeg_tables or b"", size),
        colour.Judge(),
    )
    return verdict.samples == "YBR"


def _to_rgb(part: Pixels, stored: StoredPixels) -> Pixels:
    photometric = stored.photometric_interpretation
    if part.shape[2] == 1 and photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        grey = 255 - part if photometric == _WHITE_IS_ZERO else part
        return np.repeat(grey, 3, axis=2)
    if part.shape[2] == 3 and (photometric == _RGB or stored.compression == _JPEG):
        return part
    raise UnsupportedSlideError(f"photometric interpretation {photometric} is not decoded")
