"""The offset tables of an instance (PS3.3 C.7.6.3.1.8), which stay in the file.

There may be millions of frames, so pydicom, which reads whole values, stops before them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

EXTENDED_OFFSET_TABLE = 0x7FE00001
_LENGTHS = 0x7FE00002
_HEAD = struct.Struct("<HH2sHI")


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetTables:
    """Where the values of (7FE0,0001) and (7FE0,0002) lie, and what stands behind them."""

    extended: tuple[tuple[int, int], tuple[int, int]] | None
    """Offset and byte count of each."""
    pixel_data_offset: int
    problems: tuple[tuple[str, str], ...]


def offset_tables(file: BinaryIO, start: int) -> OffsetTables:
    """Walk the elements before Pixel Data that hold offset tables."""
    elements = list(_elements(file, start))
    problems = [
        (f"({tag >> 16:04X},{tag & 0xFFFF:04X})", "it is no table of 64-bit numbers")
        for tag, vr, reserved, _, length in elements
        if (vr, reserved, length % 8) != (b"OV", 0, 0)
    ]
    tags = [tag for tag, *_ in elements]
    if tags and tags != [EXTENDED_OFFSET_TABLE, _LENGTHS]:
        problems.append(("(7FE0,0001)", "not one table of offsets and one of lengths"))
    places = [(at, length) for *_, at, length in elements]
    return OffsetTables(
        extended=(places[0], places[1]) if len(places) > 1 else None,
        pixel_data_offset=start if not places else sum(places[-1]),
        problems=tuple(problems),
    )


def _elements(file: BinaryIO, at: int) -> Iterator[tuple[int, bytes, int, int, int]]:
    while True:
        file.seek(at)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return
        group, number, vr, reserved, length = _HEAD.unpack(head)
        tag = group << 16 | number
        if tag not in (EXTENDED_OFFSET_TABLE, _LENGTHS):
            return
        at += _HEAD.size
        yield tag, vr, reserved, at, length
        at += length
