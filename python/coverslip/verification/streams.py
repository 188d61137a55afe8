"""Texts in streams: in comments and application segments, and in boxes beside a codestream."""

import re
import struct
from collections.abc import Iterator

_TEXT = re.compile(rb"[\x20-\x7e\x80-\xff]{4,}|(?:[\x20-\x7e]\x00){4,}|(?:\x00[\x20-\x7e]){4,}")


def texts_in_stream(data: bytes) -> Iterator[str]:
    """Yield the texts of all that a decoder does not need; of what is no stream, nothing."""
    for part in parts_of_stream(data)[0]:
        yield from texts_in_bytes(part)


def texts_in_bytes(data: bytes) -> Iterator[str]:
    """Yield all that may be text in bytes of any kind."""
    for found in _TEXT.finditer(data):
        yield decoded(found[0])


def decoded(data: bytes) -> str:
    """Return what bytes say, of which all are text."""
    if data[1:2] == b"\0":
        return data.decode("utf-16-le", errors="ignore")
    if data[:1] == b"\0":
        return data.decode("utf-16-be", errors="ignore")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parts_of_stream(data: bytes) -> tuple[list[bytes], bool]:
    """Return what a decoder does not need, and whether all of it is there.

    That is APPn and COM of a JPEG, COM of a codestream, boxes beside the codestream. It ends where
    entropy-coded data begin, which a first piece of a stream may not reach.
    """
    if data[4:8] in (b"jP  ", b"jP\x1a\x1a"):
        return _boxes(data)
    is_jpeg, at = data[:2] == b"\xff\xd8", 2
    found: list[bytes] = []
    if not is_jpeg and data[:2] != b"\xff\x4f":
        return found, False
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes may stand before any marker (T.81 B.1.1.2)
            at += 1
            continue
        if marker in ((0xDA, 0xD9) if is_jpeg else (0x90, 0x93, 0xD9)):
            return found, True
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker == 0xFE or 0xE0 <= marker <= 0xEF if is_jpeg else marker == 0x64:
            found.append(data[at + 4 : at + 2 + length])
        at += 2 + length
    return found, False


def _boxes(data: bytes) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"jp2c":
            codestream = data[at + 8 :]
            if codestream[:2] != b"\xff\x4f":  # nor boxes again, as deep as somebody likes
                break
            inner, is_whole = parts_of_stream(codestream)
            return found + inner, is_whole
        if length < 8:
            break
        found.append(data[at + 8 : at + length])
        at += length
    return found, False
