"""Writes TIFFs byte by byte: any tag, any tile bytes, both byte orders, classic and BigTIFF."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, IFD, LONG8, IFD8 = 1, 2, 3, 4, 5, 7, 13, 16, 18
_CODES = {BYTE: "B", ASCII: "B", SHORT: "H", LONG: "I", RATIONAL: "II", UNDEFINED: "B", IFD: "I",
          LONG8: "Q", IFD8: "Q", 9: "i", 11: "I"}  # fmt: skip


@dataclass(frozen=True)
class Value:
    field_type: int
    items: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.items) // (2 if self.field_type == RATIONAL else 1)

    def encoded(self, order: str) -> bytes:
        code = _CODES[self.field_type][0]
        return struct.pack(f"{order}{len(self.items)}{code}", *self.items)


def ascii_(text: str) -> Value:
    return Value(ASCII, tuple(text.encode() + b"\0"))


def short(*items: int) -> Value:
    return Value(SHORT, items)


def long(*items: int) -> Value:
    return Value(LONG, items)


def rational(*items: int) -> Value:
    return Value(RATIONAL, items)


def undefined(data: bytes) -> Value:
    return Value(UNDEFINED, tuple(data))


def byte(data: bytes) -> Value:
    return Value(BYTE, tuple(data))


@dataclass
class Directory:
    """One directory; ``pieces`` are its tiles or strips, an empty one is missing."""

    tags: dict[int, Value]
    pieces: list[bytes] = field(default_factory=list)
    tiled: bool = True
    children: list["Directory"] = field(default_factory=list)
    exif: dict[int, Value] | None = None
    gps: dict[int, Value] | None = None
    interop: dict[int, Value] | None = None
    """In the directory of Exif."""


class Writer:
    """Puts directories and what they point at behind one another."""

    def __init__(self, *, big_endian: bool, bigtiff: bool, gap: bytes) -> None:
        self.order = ">" if big_endian else "<"
        self.big = bigtiff
        self.gap = gap
        mark = b"MM" if big_endian else b"II"
        self.out = bytearray(
            mark + struct.pack(self.order + ("HHHQ" if bigtiff else "HI"),
                               *((43, 8, 0, 0) if bigtiff else (42, 0)))
        )  # fmt: skip
        self.link = 8 if bigtiff else 4
        self.offset_code = "Q" if bigtiff else "I"

    def _put(self, data: bytes) -> int:
        if len(self.out) % 2:
            self.out += b"\0"
        at = len(self.out)
        self.out += data
        return at

    def _patch(self, at: int, offset: int) -> None:
        struct.pack_into(self.order + self.offset_code, self.out, at, offset)

    def chain(self, directories: list[Directory]) -> None:
        for directory in directories:
            at, next_link = self.directory(directory)
            self._patch(self.link, at)
            self.link = next_link

    def directory(self, directory: Directory) -> tuple[int, int]:
        tags = dict(directory.tags)
        offsets = []
        for piece in directory.pieces:
            offsets.append(self._put(piece) if piece else 0)
            self.out += self.gap
        if directory.pieces:
            offset_tag, count_tag = (324, 325) if directory.tiled else (273, 279)
            tags[offset_tag] = Value(LONG8 if self.big else LONG, tuple(offsets))
            tags[count_tag] = Value(LONG, tuple(len(piece) for piece in directory.pieces))
        if directory.children:
            children = [self.directory(child)[0] for child in directory.children]
            tags[330] = Value(IFD8 if self.big else IFD, tuple(children))
        if directory.exif is not None:
            exif = dict(directory.exif)
            if directory.interop is not None:
                exif[40965] = long(self.directory(Directory(directory.interop))[0])
            tags[34665] = long(self.directory(Directory(exif))[0])
        if directory.gps is not None:
            tags[34853] = long(self.directory(Directory(directory.gps))[0])
        return self._table(tags)

    def _table(self, tags: dict[int, Value]) -> tuple[int, int]:
        room = 8 if self.big else 4
        entries = []
        for code, value in sorted(tags.items()):
            data = value.encoded(self.order)
            if len(data) > room:
                data = struct.pack(self.order + self.offset_code, self._put(data))
            head = struct.pack(
                self.order + ("HHQ" if self.big else "HHI"), code, value.field_type, value.count
            )
            entries.append(head + data.ljust(room, b"\0"))
        count = struct.pack(self.order + ("Q" if self.big else "H"), len(entries))
        table = count + b"".join(entries)
        at = self._put(table + bytes(room))
        return at, at + len(table)


def write_tiff(
    path: Path,
    directories: list[Directory],
    *,
    big_endian: bool = False,
    bigtiff: bool = False,
    gap: bytes = b"",
    tail: bytes = b"",
) -> None:
    """Write a chain of directories; ``gap`` follows each tile, ``tail`` the last directory."""
    writer = Writer(big_endian=big_endian, bigtiff=bigtiff, gap=gap)
    writer.chain(directories)
    path.write_bytes(bytes(writer.out) + tail)
