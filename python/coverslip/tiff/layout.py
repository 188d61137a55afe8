"""How the numbers of a TIFF are stored: byte order, width of offsets, and what NDPI changed."""

import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal

from coverslip.errors import SourceError
from coverslip.tiff.tags import NDPI_MARK

_ORDERS: dict[bytes, Literal["<", ">"]] = {b"II": "<", b"MM": ">"}
_CLASSIC, _BIGTIFF = 42, 43
_ENTRY = struct.Struct("<H10x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the parts of a directory lie (TIFF 6.0 section 2, BigTIFF, NDPI)."""

    order: Literal["<", ">"]
    count_code: str
    """`struct` code of the number of entries."""
    value_code: str
    """Of an entry's count and of its value, or the offset of its value."""
    next_code: str
    """Of the offset of the next directory."""
    first_at: int
    """Where the offset of the first directory stands."""
    has_high_words: bool = False
    """Whether 32 more bits of each entry's value follow the directory, as in NDPI."""

    @property
    def value_size(self) -> int:
        """Bytes of a value that is stored in its entry."""
        return struct.calcsize("=" + self.value_code)

    @property
    def entry_size(self) -> int:
        """Bytes of one entry."""
        return 4 + 2 * self.value_size

    @property
    def header_size(self) -> int:
        """Bytes in front of everything else: byte order, version, the first offset."""
        return self.first_at + struct.calcsize("=" + self.next_code)

    def unpack(self, code: str, data: bytes) -> tuple[int, ...]:
        """Return the integers of ``data`` in the file's byte order."""
        return struct.unpack(self.order + code, data)


def _classic(order: Literal["<", ">"]) -> Layout:
    return Layout(order=order, count_code="H", value_code="I", next_code="I", first_at=4)


def _bigtiff(order: Literal["<", ">"]) -> Layout:
    return Layout(order=order, count_code="Q", value_code="Q", next_code="Q", first_at=8)


_NDPI = Layout(
    order="<", count_code="H", value_code="I", next_code="Q", first_at=4, has_high_words=True
)


def detect_layout(file: BinaryIO, byte_count: int) -> Layout:
    """Return the layout of a file by its first bytes, and NDPI's by its mark.

    Raises
    ------
    SourceError
        If it is not a TIFF.
    """
    file.seek(0)
    head = file.read(16).ljust(16, b"\0")
    order = _ORDERS.get(head[:2])
    if order is None:
        raise SourceError("the file is not a TIFF")
    version, offset_size, zero = struct.unpack(order + "HHH", head[2:8])
    if version == _BIGTIFF and (offset_size, zero) == (8, 0):
        return _bigtiff(order)
    if version != _CLASSIC:
        raise SourceError("the file is not a TIFF of version 42 or 43")
    (wide_offset,) = struct.unpack("<Q", head[4:12])
    if order == "<" and _is_marked(file, wide_offset, byte_count):
        return _NDPI
    return _classic(order)


def _is_marked(file: BinaryIO, offset: int, byte_count: int) -> bool:
    """Tell whether a directory at a 64-bit offset has the tag that only NDPI has."""
    if not 0 < offset < byte_count - 2:
        return False
    file.seek(offset)
    (count,) = struct.unpack("<H", file.read(2).ljust(2, b"\0"))
    table = file.read(count * 12)
    whole = table[: len(table) // 12 * 12]
    return any(tag == NDPI_MARK for (tag,) in _ENTRY.iter_unpack(whole))
