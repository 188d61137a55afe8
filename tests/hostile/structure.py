"""Reads the directories of a TIFF for the mutator and its judge: a few lines, nothing of ours.

It checks nothing and believes everything, and it reads from bytes at hand only.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
         16: 8, 17: 8, 18: 8}  # fmt: skip
"""Bytes of one value of each field type."""
CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
CHILDREN = (330, 34665, 34853, 40965)


@dataclass(frozen=True)
class Entry:
    """A tag of a directory: what it says, and where each part of it stands."""

    at: int
    """Where the entry itself stands."""
    tag: int
    field_type: int
    count: int
    value_at: int
    """Where the value stands, in the entry or elsewhere."""
    is_inline: bool

    @property
    def byte_count(self) -> int:
        return self.count * SIZES.get(self.field_type, 0)


@dataclass(frozen=True)
class Table:
    """One directory."""

    at: int
    end: int
    """Where the offset of the next directory stands."""
    entries: list[Entry]

    def __getitem__(self, tag: int) -> Entry:
        return next(entry for entry in self.entries if entry.tag == tag)

    def __contains__(self, tag: int) -> bool:
        return any(entry.tag == tag for entry in self.entries)


@dataclass
class Structure:
    """An open TIFF: its directories in the order of the chain, then what hangs off them."""

    file: BinaryIO
    size: int
    order: str = "<"
    is_big: bool = False
    is_ndpi: bool = False
    tables: list[Table] = field(default_factory=list)

    @property
    def word(self) -> str:
        """`struct` code of a count and an offset."""
        return self.order + ("Q" if self.is_big else "I")

    @property
    def entry_size(self) -> int:
        return 20 if self.is_big else 12

    @property
    def link_at(self) -> int:
        return 8 if self.is_big else 4

    def read(self, at: int, byte_count: int) -> bytes:
        if not 0 <= at < self.size:
            return b""
        self.file.seek(at)
        return self.file.read(min(byte_count, self.size - at))

    def value(self, entry: Entry) -> bytes:
        return self.read(entry.value_at, min(entry.byte_count, 1 << 26))

    def integers(self, entry: Entry) -> list[int]:
        code, data = CODES.get(entry.field_type), self.value(entry)
        if code is None:
            return []
        size = SIZES[entry.field_type]
        return list(struct.unpack(f"{self.order}{len(data) // size}{code}",
                                  data[: len(data) // size * size]))  # fmt: skip

    def first(self, table: Table, tag: int, default: int = 0) -> int:
        values = self.integers(table[tag]) if tag in table else []
        return values[0] if values else default

    def number(self, code: str, at: int) -> int:
        data = self.read(at, struct.calcsize(code))
        return struct.unpack(code, data.ljust(struct.calcsize(code), b"\0"))[0]


def parse(file: BinaryIO, size: int) -> Structure:
    """Return the structure of a TIFF; what cannot be read is left out."""
    structure = Structure(file, size)
    head = structure.read(0, 8)
    structure.order = ">" if head[:2] == b"MM" else "<"
    structure.is_big = structure.number(structure.order + "H", 2) == 43
    first = structure.number(structure.word, structure.link_at)
    if not structure.is_big and structure.order == "<":
        wide = structure.number("<Q", 4)
        table = _table(structure, wide) if 0 < wide < size else None
        structure.is_ndpi = table is not None and 65420 in table
        first = wide if structure.is_ndpi else first
    chain, children, seen = [first], [], set()
    while (chain or children) and len(seen) < 300:
        is_chained = bool(chain)
        at = chain.pop() if chain else children.pop(0)
        if not 0 < at < size or at in seen:
            continue
        seen.add(at)
        table = _table(structure, at)
        structure.tables.append(table)
        if is_chained:
            chain.append(structure.number("<Q" if structure.is_ndpi else structure.word, table.end))
        for tag in CHILDREN:
            if tag in table:
                children.extend(structure.integers(table[tag]))
    return structure


def _table(structure: Structure, at: int) -> Table:
    code = structure.order + ("Q" if structure.is_big else "H")
    count = min(structure.number(code, at), 300)
    begin, size = at + struct.calcsize(code), structure.entry_size
    data = structure.read(begin, count * size)
    entries, seen = [], set()
    high_at = begin + count * size + 8
    for index in range(len(data) // size):
        entry_at = begin + index * size
        tag, field_type = struct.unpack_from(structure.order + "HH", data, index * size)
        number, value = struct.unpack_from(
            structure.order + structure.word[1] * 2, data, index * size + 4
        )
        room = size // 2 - 2
        byte_count = number * SIZES.get(field_type, 0)
        is_inline = byte_count <= room and not (structure.is_ndpi and field_type == 2)
        if structure.is_ndpi and not is_inline:
            high = structure.number("<I", high_at + 4 * index)
            wide = high << 32 | value
            value = wide if wide + byte_count <= structure.size else value
        value_at = entry_at + size - room if is_inline else value
        if field_type in SIZES and tag not in seen:
            seen.add(tag)
            entries.append(Entry(entry_at, tag, field_type, number, value_at, is_inline))
    return Table(at, begin + count * size, entries)
