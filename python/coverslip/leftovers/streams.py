"""What of a JPEG, a codestream or a JP2 file no decoder needs.

And what lies behind the end of one, or of a Deflate stream.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from coverslip.model import ItemKind

_JPEG, _CODESTREAM = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
_JP2 = (b"jP  ", b"jP\x1a\x1a")
_SOS, _EOI, _COM, _APPS = 0xDA, b"\xff\xd9", 0xFE, range(0xE0, 0xF0)
_SOT, _SOD, _COM_2000 = 0x90, 0x93, 0x64
_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd8]")
"""Where a segment begins or the picture ends: no stuffed byte, and no RSTn (T.81 B.1.1)."""
_STREAM = re.compile(rb"\xff\xd8\xff[\xc4\xdb\xe0-\xef\xfe]|\xff\x4f\xff\x51\x00")
_KINDS = {
    **{f"APP{number}": ItemKind.UNKNOWN for number in range(16)},
    **dict.fromkeys(("COM", "APP1", "APP13", "xml", "url", "uinf"), ItemKind.TEXT),
    **dict.fromkeys(("APP2", "colr"), ItemKind.DEVICE),
    **dict.fromkeys(("uuid", "asoc", "jp2i", "free", "res"), ItemKind.UNKNOWN),
}
_NEEDED_BOXES = {b"jP  ", b"jP\x1a\x1a", b"ftyp", b"jp2h", b"jp2c"}
_COLOURS_OF_A_PROFILE = b"colr\x02"
"""A box of colours that holds an ICC profile (T.800 I.5.3.3)."""
BEHIND = "behind the end"
_ZLIB_HEADER = 2
_MOST_INFLATED = 1 << 20
"""Bytes that are inflated to find an end: more than a tile of 512x512 pixels, and 4 ms."""
_INFLATED = 1 << 16
"""Bytes that are inflated at a time."""


class CutOffError(Exception):
    """The bytes end before the header does."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a stream that say nothing to a decoder."""

    key: str | None
    """What it is called, ``COM`` or ``APP1``; ``None`` for a box of no known kind."""
    start: int
    data: bytes

    @property
    def kind(self) -> ItemKind:
        """What it may give away."""
        return _KINDS.get(self.key or "", ItemKind.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Walked:
    """The header of a stream."""

    parts: tuple[Part, ...]
    length: int
    """Of all that stands before what was coded; of tables alone, of everything."""
    is_tables: bool = False
    """Whether it is no picture, but tables that pictures share."""


def is_stream(data: bytes) -> bool:
    """Tell whether a stream of a kind that is known here begins."""
    return data.startswith((_JPEG, _CODESTREAM)) or data[4:8] in _JP2 or _is_zlib(data)


def _is_zlib(data: bytes) -> bool:
    """Tell whether data may be a Deflate stream as TIFF has them (RFC 1950 2.2).

    One of 500 is by chance; where that would matter, its checksum tells (RFC 1950 2.3).
    """
    return (
        len(data) >= _ZLIB_HEADER
        and data[0] & 0x8F == 8
        and int.from_bytes(data[:_ZLIB_HEADER], "big") % 31 == 0
    )


def has_stream(data: bytes) -> bool:
    """Tell whether a picture begins somewhere in bytes of any kind."""
    return _STREAM.search(data) is not None


def walk(data: bytes) -> Walked:
    """Return what of the header of a stream no decoder needs; what breaks its rules ends it.

    Raises
    ------
    CutOffError
        If ``data`` ends before the header does.
    """
    if data.startswith(_JPEG):
        return _jpeg(data)
    if data.startswith(_CODESTREAM):
        parts, length = _codestream(data, 0)
        return Walked(tuple(parts), length)
    if _is_zlib(data):
        return Walked((), _ZLIB_HEADER)
    return _boxes(data)


def behind_the_end(data: bytes, length: int) -> Part | None:
    """Return what lies behind the end of a whole stream with a header of a length.

    Zeros and fill bytes are padding. Nothing is known of a stream that does not end.
    """
    if data[4:8] in _JP2:
        return None
    if _is_zlib(data):
        end = _end_of_zlib(data)
    else:
        end = data.find(_EOI, length) + 2
        if data.startswith(_JPEG) and end < len(data):  # a table between scans may hold the bytes
            end = _end_of_jpeg(data, length)
    if end < length or not data[end:].strip(b"\0\xff"):
        return None
    return Part(BEHIND, end, data[end:])


def _end_of_jpeg(data: bytes, at: int) -> int:
    while found := _IN_SCAN.search(data, at):
        at = found.end()
        if found[0] == _EOI:
            return at
        at += int.from_bytes(data[at : at + 2], "big")
    return -1


def _end_of_zlib(data: bytes) -> int:
    """Return where a Deflate stream ends whose checksum is right; -1 if none does."""
    stream = zlib.decompressobj()
    left, inflated = data, 0
    try:
        while not stream.eof and left and inflated < _MOST_INFLATED:
            inflated += len(stream.decompress(left, _INFLATED))
            left = stream.unconsumed_tail
    except zlib.error:
        return -1
    return len(data) - len(stream.unused_data) if stream.eof else -1


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield marker, where the segment begins, and what it holds; up to one without a length."""
    while True:
        if at + 4 > len(data):
            if data[at : at + 2] == _EOI:
                yield _EOI[1], at, b""
                return
            raise CutOffError
        if data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes may stand before any marker (T.81 B.1.1.2)
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (_SOD, _EOI[1]):
            yield marker, at, b""
            return
        if end > len(data):
            raise CutOffError
        yield marker, at, data[at + 4 : end]
        at = end


def _jpeg(data: bytes) -> Walked:
    parts: list[Part] = []
    at = 2
    for marker, at, held in _segments(data, 2):
        if marker == _SOS:
            return Walked(tuple(parts), at + 4 + len(held))
        if marker == _EOI[1]:
            return Walked(tuple(parts), at + 2, is_tables=True)
        if marker == _COM:
            parts.append(Part("COM", at + 4, held))
        elif marker in _APPS and not _is_plain(marker, held):
            parts.append(Part(f"APP{marker - _APPS[0]}", at + 4, held))
    return Walked(tuple(parts), at)


def _is_plain(marker: int, held: bytes) -> bool:
    """Tell whether a segment is numbers of the picture that nearly every JPEG has.

    That is JFIF's without a preview, and Adobe's.
    """
    if marker == _APPS[0]:
        return held.startswith(b"JFIF\0") and len(held) == 14 and not any(held[12:])
    return marker == _APPS[14] and held.startswith(b"Adobe") and len(held) == 12


def _codestream(data: bytes, start: int) -> tuple[list[Part], int]:
    """Return comments of the main header and of the first tile-part, and where that one ends."""
    parts: list[Part] = []
    at = start + 2
    for marker, at, held in _segments(data, start + 2):
        if marker == _SOD:
            return parts, at + 2
        if marker == _COM_2000:
            parts.append(Part("COM", at + 4, held))
    return parts, at


def _boxes(data: bytes) -> Walked:
    parts: list[Part] = []
    length = at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= len(data):
            (size,), head = struct.unpack_from(">Q", data, at + 8), 16
        end = at + size if size else len(data)
        if end < at + head:
            break
        if kind == b"jp2c":
            found, length = _codestream(data, at + head)
            parts += found
        elif end > len(data):
            raise CutOffError
        elif kind == b"jp2h":
            place = data.find(_COLOURS_OF_A_PROFILE, at, end)
            if place >= 0:
                parts.append(Part("colr", place + 4, data[place + 4 : end]))
        elif kind not in _NEEDED_BOXES:
            parts.append(Part(_name_of(kind), at + head, data[at + head : end]))
        at = end
    if not length:
        raise CutOffError
    return Walked(tuple(parts), length)


def _name_of(kind: bytes) -> str | None:
    name = kind.decode("latin-1").strip()
    return name if name in _KINDS else None
