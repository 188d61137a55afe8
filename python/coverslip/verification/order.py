"""Walks the elements of a header byte by byte, for what a reader of data sets does not show.

Of two elements with one tag pydicom keeps the last, so the first would go out unseen.
"""

import struct
from collections.abc import Generator, Iterator

_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
"""With a length of four bytes behind two that are zero (PS3.5 7.1.2)."""
_META_LENGTH, _META_END = 140, 144
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 16


def problems_of(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield place and what is wrong with the order of elements, up to the end of ``data``.

    Raises
    ------
    ValueError
        If the elements do not fit into the data.
    """
    (length,) = struct.unpack_from("<I", data, _META_LENGTH)
    start = _META_END + length
    for first, end in ((_META_END, start), (start, len(data))):
        stopped = yield from _elements(data, first, end, 0)
        if stopped != end:
            raise ValueError("the elements do not end where they should")


def _elements(data: bytes, at: int, end: int, depth: int) -> Generator[tuple[str, str], None, int]:
    """Walk the elements of a data set or item; return where it ends."""
    if depth > _MAX_DEPTH:
        raise ValueError("too many items inside each other")
    last = 0
    while at < end:
        group, number, vr, short = struct.unpack_from("<HH2sH", data, at)
        tag = group << 16 | number
        if tag == _ITEM_END:
            return at + 8
        if tag <= last:
            yield f"({group:04X},{number:04X})", "an element that is there twice, or out of order"
        last = tag
        at += 8
        length = short
        if vr in _LONG_VRS:
            if short != 0:
                yield f"({group:04X},{number:04X})", "reserved bytes that are not zero"
            (length,) = struct.unpack_from("<I", data, at)
            at += 4
        if vr == b"SQ":
            at = yield from _items(data, at, length, depth)
        elif length == _UNDEFINED or at + length > end:
            raise ValueError("an element that does not fit")
        else:
            at += length
    return at


def _items(data: bytes, at: int, length: int, depth: int) -> Generator[tuple[str, str], None, int]:
    """Walk the items of a sequence; return where it ends."""
    end = len(data) if length == _UNDEFINED else at + length
    while at < end:
        group, number, item_length = struct.unpack_from("<HHI", data, at)
        tag = group << 16 | number
        at += 8
        if tag == _SEQUENCE_END and length == _UNDEFINED:
            if item_length != 0:
                yield "(FFFE,E0DD)", "a delimiter with a length"
            return at
        if tag != _ITEM:
            raise ValueError("a sequence with something that is no item")
        item_end = end if item_length == _UNDEFINED else at + item_length
        at = yield from _elements(data, at, item_end, depth + 1)
    return at
