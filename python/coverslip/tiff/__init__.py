"""Opens a TIFF and reads its directories; every offset and count is checked against the file.

A library is not used here: tifffile parses the first directory into Python objects whatever it
holds, knows NDPI by the file's name only, and quotes values in its log. The core checks every
tile once more.
"""

import errno
import os
import stat
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from coverslip.errors import LimitError, SourceError
from coverslip.limits import LIMITS
from coverslip.tiff.directory import ASCII, DTYPES, LONG, RATIONALS, TILE_TAGS, Directory, Entry
from coverslip.tiff.foreign import check_first_bytes
from coverslip.tiff.layout import detect_layout
from coverslip.tiff.tags import EXIF_IFD, GPS_IFD, INTEROP_IFD, SUB_IFDS

__all__ = ["Directory", "Tiff", "open_tiff"]

_CHILDREN = {SUB_IFDS: "SubIFD", EXIF_IFD: "Exif", GPS_IFD: "GPS", INTEROP_IFD: "Interop"}


class Tiff:
    """An open TIFF: its directories in the order of the chain."""

    def __init__(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        self.stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        self.byte_count = status.st_size
        self._file = file
        self.layout = detect_layout(file, status.st_size)
        self.directories = tuple(self._walk())

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
        self._file.seek(entry.offset)
        value = self._file.read(entry.byte_count)
        if len(value) != entry.byte_count:
            raise SourceError("the file ends inside a value of a directory")
        return value

    def _walk(self) -> Iterator[Directory]:
        """Read the chain of directories, then whatever hangs off it, each only once.

        So the numbers of the chain are those that other TIFF tools show.
        """
        seen: set[int] = set()
        tiles = metadata_bytes = 0
        chain: deque[tuple[int, int | None, str]] = deque([(self._first_offset(), None, "IFD")])
        children: deque[tuple[int, int | None, str]] = deque()
        while chain or children:
            offset, parent, kind = chain.popleft() if chain else children.popleft()
            if offset == 0 or offset in seen:
                continue
            number = len(seen)
            if number >= LIMITS.directories:
                raise LimitError(
                    f"more directories than the limit directories = {LIMITS.directories}"
                )
            seen.add(offset)
            entries, repeats, following, table = self._read_directory(offset, number)
            directory = Directory(
                number=number,
                parent=parent,
                kind=kind,
                _file=self,
                _entries=entries,
                _repeats=repeats,
                table=table,
            )
            tiles += directory.tile_count()
            metadata_bytes += directory.metadata_byte_count()
            _check_totals(tiles, metadata_bytes)
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
    ) -> tuple[dict[int, Entry], tuple[tuple[int, Entry], ...], int, tuple[int, int]]:
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
        return entries, tuple(repeats), following, (offset, first + len(table) - offset)

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
        wide = high << 32 | value
        is_wide = is_inline and high and (dtype, count) == (LONG, 1) and code in TILE_TAGS
        if not is_wide or wide > self.byte_count:
            return code, Entry(dtype, count, value_offset, size, is_inline)
        return code, Entry(dtype, count, value_offset, size, is_inline, wide)


def _check_totals(tiles: int, metadata_bytes: int) -> None:
    if tiles > LIMITS.tiles:
        raise LimitError(
            f"the file claims {tiles} tiles, more than the limit tiles = {LIMITS.tiles}"
        )
    if metadata_bytes > LIMITS.metadata_bytes:
        raise LimitError(
            f"the values of the directories claim {metadata_bytes} bytes, more than the limit "
            f"metadata_bytes = {LIMITS.metadata_bytes}"
        )


@contextmanager
def open_tiff(path: Path) -> Iterator[Tiff]:
    """Yield a TIFF, opened once and for reading only.

    Raises
    ------
    UnsupportedSlideError
        If it is a slide format that is not TIFF; the message names it.
    SourceError
        If it is not a TIFF, or a damaged one.
    OSError
        If it cannot be read; without the file's name, which may identify a patient.
    """
    with _open_file(path) as file:
        check_first_bytes(file, path.suffix)
        yield _parse(file)


def _open_file(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISREG(mode):
            return path.open("rb")
        failed: Exception = SourceError("the slide is not a regular file")
    except OSError as error:
        failed = OSError(error.errno, error.strerror)
    raise failed


def _parse(file: BinaryIO) -> Tiff:
    problem = "the TIFF structure cannot be read"
    try:
        return Tiff(file)
    except (SourceError, LimitError):
        raise
    except OSError as error:
        failed: Exception = OSError(error.errno, error.strerror)
    except MemoryError:
        failed = LimitError(f"{problem} in the memory at hand")
    raise failed
