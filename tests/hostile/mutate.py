"""Changes slides where it hurts: in what the parsers of TIFF, XML, ICC, JPEG and JPEG 2000 read.

A mutation is a list of patches of a slide and bytes behind its end, all decided by one seed.
Texts are never copied into compressed pixels: there they would be pixels, and rightly go out.
"""

import os
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile import streams, texts
from tests.hostile.structure import CODES, SIZES, Entry, Structure, Table, parse

EXTREMES = (0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, (1 << 31) - 1, 1 << 31,
            (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
TAGS = (254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 284, 296, 305, 317,
        322, 323, 324, 325, 330, 338, 339, 347, 513, 514, 530, 532, 34665, 34675, 34853, 65420,
        65421, 65424, 65426, 65432, 65449)  # fmt: skip
COMPRESSIONS = (1, 2, 5, 6, 7, 8, 22610, 32773, 33003, 33005, 34712, 34892, 34925, 34926, 34927,
                34934, 50000, 50001, 50002, 61000)  # fmt: skip
OFFSETS, COUNTS = (324, 273), (325, 279)
TEXTS, ICC, JPEG_TABLES = (270, 305, 65449), 34675, 347


@dataclass
class Draft:
    """A slide that is being changed."""

    structure: Structure
    chance: random.Random
    secrets: Sequence[bytes]
    """Identifiers that the slide holds."""
    patches: list[tuple[int, bytes]] = field(default_factory=list)
    tail: bytes = b""
    cut: int | None = None
    """Where the slide is cut off."""

    def put(self, at: int, data: bytes) -> None:
        if at >= 0 and at + len(data) <= self.structure.size:
            self.patches.append((at, data))

    def append(self, data: bytes) -> int:
        """Put bytes behind the slide's end and return where."""
        at = self.structure.size + len(self.tail)
        self.tail += data
        return at

    def number(self, at: int, code: str, value: int) -> None:
        size = struct.calcsize(code)
        self.put(at, struct.pack(self.structure.order + code.upper(), value % (1 << 8 * size)))

    def table(self) -> Table:
        return self.chance.choice(self.structure.tables)

    def entry(self) -> Entry | None:
        entries = self.table().entries
        return self.chance.choice(entries) if entries else None

    def entry_of(self, tags: Sequence[int]) -> Entry | None:
        found = [e for table in self.structure.tables for e in table.entries if e.tag in tags]
        return self.chance.choice(found) if found else None

    def word(self, at: int, value: int) -> None:
        self.number(at, self.structure.word[1], value)

    def holds_secret(self, data: bytes) -> bool:
        """Whether bytes are part of an identifier, or hold part of one."""
        parts = (secret[i : i + 4] for secret in self.secrets for i in range(len(secret) - 3))
        return any(part in data for part in parts)


def place_in(draft: Draft) -> int:
    """Return an offset that somebody might write: of anything, or of nothing."""
    chance, structure = draft.chance, draft.structure
    kind = chance.randrange(6)
    if kind == 0:
        return structure.size - chance.randrange(-1, 9)
    if kind == 1:
        return chance.randrange(structure.size)
    if kind == 2:
        return draft.table().at
    entry = draft.entry_of(OFFSETS) if kind == 3 else draft.entry()
    if entry is None:
        return chance.choice(EXTREMES)
    offsets = structure.integers(entry) if kind == 3 else []
    return chance.choice(offsets) if offsets else entry.value_at


def some_number(draft: Draft, old: int) -> int:
    kind = draft.chance.randrange(6)
    if kind == 0:
        return old + draft.chance.choice((-1, 1, 16, -16, 128))
    if kind == 1:
        return old * 2 if draft.chance.random() < 0.5 else old // 2
    if kind == 2:
        return place_in(draft)
    return draft.chance.choice(EXTREMES)


def change_tag(draft: Draft) -> None:
    entry = draft.entry()
    if entry:
        draft.number(entry.at, "H", draft.chance.choice((*TAGS, draft.chance.randrange(65536))))


def change_type(draft: Draft) -> None:
    entry = draft.entry()
    if entry:
        draft.number(entry.at + 2, "H", draft.chance.choice((*SIZES, 0, 14, 15, 19, 65535)))


def change_count(draft: Draft) -> None:
    entry = draft.entry()
    if entry:
        draft.word(entry.at + 4, some_number(draft, entry.count))


def change_value(draft: Draft) -> None:
    """Change what stands in an entry: its value, or where that lies."""
    entry = draft.entry()
    if entry:
        at = entry.at + 4 + draft.structure.entry_size // 2 - 2
        draft.word(at, some_number(draft, entry.value_at if not entry.is_inline else 1))


def change_item(draft: Draft) -> None:
    """Change a number among the values of a tag."""
    entry = draft.entry()
    if entry and entry.field_type in CODES and entry.count:
        size = SIZES[entry.field_type]
        index = draft.chance.randrange(min(entry.count, 1 << 16))
        at = entry.value_at + index * size
        old = draft.structure.number(draft.structure.order + CODES[entry.field_type], at)
        new = some_number(draft, old)
        if entry.tag == 259 and draft.chance.random() < 0.7:
            new = draft.chance.choice(COMPRESSIONS)
        draft.number(at, CODES[entry.field_type], new)


def change_tile(draft: Draft) -> None:
    """Let a tile or strip begin elsewhere or be of another length."""
    entry = draft.entry_of(OFFSETS + COUNTS)
    if entry and entry.field_type in CODES and entry.count:
        code, size = CODES[entry.field_type], SIZES[entry.field_type]
        for _ in range(draft.chance.choice((1, 1, 1, 5))):
            at = entry.value_at + draft.chance.randrange(min(entry.count, 1 << 16)) * size
            old = draft.structure.number(draft.structure.order + code, at)
            new = place_in(draft) if entry.tag in OFFSETS else some_number(draft, old)
            draft.number(at, code, new)


def cross_entries(draft: Draft) -> None:
    """Put the entry of one directory in the place of another's."""
    one, other = draft.entry(), draft.entry()
    if one and other:
        draft.put(one.at, draft.structure.read(other.at, draft.structure.entry_size))


def swap_roles(draft: Draft) -> None:
    """Let one directory have the picture of another: a level that of the label, for example."""
    one, other = draft.table(), draft.table()
    for tag in (*OFFSETS, *COUNTS, *draft.chance.choice(((), (256, 257)))):
        if tag in one and tag in other:
            size = draft.structure.entry_size
            draft.put(one[tag].at + 2, draft.structure.read(other[tag].at + 2, size - 2))


def change_link(draft: Draft) -> None:
    """Let the chain of directories go elsewhere: in a circle, into data, out of the file."""
    links = [draft.structure.link_at, *(table.end for table in draft.structure.tables)]
    value = draft.table().at if draft.chance.random() < 0.5 else place_in(draft)
    draft.word(draft.chance.choice(links), value)


def add_child(draft: Draft) -> None:
    """Turn a tag into one that points at directories, at its own for example."""
    entry = draft.entry()
    if entry:
        draft.number(entry.at, "H", draft.chance.choice((330, 34665, 34853, 40965)))
        draft.number(entry.at + 2, "H", 16 if draft.structure.is_big else 4)
        draft.word(entry.at + 4, draft.chance.choice((1, 1, 4096)))
        draft.word(entry.at + 4 + draft.structure.entry_size // 2 - 2, place_in(draft))


def change_table_size(draft: Draft) -> None:
    table = draft.table()
    code = "Q" if draft.structure.is_big else "H"
    draft.number(table.at, code, some_number(draft, len(table.entries)))


def add_directory(draft: Draft) -> None:
    """Hang a copy of a directory behind the chain, with another size."""
    table = draft.table()
    data = bytearray(draft.structure.read(table.at, table.end - table.at) + bytes(8))
    for entry in table.entries:
        if entry.tag in (256, 257, 254) and entry.is_inline:
            struct.pack_into(draft.structure.order + "H", data, entry.value_at - table.at,
                             draft.chance.choice((1, 16, 64, 100, 300, 65535)))  # fmt: skip
    at = draft.append(bytes(draft.structure.size % 2) + bytes(data))
    draft.word(draft.chance.choice(draft.structure.tables).end, at + draft.structure.size % 2)


def change_text(draft: Draft) -> None:
    _replace(draft, TEXTS, texts.changed)


def change_profile(draft: Draft) -> None:
    _replace(draft, (ICC,), texts.changed_profile)


def change_shared_tables(draft: Draft) -> None:
    _replace(draft, (JPEG_TABLES,), streams.changed)


def _replace(
    draft: Draft, tags: Sequence[int], change: Callable[[bytes, random.Random], bytes]
) -> None:
    """Change a value; where it gets longer, it moves behind the end of the file."""
    entry = draft.entry_of(tags)
    if entry is None or entry.is_inline:
        return
    new = change(draft.structure.value(entry), draft.chance)
    if len(new) <= entry.byte_count:
        draft.put(entry.value_at, new)
        at = entry.value_at
    else:
        at = draft.append(new)
    draft.word(entry.at + 4, len(new) // SIZES[entry.field_type])
    draft.word(entry.at + 4 + draft.structure.entry_size // 2 - 2, at)


def change_stream(draft: Draft) -> None:
    """Change the segments or the entropy-coded data of a tile."""
    entry = draft.entry_of(OFFSETS)
    if entry is None or entry.field_type not in CODES:
        return
    table = next(table for table in draft.structure.tables if entry in table.entries)
    offsets = draft.structure.integers(entry)
    sizes = [n for tag in COUNTS if tag in table for n in draft.structure.integers(table[tag])]
    if not offsets or len(sizes) < len(offsets):
        return
    index = draft.chance.randrange(len(offsets))
    old = draft.structure.read(offsets[index], min(sizes[index], 1 << 22))
    new = streams.changed(old, draft.chance)
    draft.put(offsets[index], new[: len(old)])


def change_bytes(draft: Draft) -> None:
    """Flip bits, put extreme bytes, copy a stretch."""
    for _ in range(draft.chance.choice((1, 1, 2, 8))):
        at, kind = draft.chance.randrange(draft.structure.size), draft.chance.randrange(3)
        if kind == 0:
            old = draft.structure.read(at, 1)[0]
            draft.put(at, bytes([old ^ 1 << draft.chance.randrange(8)]))
        elif kind == 1:
            draft.put(at, draft.chance.choice((bytes(4), b"\xff" * 4, b"\0\0\0\x80")))
        else:
            stretch = draft.structure.read(draft.chance.randrange(draft.structure.size), 12)
            if not draft.holds_secret(stretch):
                draft.put(at, stretch)


def cut_off(draft: Draft) -> None:
    draft.cut = draft.chance.randrange(draft.structure.size)


KINDS: dict[Callable[[Draft], None], int] = {
    change_tag: 4,
    change_type: 4,
    change_count: 6,
    change_value: 8,
    change_item: 8,
    change_tile: 10,
    cross_entries: 6,
    swap_roles: 6,
    change_link: 4,
    add_child: 3,
    change_table_size: 2,
    add_directory: 4,
    change_text: 12,
    change_profile: 6,
    change_shared_tables: 5,
    change_stream: 16,
    change_bytes: 6,
    cut_off: 1,
}
"""Each with its weight."""


@dataclass(frozen=True)
class Mutation:
    """What was changed, enough to do and undo it."""

    kinds: tuple[str, ...]
    patches: tuple[tuple[int, bytes], ...]
    tail: bytes
    cut: int | None


def mutation_of(path: Path, secrets: Sequence[bytes], name: str, seed: int) -> Mutation:
    """Return the mutation that a seed means for a slide."""
    chance = random.Random(f"{name} {seed}")
    with path.open("rb") as file:
        draft = Draft(parse(file, path.stat().st_size), chance, secrets)
        kinds = chance.choices(list(KINDS), list(KINDS.values()), k=chance.choice((1, 1, 1, 2, 4)))
        for kind in kinds:
            kind(draft)
    return Mutation(
        tuple(kind.__name__ for kind in kinds), tuple(draft.patches), draft.tail, draft.cut
    )


class Mutated:
    """A slide that is changed in place inside ``with``, and what it was again after it.

    In place, since one of them has five gigabytes, most of them holes.
    """

    def __init__(self, path: Path, mutation: Mutation) -> None:
        self.path, self.mutation = path, mutation

    def __enter__(self) -> Path:
        self.size = self.path.stat().st_size
        self.before: list[tuple[int, bytes]] = []
        with self.path.open("r+b") as file:
            for at, data in self.mutation.patches:
                self.before.append((at, os.pread(file.fileno(), len(data), at)))
                os.pwrite(file.fileno(), data, at)
            os.pwrite(file.fileno(), self.mutation.tail, self.size)
            if self.mutation.cut is not None:
                self.rest = os.pread(
                    file.fileno(),
                    min(self.size - self.mutation.cut, 1 << 26),
                    max(self.mutation.cut, self.size - (1 << 26)),
                )
                file.truncate(self.mutation.cut)
        return self.path

    def __exit__(self, *_: object) -> None:
        with self.path.open("r+b") as file:
            file.truncate(self.size)
            if self.mutation.cut is not None:
                os.pwrite(file.fileno(), self.rest, self.size - len(self.rest))
            for at, data in reversed(self.before):
                os.pwrite(file.fileno(), data, at)
