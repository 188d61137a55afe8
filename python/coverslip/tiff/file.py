"""One TIFF of a slide: reads its directories, every offset and count checked against the file."""

import os
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from coverslip.errors import LimitError, SourceError
from coverslip.limits import LIMITS
from coverslip.model import SourceText, Uint64Array
from coverslip.tiff.directory import ASCII, DTYPES, LONG, RATIONALS, TILE_TAGS, Directory, Entry
from coverslip.tiff.layout import detect_layout
from coverslip.tiff.tags import EXIF_IFD, GPS_IFD, INTEROP_IFD, SUB_IFDS, decoded

Stamp = tuple[int, int, int, int]
"""Device, inode, length and time of change in nanoseconds."""
_CHILDREN = {SUB_IFDS: "SubIFD", EXIF_IFD: "Exif", GPS_IFD: "GPS", INTEROP_IFD: "Interop"}
_NOWHERE = np.uint64(2**64 - 1)
"""An offset that no slide has."""


@dataclass(slots=True)
class Totals:
    """What the directories of all files of a slide claim together."""

    directories: int = 0
    tiles: int = 0
    metadata_bytes: int = 0

    def next_number(self) -> int:
        """Return the number of one more directory.

        Raises
        ------
        LimitError
            If there are more than a slide may have.
        """
        if self.directories >= LIMITS.directories:
            raise LimitError(f"more directories than the limit directories = {LIMITS.directories}")
        self.directories += 1
        return self.directories - 1

    def add(self, directory: Directory) -> None:
        """Count what a directory claims.

        Raises
        ------
        LimitError
            If that is more than a slide may have.
        """
        self.tiles += directory.tile_count()
        self.metadata_bytes += directory.metadata_byte_count()
        if self.tiles > LIMITS.tiles:
            raise LimitError(
                f"the file claims {self.tiles} tiles, more than the limit tiles = {LIMITS.tiles}"
            )
        if self.metadata_bytes > LIMITS.metadata_bytes:
            raise LimitError(
                f"the values of the directories claim {self.metadata_bytes} bytes, more than the "
                f"limit metadata_bytes = {LIMITS.metadata_bytes}"
            )


def stamp_of(file: BinaryIO) -> Stamp:
    """Return what tells one state of an open file from another."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a file lies among those of a slide."""

    number: int = 0
    start: int = 0
    """How many bytes of other files lie in front of it."""


FIRST = Place()


class _OpenFile:
    """One of the files of a slide, wherever it lies among them."""

    def __init__(self, path: Path, file: BinaryIO, place: Place = FIRST) -> None:
        self.path, self.number, self.start = path, place.number, place.start
        self.stamp = stamp_of(file)
        self.byte_count = self.stamp[2]
        self._file = file


class TextFile(_OpenFile):
    """A file of a slide that says where things are in the others: nothing of it is a picture.

    Parameters
    ----------
    path, file
        The file.
    place
        Where it lies among the files of the slide.
    """

    @property
    def header(self) -> tuple[int, int]:
        """Offset and byte count of what lies in front of everything else: all of it."""
        return self.start, self.byte_count

    def text(self) -> SourceText:
        """Return what it says, whatever encoding it has.

        Raises
        ------
        LimitError
            If it is longer than a value may be.
        """
        if self.byte_count > LIMITS.value_bytes:
            raise LimitError(
                f"a text of the set has {self.byte_count} bytes, more than the limit "
                f"value_bytes = {LIMITS.value_bytes}"
            )
        self._file.seek(0)
        return decoded(0, self._file.read(self.byte_count))


class TiffFile(_OpenFile):
    """One TIFF, open. All offsets that it tells are those among all files of the slide.

    Parameters
    ----------
    path, file
        The file.
    place
        Where it lies among the files of the slide.
    is_alone
        Whether it is the only one: an offset beyond its end is then told as it stands there.
    """

    def __init__(
        self, path: Path, file: BinaryIO, place: Place = FIRST, *, is_alone: bool = True
    ) -> None:
        super().__init__(path, file, place)
        self._is_alone = is_alone
        self.layout = detect_layout(file, self.byte_count)

    @property
    def header(self) -> tuple[int, int]:
        """Offset and byte count of what lies in front of everything else."""
        return self.start, self.layout.header_size

    @property
    def byte_order(self) -> Literal["<", ">"]:
        """Byte order of the file, as `struct` writes it."""
        return self.layout.order

    def dtype(self, field_type: int) -> np.dtype[np.generic]:
        """Return the array type of a TIFF field type in this file's byte order."""
        return np.dtype(DTYPES[field_type]).newbyteorder(self.layout.order)

    def read(self, entry: Entry) -> bytes:
        """Return the bytes of a value, however many.

        Raises
        ------
        SourceError
            If the file ends before it does.
        """
        self._file.seek(entry.offset - self.start)
        value = self._file.read(entry.byte_count)
        if len(value) != entry.byte_count:
            raise SourceError("the file ends inside a value of a directory")
        return value

    def moved(self, offsets: Uint64Array) -> Uint64Array:
        """Return offsets in this file as those among all files; 0, which means none, stays 0.

        One beyond the end would be a place in another file: it becomes one that no file has.
        """
        if self._is_alone:
            return offsets
        moved = np.where(offsets < self.byte_count, offsets + np.uint64(self.start), _NOWHERE)
        moved[offsets == 0] = 0
        return moved

    def directories(self, totals: Totals) -> Iterator[Directory]:
        """Read the chain of directories, then whatever hangs off it, each only once.

        So the numbers of the chain are those that other TIFF tools show; they go on from one file
        to the next.
        """
        seen: set[int] = set()
        chain: deque[tuple[int, int | None, str]] = deque([(self._first_offset(), None, "IFD")])
        children: deque[tuple[int, int | None, str]] = deque()
        while chain or children:
            offset, parent, kind = chain.popleft() if chain else children.popleft()
            if offset == 0 or offset in seen:
                continue
            number = totals.next_number()
            seen.add(offset)
            entries, repeats, following, table, link = self._read_directory(offset, number)
            directory = Directory(
                number=number,
                parent=parent,
                kind=kind,
                file=self.number,
                _file=self,
                _entries=entries,
                _repeats=repeats,
                table=table,
                link=link,
            )
            totals.add(directory)
            yield directory
            if kind == "IFD":
                chain.append((following, None, kind))
            children.extend(
                (child, number, child_kind)
                for tag, child_kind in _CHILDREN.items()
                for child in self._offsets(directory, tag)
            )

    def _offsets(self, directory: Directory, tag: int) -> tuple[int, ...]:
        offsets = directory.array(tag)
        return () if offsets is None else tuple(int(o) for o in offsets[: LIMITS.directories])

    def _first_offset(self) -> int:
        self._file.seek(self.layout.first_at)
        offset = self._number(self.layout.next_code)
        if offset == 0:
            raise SourceError("the TIFF has no directory")
        return offset

    def _number(self, code: str) -> int:
        (number,) = self.layout.unpack(code, self._exactly(struct.calcsize("=" + code)))
        return number

    def _exactly(self, byte_count: int) -> bytes:
        value = self._file.read(byte_count)
        if len(value) != byte_count:
            raise SourceError("the file ends inside a directory")
        return value

    def _read_directory(
        self, offset: int, number: int
    ) -> tuple[
        dict[int, Entry], tuple[tuple[int, Entry], ...], int, tuple[int, int], tuple[int, int]
    ]:
        layout = self.layout
        if offset >= self.byte_count:
            raise SourceError(f"IFD {number} lies at offset {offset}, beyond the end of the file")
        self._file.seek(offset)
        count = self._number(layout.count_code)
        if count > LIMITS.tags_in_directory:
            raise LimitError(
                f"IFD {number} has {count} tags, more than the limit "
                f"tags_in_directory = {LIMITS.tags_in_directory}"
            )
        first = self._file.tell()
        table = self._exactly(count * layout.entry_size)
        size = struct.calcsize("=" + layout.next_code)
        (following,) = layout.unpack(layout.next_code, self._file.read(size).ljust(size, b"\0"))
        highs = self._high_words(count)
        entries: dict[int, Entry] = {}
        repeats: list[tuple[int, Entry]] = []
        for index in range(count):
            start = index * layout.entry_size
            header = table[start : start + layout.entry_size]
            code, entry = self._entry(first + start, header, highs[index], number)
            if entry is not None and entries.setdefault(code, entry) is not entry:
                repeats.append((code, entry))
        where = self.start + offset, first + len(table) - offset
        behind = sum(where), size + 4 * count * layout.has_high_words
        return entries, tuple(repeats), following, where, behind

    def _high_words(self, count: int) -> tuple[int, ...]:
        """Return the upper halves of the values of a directory's entries."""
        if not self.layout.has_high_words:
            return (0,) * count
        words = self._file.read(4 * count)
        # Files without them exist; what then follows the directory is no offset, see `_entry`.
        return self.layout.unpack(f"{count}I", words.ljust(4 * count, b"\0"))

    def _entry(
        self, offset: int, header: bytes, high: int, number: int
    ) -> tuple[int, Entry | None]:
        """Return a tag; one whose field type is unknown is left out, as TIFF 6.0 demands."""
        layout = self.layout
        code, dtype, count, value = layout.unpack("HH" + 2 * layout.value_code, header)
        if dtype not in DTYPES:
            return code, None
        size = count * np.dtype(DTYPES[dtype]).itemsize * (2 if dtype in RATIONALS else 1)
        is_inline = size <= layout.value_size and not (layout.has_high_words and dtype == ASCII)
        if is_inline:
            value_offset = offset + layout.entry_size - layout.value_size
        else:
            value_offset = high << 32 | value
            if layout.has_high_words and value_offset + size > self.byte_count:
                value_offset = value
        if value_offset + size > self.byte_count:
            raise SourceError(
                f"IFD {number} tag {code} claims {size} bytes at offset {value_offset}, but the "
                f"file has {self.byte_count} bytes"
            )
        value_offset += self.start
        wide = high << 32 | value
        is_wide = is_inline and high and (dtype, count) == (LONG, 1) and code in TILE_TAGS
        if not is_wide or wide > self.byte_count:
            return code, Entry(dtype, count, value_offset, size, is_inline)
        return code, Entry(dtype, count, value_offset, size, is_inline, wide)
