"""Opens a TIFF and reads its directories; the only room that reads with tifffile.

tifffile is lenient by design. So only its header and tag structures are used here; offsets and
counts are checked against the file, and the core checks every tile once more.
"""

import errno
import logging
import os
import stat
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import tifffile

from coverslip.errors import LimitError, SourceError
from coverslip.limits import LIMITS
from coverslip.model import ItemKind, SourceItem, SourceText, Uint64Array
from coverslip.tiff.foreign import check_first_bytes
from coverslip.tiff.tags import (
    EXIF_IFD,
    GPS_IFD,
    INTEROP_IFD,
    JPEG_BYTE_COUNT,
    JPEG_OFFSET,
    JPEG_TABLES,
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    STRUCTURE_TAGS,
    SUB_IFDS,
    TEXT_TAGS,
    TILE_BYTE_COUNTS,
    TILE_OFFSETS,
    TILE_WIDTH,
    decoded,
)

_CHILDREN = {SUB_IFDS: "SubIFD", EXIF_IFD: "Exif", GPS_IFD: "GPS", INTEROP_IFD: "Interop"}

_DTYPES = {
    1: "u1", 2: "S1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4",
    11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
"""Field types of TIFF 6.0 section 2 and of BigTIFF; a rational is two values."""
_RATIONALS = {5, 10}
_ASCII, _BYTE, _UNDEFINED = 2, 1, 7
_UNSIGNED = {1, 3, 4, 13, 16, 18}
_PICTURES = ((TILE_OFFSETS, TILE_BYTE_COUNTS), (STRIP_OFFSETS, STRIP_BYTE_COUNTS),
             (JPEG_OFFSET, JPEG_BYTE_COUNT))  # fmt: skip
"""Tags that say where a picture lies; the last are the thumbnail of a camera."""
_TILE_TAGS = {tag for pair in _PICTURES for tag in pair}
_FEW = 64
"""More values than any tag has that is asked for as a few integers."""
_quiet: ContextVar[bool] = ContextVar("coverslip_reads_tiff", default=False)


class _Silence(logging.Filter):
    """Holds back what tifffile says about our files: it quotes file names and values."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _quiet.get()


@dataclass(frozen=True, slots=True)
class _Entry:
    dtype: int
    count: int
    offset: int
    """Where the value lies in the file, inline or not."""
    byte_count: int
    is_inline: bool

    def first(self, most: int) -> "_Entry":
        """Return the entry as if it had no more than so many values."""
        if self.count <= most:
            return self
        return replace(self, count=most, byte_count=self.byte_count // self.count * most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One image file directory, its values read when they are asked for."""

    number: int
    """Position in the file's chain; sub-directories are numbered on behind its end."""
    parent: int | None
    kind: str
    """``IFD``, ``SubIFD``, ``Exif``, ``GPS`` or ``Interop``."""
    _tiff: "Tiff" = field(repr=False)
    _entries: dict[int, _Entry] = field(repr=False)
    _repeats: tuple[tuple[int, _Entry], ...] = field(default=(), repr=False)
    """Tags that are there once more: never used, but what they hold is known."""

    @property
    def is_tiled(self) -> bool:
        """Whether the picture is stored in tiles rather than strips."""
        return TILE_WIDTH in self._entries

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def array(self, tag: int) -> Uint64Array | None:
        """Return the unsigned integers of a tag, straight from the file; ``None`` if absent.

        Raises
        ------
        SourceError
            If the tag holds something else.
        LimitError
            If there are more of them than a level may have tiles.
        """
        entry = self._entries.get(tag)
        if entry is None:
            return None
        if entry.count > LIMITS.tiles:
            raise LimitError(
                f"{self.place} tag {tag} has {entry.count} values, more than the limit "
                f"tiles = {LIMITS.tiles}"
            )
        return self._unsigned(tag, entry)

    def _unsigned(self, tag: int, entry: _Entry) -> Uint64Array:
        if entry.dtype not in _UNSIGNED:
            raise SourceError(f"{self.place} tag {tag} has field type {entry.dtype}")
        values = np.frombuffer(self._tiff.read(entry), self._tiff.dtype(entry.dtype))
        return values.astype(np.uint64)

    def integers(self, tag: int) -> tuple[int, ...]:
        """Return the first few unsigned integers of a tag; empty if absent."""
        entry = self._entries.get(tag)
        if entry is None:
            return ()
        return tuple(int(value) for value in self._unsigned(tag, entry.first(_FEW)))

    def integer(self, tag: int, default: int) -> int:
        """Return the first unsigned integer of a tag, or ``default``."""
        values = self.integers(tag)
        return values[0] if values else default

    def number_of(self, tag: int) -> float | None:
        """Return the first value of a numeric tag; ``None`` if absent, or not a number."""
        entry = self._entries.get(tag)
        if entry is None or entry.dtype in (_ASCII, _UNDEFINED) or entry.count < 1:
            return None
        values = np.frombuffer(self._tiff.read(entry.first(1)), self._tiff.dtype(entry.dtype))
        if entry.dtype in _RATIONALS:
            return float(values[0]) / float(values[1]) if values[1] else None
        return float(values[0])

    def raw(self, tag: int) -> bytes | None:
        """Return the bytes of a tag as they are; ``None`` if absent.

        Raises
        ------
        LimitError
            If there are more of them than a value may have.
        """
        entry = self._entries.get(tag)
        return None if entry is None else self._bytes(tag, entry)

    def _bytes(self, tag: int, entry: _Entry) -> bytes:
        if entry.byte_count > LIMITS.value_bytes:
            raise LimitError(
                f"{self.place} tag {tag} has {entry.byte_count} bytes, more than the limit "
                f"value_bytes = {LIMITS.value_bytes}"
            )
        return self._tiff.read(entry)

    def text(self, tag: int) -> SourceText | None:
        """Return the text of a tag up to its end, whatever encoding it has."""
        value = self.raw(tag)
        return None if value is None else decoded(tag, value)

    @property
    def place(self) -> str:
        """How messages and findings name this directory."""
        return f"{self.kind} {self.number}"

    def text_items(self) -> Iterator[SourceItem]:
        """Yield every tag of this directory that may hold text."""
        unknown = ItemKind.PLACE if self.kind == "GPS" else ItemKind.UNKNOWN
        for tag, entry in self._all():
            name, kind = TEXT_TAGS.get(tag, (f"tag {tag}", unknown))
            is_known = tag in TEXT_TAGS
            may_hold_text = entry.dtype == _ASCII or (
                entry.dtype in (_BYTE, _UNDEFINED) and tag not in STRUCTURE_TAGS
            )
            is_private = tag >= 65000 or self.kind in ("Exif", "GPS", "Interop")
            if is_known or may_hold_text or is_private:
                yield SourceItem(
                    place=f"{self.place} {name}",
                    key=name if is_known else None,
                    kind=kind,
                    text=decoded(tag, self._bytes(tag, entry)),
                )

    def value_ranges(self) -> Iterator[tuple[int, int]]:
        """Yield offset and byte count of every value that lies outside the directory."""
        for tag, entry in self._all():
            if not entry.is_inline and tag != JPEG_TABLES:
                yield entry.offset, entry.byte_count

    def _all(self) -> tuple[tuple[int, _Entry], ...]:
        return (*self._entries.items(), *self._repeats)

    def tile_count(self) -> int:
        """Return how many tiles and strips the tags claim, without reading them."""
        return sum(entry.count for tag, entry in self._all() if tag in _TILE_TAGS) // 2

    def metadata_byte_count(self) -> int:
        """Return how many bytes all other values claim outside the directory."""
        values = (entry for tag, entry in self._all() if tag not in _TILE_TAGS)
        return sum(entry.byte_count for entry in values if not entry.is_inline)

    def picture_ranges(self) -> npt.NDArray[np.uint64]:
        """Return offset and byte count of every tile or strip, shape (n, 2)."""
        pairs = []
        for offsets_tag, counts_tag in _PICTURES:
            offsets, counts = self.array(offsets_tag), self.array(counts_tag)
            if offsets is not None and counts is not None:
                shared = min(len(offsets), len(counts))
                pairs.append(np.stack([offsets[:shared], counts[:shared]], axis=1))
        return np.concatenate(pairs) if pairs else np.zeros((0, 2), np.uint64)


class Tiff:
    """An open TIFF: its directories in the order of the chain."""

    def __init__(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        self.stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        self.byte_count = status.st_size
        self._file = file
        self._parser = tifffile.TiffFile(file, name="slide")
        self.directories = tuple(self._walk())

    @property
    def is_bigtiff(self) -> bool:
        """Whether offsets have 64 bits."""
        return bool(self._parser.is_bigtiff)

    def dtype(self, field_type: int) -> np.dtype[np.generic]:
        """Return the array type of a TIFF field type in this file's byte order."""
        return np.dtype(_DTYPES[field_type]).newbyteorder(self._parser.byteorder)

    def read(self, entry: _Entry) -> bytes:
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
            entries, repeats, following = self._read_directory(offset, number)
            directory = Directory(
                number=number,
                parent=parent,
                kind=kind,
                _tiff=self,
                _entries=entries,
                _repeats=repeats,
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
        parser = self._parser.tiff
        self._file.seek(8 if self.is_bigtiff else 4)
        (offset,) = struct.unpack(parser.offsetformat, self._exactly(parser.offsetsize))
        if offset == 0:
            raise SourceError("the TIFF has no directory")
        return int(offset)

    def _exactly(self, byte_count: int) -> bytes:
        value = self._file.read(byte_count)
        if len(value) != byte_count:
            raise SourceError("the file ends inside a directory")
        return value

    def _read_directory(
        self, offset: int, number: int
    ) -> tuple[dict[int, _Entry], tuple[tuple[int, _Entry], ...], int]:
        parser = self._parser.tiff
        if offset >= self.byte_count:
            raise SourceError(f"IFD {number} lies at offset {offset}, beyond the end of the file")
        self._file.seek(offset)
        (count,) = struct.unpack(parser.tagnoformat, self._exactly(parser.tagnosize))
        if count > LIMITS.tags_in_directory:
            raise LimitError(
                f"IFD {number} has {count} tags, more than the limit "
                f"tags_in_directory = {LIMITS.tags_in_directory}"
            )
        table = self._exactly(count * parser.tagsize)
        (following,) = struct.unpack(
            parser.offsetformat, self._file.read(parser.offsetsize).ljust(parser.offsetsize, b"\0")
        )
        first = offset + parser.tagnosize
        entries: dict[int, _Entry] = {}
        repeats: list[tuple[int, _Entry]] = []
        for index in range(count):
            start = index * parser.tagsize
            code, entry = self._entry(first + start, table[start : start + parser.tagsize], number)
            if entry is not None and entries.setdefault(code, entry) is not entry:
                repeats.append((code, entry))
        return entries, tuple(repeats), int(following)

    def _entry(self, offset: int, header: bytes, number: int) -> tuple[int, _Entry | None]:
        """Return a tag; one whose field type is unknown is left out, as TIFF 6.0 demands."""
        parser = self._parser.tiff
        code, dtype, count, value = struct.unpack(parser.tagheaderformat, header)
        if dtype not in _DTYPES:
            return code, None
        size = int(count) * np.dtype(_DTYPES[dtype]).itemsize * (2 if dtype in _RATIONALS else 1)
        is_inline = size <= parser.tagoffsetthreshold
        if is_inline:
            value_offset = offset + parser.tagsize - parser.tagoffsetthreshold
        else:
            (value_offset,) = struct.unpack(parser.offsetformat, value)
        if value_offset + size > self.byte_count:
            raise SourceError(
                f"IFD {number} tag {code} claims {size} bytes at offset {value_offset}, but the "
                f"file has {self.byte_count} bytes"
            )
        return code, _Entry(int(dtype), int(count), int(value_offset), size, is_inline)


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
    tifffile_log = logging.getLogger("tifffile")
    silence = _Silence()
    tifffile_log.addFilter(silence)
    token = _quiet.set(True)
    try:
        with _open_file(path) as file:
            check_first_bytes(file, path.suffix)
            yield _parse(file)
    finally:
        _quiet.reset(token)
        tifffile_log.removeFilter(silence)


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
    except Exception:  # noqa: BLE001 (tifffile raises many kinds, with values in their messages)
        failed = SourceError(problem)
    raise failed
