"""Runs the codecs whose streams cannot be frames. What it is given is hostile: see `decoders`."""

import lzma
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

JPEG, JPEG_2000, JPEG_LS, LOSSLESS_JPEG = 7, 34712, 0xFFF7, 0xFFC3
"""As which tiles are asked for whose kin can be frames; TIFF has no number for the last two, so
these are those of their markers."""
_WEBP, _JPEG_XL, _JPEG_XR, _LZMA = {34927, 50001}, {50002, 52546}, {22610, 34934}, 34925
LERC = 34887
_UNPACKED = {5, 8, 32773, 32946, 34926, 50000}
DECODED = frozenset({_LZMA, LERC} | _WEBP | _JPEG_XL | _JPEG_XR | _UNPACKED)
"""Values of tag 259 that can be asked for, beside JPEG and JPEG 2000."""
REQUEST = struct.Struct("<QIIIIIIIQQI??")
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Second bytes of SOF markers, that of JPEG-LS with them."""
_MARKER, _EOI = re.compile(rb"\xff[^\x00\xff\xd0-\xd8]"), b"\xff\xd9"
"""Where a segment begins or a picture ends: no stuffed byte, and no RSTn."""
_ROUNDING = 0.5
"""Largest error that LERC states of whole numbers it kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What has to come out of a stream."""

    compression: int
    """TIFF tag 259."""
    shape: tuple[int, ...]
    """Rows, columns, and samples if there is more than one."""
    sample_bytes: int
    most: int
    """Bytes after which a codec of bytes is stopped; a picture must have its shape."""
    lzma_bytes: int
    """Memory that LZMA may take."""
    clipped: tuple[int, int] = (0, 0)
    """Rows and columns that a picture of JPEG or JPEG 2000 may have instead: it is padded."""
    table_bytes: int = 0
    """How many of the first bytes are tables that JPEG streams share (TIFF tag 347)."""
    is_ycbcr: bool = False
    """Whether JPEG holds YCbCr, which becomes RGB."""
    may_be_lossy: bool = False
    """Whether JPEG-LS and LERC may have lost something; they tell."""

    def pack(self, byte_count: int) -> bytes:
        """Return the request for a stream of so many bytes."""
        rows, columns, samples = (*self.shape, 0)[:3]
        return REQUEST.pack(
            *(byte_count, self.compression, rows, columns, samples, *self.clipped),
            *(self.sample_bytes, self.most, self.lzma_bytes, self.table_bytes, self.is_ycbcr),
            self.may_be_lossy,
        )

    @classmethod
    def unpack(cls, request: bytes) -> tuple[int, "Wanted"]:
        """Return the bytes of the stream, and what is wanted of it."""
        byte_count, compression, rows, columns, samples, *rest = REQUEST.unpack(request)
        clipped_rows, clipped_columns, size, most, memory, table_bytes, *signs = rest
        return byte_count, cls(
            compression=compression,
            shape=(rows, columns, samples) if samples else (rows, columns),
            sample_bytes=size,
            most=most,
            lzma_bytes=memory,
            clipped=(clipped_rows, clipped_columns),
            table_bytes=table_bytes,
            is_ycbcr=signs[0],
            may_be_lossy=signs[1],
        )


def decode(data: bytes, wanted: Wanted) -> bytes:
    """Return what a stream holds; in a process of its own only."""
    import imagecodecs

    if wanted.compression == _LZMA:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, wanted.lzma_bytes)
        return decoder.decompress(data, wanted.most)
    if wanted.compression in (JPEG, JPEG_2000, JPEG_LS, LOSSLESS_JPEG):
        return _padded(data, wanted)
    if wanted.compression in _WEBP | _JPEG_XL | _JPEG_XR | {LERC}:
        return _picture(data, wanted)
    unpackers: dict[int, Callable[..., bytes | bytearray]] = {
        5: imagecodecs.lzw_decode,
        8: imagecodecs.zlib_decode,
        32773: imagecodecs.packbits_decode,
        32946: imagecodecs.zlib_decode,
        34926: imagecodecs.zstd_decode,
        50000: imagecodecs.zstd_decode,
    }
    return bytes(unpackers[wanted.compression](data, out=wanted.most))


def _picture(data: bytes, wanted: Wanted) -> bytes:
    """Return the samples of a picture; its decoder refuses to fill an array of another shape."""
    import imagecodecs

    out = np.empty(wanted.shape, np.uint8 if wanted.sample_bytes == 1 else np.uint16)
    if wanted.compression in _WEBP:
        imagecodecs.webp_decode(data, out=out)
    elif wanted.compression in _JPEG_XL:
        imagecodecs.jpegxl_decode(data, numthreads=1, out=out)
    elif wanted.compression == LERC:
        _check_lerc(data, wanted)
        imagecodecs.lerc_decode(data, out=out)
    else:
        _check_jpeg_xr(data)
        imagecodecs.jpegxr_decode(data, out=out)
    return out.tobytes()


def _padded(data: bytes, wanted: Wanted) -> bytes:
    """Return the samples of a picture that may be smaller, where the level ends before its tile.

    What is missing then is filled with the last column and row.
    """
    rows, columns, *_ = wanted.shape
    decoders = {JPEG: _jpeg, LOSSLESS_JPEG: _jpeg, JPEG_2000: _jpeg2000, JPEG_LS: _jpeg_ls}
    decoder = decoders[wanted.compression]
    decoded = decoder(data, wanted)
    missing = (rows - decoded.shape[0], columns - decoded.shape[1])
    if any(missing):
        padding = [(0, missing[0]), (0, missing[1]), (0, 0)][: decoded.ndim]
        decoded = np.pad(decoded, padding, mode="edge")
    return decoded.tobytes()


def _room(size: tuple[int, int], wanted: Wanted) -> np.ndarray:
    """Return an array for a picture of a size, which its header tells.

    Raises
    ------
    ValueError
        If it may not have that size.
    """
    if size not in (wanted.shape[:2], wanted.clipped):
        raise ValueError("another size")
    dtype = np.uint8 if wanted.sample_bytes == 1 else np.uint16
    return np.empty((*size, *wanted.shape[2:]), dtype)


def _jpeg(data: bytes, wanted: Wanted) -> np.ndarray:
    """Decode JPEG of any process; a stream without its end is cut off, and would become grey."""
    import imagecodecs

    tables, stream = data[: wanted.table_bytes], data[wanted.table_bytes :]
    stream = stream[: _jpeg_end(stream)]
    is_colour = len(wanted.shape) == 3
    decoded: np.ndarray = imagecodecs.jpeg8_decode(
        stream,
        tables=tables or None,
        colorspace=("YCBCR" if wanted.is_ycbcr else "RGB") if is_colour else None,
        outcolorspace="RGB" if is_colour else None,
        out=_room(_jpeg_size(stream, wanted), wanted),
    )
    return decoded


def _jpeg_end(stream: bytes) -> int:
    """Return where a JPEG ends: whatever somebody wrote behind it is no picture.

    Raises
    ------
    ValueError
        If it is cut off.
    """
    at = 2
    while found := _MARKER.search(stream, at):
        at = found.end()
        if found[0] == _EOI:
            return at
        at += int.from_bytes(stream[at : at + 2], "big")
    raise ValueError("the picture is cut off")


def _jpeg_size(stream: bytes, wanted: Wanted) -> tuple[int, int]:
    """Return rows and columns that a JPEG or JPEG-LS header tells (T.81 B.2.2, T.87 C.2.2).

    Raises
    ------
    ValueError
        If it promises to have lost nothing and is of another process.
    """
    at = 2
    while stream[at + 1] not in _FRAME_HEADERS:
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    marker, rows, columns = struct.unpack_from(">HxxxHH", stream, at)
    if wanted.compression != JPEG and wanted.compression != marker:
        raise ValueError("another process")
    return rows, columns


def _jpeg2000(data: bytes, wanted: Wanted) -> np.ndarray:
    """Decode the codestream, without a JP2 file around it: that would say what colours it has."""
    import imagecodecs

    codestream = data[data.index(b"\xff\x4f\xff\x51") :]
    x1, y1, x0, y0 = struct.unpack_from(">4I", codestream, 8)
    decoded: np.ndarray = imagecodecs.jpeg2k_decode(
        codestream, numthreads=1, out=_room((y1 - y0, x1 - x0), wanted)
    )
    return decoded


def _jpeg_ls(data: bytes, wanted: Wanted) -> np.ndarray:
    import imagecodecs

    room = _room(_jpeg_size(data, wanted), wanted)
    scan = data.index(b"\xff\xda")
    near = data[scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big") - 3]
    if near and not wanted.may_be_lossy:
        raise ValueError("it is near-lossless only")  # NEAR (T.87 C.2.3)
    decoded: np.ndarray = imagecodecs.jpegls_decode(data, out=room)
    return decoded


def _check_lerc(data: bytes, wanted: Wanted) -> None:
    """Raise unless LERC holds whole numbers, each of them valid, and without loss if it must.

    Raises
    ------
    ValueError
        If it may have lost something, or is of a version whose header is not known.
    """
    version, rows, columns, valid = struct.unpack_from("<i4xii4xi", data, 6)
    (largest_error,) = struct.unpack_from("<d", data, 42)
    if not data.startswith(b"Lerc2 ") or version not in (4, 5):
        raise ValueError("another version")
    is_lossy = not largest_error <= _ROUNDING
    if valid != rows * columns or (is_lossy and not wanted.may_be_lossy):
        raise ValueError("something was lost")


def _check_jpeg_xr(data: bytes) -> None:
    """Raise for a JPEG XR file that was cut off: its decoder fills what is missing with grey.

    The container is a TIFF of one directory (T.832 Annex A); these tags say where the picture is.

    Raises
    ------
    ValueError
        If the picture does not end before the data do.
    """
    at = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[at : at + 2], "little")
    table = data[at + 2 : at + 2 + 12 * count]
    values = {
        int.from_bytes(table[entry : entry + 2], "little"): int.from_bytes(
            table[entry + 8 : entry + 12], "little"
        )
        for entry in range(0, len(table), 12)
    }
    if values[0xBCC0] + values[0xBCC1] > len(data):
        raise ValueError("the picture is cut off")
