"""Decodes the few pictures that are looked at: overviews and the lowest level.

Codecs are run on hostile data here, so nothing is decoded before its header, as the core reads
it, agrees with the size that the directory tells.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import numpy as np
import numpy.typing as npt

from coverslip import _core, colour
from coverslip.decoders import DECODED, Decoders, Wanted
from coverslip.errors import CoverslipError, LimitError, SourceError, UnsupportedSlideError
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
    TileIndex,
)
from coverslip.montages import Composer
from coverslip.samples import check_samples, decode, rgb_of_ycbcr

Pixels = npt.NDArray[np.uint8]
"""Shape (rows, columns, samples)."""
_NONE, _JPEG = 1, 7
_JPEG_2000 = (33003, 33004, 33005, 34712)
_APERIO_YCC = 33003
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_HORIZONTAL = 2
_LUMINANCE = np.array([77, 150, 29], np.uint16)
"""Of 256, after ITU-R BT.601."""


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
    for row, column, part in _parts(source, stored):
        rgb = rgb_of_ycbcr(part) if is_ycbcr else _to_rgb(part, stored)
        picture[row : row + rgb.shape[0], column : column + rgb.shape[1]] = rgb
    return picture


def luminance_of(
    source: _core.Source, level: Level, frame_format: FrameFormat
) -> npt.NDArray[np.uint8]:
    """Return the luminance of a level, white where it has no tile; shape (rows, columns).

    Parameters
    ----------
    source
        The slide.
    level
        A small level.
    frame_format
        What its frames are, which tells luminance from red.

    Raises
    ------
    CoverslipError
        As `rgb_of`, and if the level has more pixels than are searched.
    """
    pixels = level.image_width * level.image_length
    if pixels > LIMITS.searched_pixels:
        raise LimitError(
            f"the lowest level has {pixels} pixels, more than the limit "
            f"searched_pixels = {LIMITS.searched_pixels}"
        )
    if level.bits_per_sample != 8:
        raise UnsupportedSlideError("its samples do not have 8 bits")
    if isinstance(level.picture, Montage):
        with closing(_decoders()) as decoders:
            composer = Composer(source, level.picture, decoders)
            composed = composer.compose(0, 0, level.image_width, level.image_length)
        if composed is None:
            raise SourceError("the lowest level has no tile with data")
        grey = composed.astype(np.uint8, copy=False)
        return grey if grey.ndim == 2 else _weighted(grey)
    is_red_first = frame_format.photometric_interpretation in ("RGB", "YBR_ICT", "YBR_RCT")
    has_luminance = level.compression == _APERIO_YCC or not is_red_first
    whole = np.full((level.image_length, level.image_width), 255, np.uint8)
    is_coded = level.raster is not None and level.raster.coded is not None
    has_luminance = has_luminance and not is_coded
    parts = _coded_parts(source, level) if is_coded else _parts(source, _stored(level))
    for row, column, part in parts:
        grey = part[..., 0] if has_luminance or part.shape[2] == 1 else _weighted(part)
        whole[row : row + grey.shape[0], column : column + grey.shape[1]] = grey
    return whole


def _coded_parts(source: _core.Source, level: Level) -> Iterator[tuple[int, int, Pixels]]:
    """Yield first row, first column and samples of each piece of JPEG that cannot be a frame."""
    raster = level.raster
    if raster is None:
        raise AssertionError("the level need not be decoded")
    check_samples(level, raster)
    across = level.tiles.across if raster.is_tiled else 1
    with closing(_decoders()) as decoders:
        for number in map(int, np.flatnonzero(raster.byte_counts)):
            row, column = number // across * raster.length, number % across * raster.width
            rows = min(raster.length, level.image_length - row)
            data = _read(source, raster, number)
            length = raster.length if raster.is_tiled else rows
            part = decode(level, raster, data, number, length, decoders)
            part = part.reshape(length, raster.width, level.samples_per_pixel)
            yield row, column, part[:rows, : level.image_width - column].astype(np.uint8)


def _weighted(rgb: Pixels) -> Pixels:
    weighted: Pixels = (rgb @ _LUMINANCE >> 8).astype(np.uint8)
    return weighted


def _stored(level: Level) -> StoredPixels:
    """Return where the pixels of a level are, and in what pieces.

    Raises
    ------
    UnsupportedSlideError
        If each of its colours has pieces of its own.
    """
    held = level.raster or level.picture
    width, length, is_tiled, predictor = level.tile_width, level.tile_length, True, 1
    overlap = (0, 0)
    if isinstance(held, Raster):
        if held.is_planar and level.samples_per_pixel > 1:
            raise UnsupportedSlideError("its colours are stored apart (tag 284)")
        width, length = held.width, held.length
        is_tiled, predictor = held.is_tiled, held.predictor
    elif isinstance(held, Strips):
        width, length, is_tiled = level.image_width, held.rows_per_strip, False
    elif isinstance(held, Picture):
        width, length = level.image_width, level.image_length
    elif isinstance(held, Mosaic):
        if held.planes > 1:
            raise UnsupportedSlideError("its colours are stored apart (tag 284)")
        width, length = held.tile_width, held.tile_length
        overlap = held.overlap
    ranges = level.tiles if held is None else held
    across = held.across if isinstance(held, Mosaic) else -(-level.image_width // width)
    return StoredPixels(
        image_width=level.image_width,
        image_length=level.image_length,
        tile_width=width,
        tile_length=length,
        is_tiled=is_tiled,
        samples_per_pixel=level.samples_per_pixel,
        compression=level.compression,
        photometric_interpretation=level.photometric_interpretation,
        predictor=predictor,
        tiles=_index(ranges, across, -(-level.image_length // length)),
        jpeg_tables=level.jpeg_tables,
        overlap=overlap,
    )


def _index(
    held: TileIndex | Raster | Strips | Picture | Mosaic | Montage, across: int, down: int
) -> TileIndex:
    if isinstance(held, Picture):
        offsets, byte_counts = np.array([[held.offset], [held.byte_count]], np.uint64)
    else:
        offsets, byte_counts = held.offsets, held.byte_counts
    return TileIndex(offsets=offsets, byte_counts=byte_counts, across=across, down=down)


def _parts(source: _core.Source, stored: StoredPixels) -> Iterator[tuple[int, int, Pixels]]:
    """Yield first row, first column and untransformed samples of each tile or strip with data."""
    with closing(_decoders()) as decoders:
        yield from _decoded_parts(source, stored, _decoder(stored.compression, decoders))


def _decoders() -> Decoders:
    return Decoders(memory_bytes=LIMITS.decoder_memory_bytes, seconds=LIMITS.decoder_seconds)


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
        try:
            part = decode(source, stored, int(number), size)
            part = part.reshape(length, stored.tile_width, stored.samples_per_pixel)
        except CoverslipError:
            raise
        except Exception:  # noqa: BLE001 (the message of a codec may quote the slide)
            raise SourceError(f"tile or strip {number} cannot be decoded") from None
        yield row, column, part[:rows, :columns]


_Decode = Callable[[_core.Source, StoredPixels, int, tuple[int, int]], Pixels]


def _decoder(compression: int, decoders: Decoders) -> _Decode:
    if compression == _JPEG:
        return _jpeg
    if compression in _JPEG_2000:
        return _jpeg2000
    if compression == _NONE or compression in DECODED:
        return partial(_unpacked, decoders)
    raise UnsupportedSlideError(f"compression {compression} is not decoded")


def _read(source: _core.Source, held: TileIndex | Raster, number: int) -> bytes:
    offset, count = int(held.offsets[number]), int(held.byte_counts[number])
    if count > LIMITS.value_bytes:
        raise LimitError(
            f"tile or strip {number} has {count} bytes, more than the limit "
            f"value_bytes = {LIMITS.value_bytes}"
        )
    return source.read(offset, count)


def _jpeg(source: _core.Source, stored: StoredPixels, number: int, size: tuple[int, int]) -> Pixels:
    import imagecodecs

    data, tables = _read(source, stored.tiles, number), stored.jpeg_tables or b""
    decoded: Pixels = imagecodecs.jpeg8_decode(_core.join_jpeg(data, tables, *size))
    return decoded


def _jpeg2000(
    source: _core.Source, stored: StoredPixels, number: int, size: tuple[int, int]
) -> Pixels:
    import imagecodecs

    _inspect(source, stored, number, size)
    decoded: Pixels = imagecodecs.jpeg2k_decode(_read(source, stored.tiles, number))
    return decoded


def _inspect(
    source: _core.Source, stored: StoredPixels, number: int, size: tuple[int, int]
) -> _core.JpegFacts | _core.Jpeg2000Facts:
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
            f"tile or strip {number} has {byte_count} bytes when decoded, more than the limit "
            f"decoded_bytes = {LIMITS.decoded_bytes}"
        )
    data = _read(source, stored.tiles, number)
    if stored.compression != _NONE:
        samples = () if stored.samples_per_pixel == 1 else (stored.samples_per_pixel,)
        wanted = Wanted(
            compression=stored.compression,
            shape=(rows, columns, *samples),
            sample_bytes=1,
            most=byte_count,
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
    parts = (_read(source, stored.tiles, number) for number in range(len(stored.tiles.offsets)))
    verdict = colour.of_jpeg(
        facts,
        stored.photometric_interpretation,
        lambda: colour.measure_jpeg(parts, stored.jpeg_tables or b"", size),
        None,
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
