"""Walks the elements of a header byte by byte, for what a reader of data sets does not show.

Of two elements with one tag pydicom keeps the last, so the first would go out unseen. Where the
value of each lies is told too, in items of sequences as well.
"""

import struct
from dataclasses import dataclass, field

_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
"""With a length of four bytes behind two that are zero (PS3.5 7.1.2)."""
_META_LENGTH, _META_END = 140, 144
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value lies."""

    tags: tuple[int, ...]
    """Of its element, behind those of the sequences that it is in."""
    item: int
    """Number of the item that it is in; values of one item have the same."""
    start: int
    end: int


@dataclass(slots=True)
class Walk:
    """What a walk over a header came upon."""

    data: bytes = field(repr=False)
    values: list[Value] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Place and what is wrong with the order of elements."""
    items: int = 0

    def elements(self, at: int, end: int, parents: tuple[int, ...] = ()) -> int:
        """Walk the elements of a data set or item; return where it ends."""
        if len(parents) > _MAX_DEPTH:
            raise ValueError("too many items inside each other")
        self.items += 1
        last, item = 0, self.items
        while at < end:
            group, number, vr, short = struct.unpack_from("<HH2sH", self.data, at)
            tag, place = group << 16 | number, f"({group:04X},{number:04X})"
            if tag == _ITEM_END:
                return at + 8
            if tag <= last:
                self.problems.append((place, "an element that is there twice, or out of order"))
            last = tag
            at += 8
            length = short
            if vr in _LONG_VRS:
                if short != 0:
                    self.problems.append((place, "reserved bytes that are not zero"))
                (length,) = struct.unpack_from("<I", self.data, at)
                at += 4
            if vr == b"SQ":
                at = self._items(at, length, (*parents, tag))
            elif length == _UNDEFINED or at + length > end:
                raise ValueError("an element that does not fit")
            else:
                self.values.append(Value((*parents, tag), item, at, at + length))
                at += length
        return at

    def _items(self, at: int, length: int, parents: tuple[int, ...]) -> int:
        """Walk the items of a sequence; return where it ends."""
        end = len(self.data) if length == _UNDEFINED else at + length
        while at < end:
            group, number, item_length = struct.unpack_from("<HHI", self.data, at)
            tag = group << 16 | number
            at += 8
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                if item_length != 0:
                    self.problems.append(("(FFFE,E0DD)", "a delimiter with a length"))
                return at
            if tag != _ITEM:
                raise ValueError("a sequence with something that is no item")
            item_end = end if item_length == _UNDEFINED else at + item_length
            at = self.elements(at, item_end, parents)
        return at


def walk(data: bytes) -> Walk:
    """Walk file meta information and data set, up to the end of ``data``.

    Raises
    ------
    ValueError
        If the elements do not fit into the data.
    """
    (length,) = struct.unpack_from("<I", data, _META_LENGTH)
    start = _META_END + length
    walked = Walk(data)
    for first, end in ((_META_END, start), (start, len(data))):
        if walked.elements(first, end) != end:
            raise ValueError("the elements do not end where they should")
    return walked
