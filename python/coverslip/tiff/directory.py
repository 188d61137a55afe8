"""One image file directory, its values read when they are asked for."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from coverslip.errors import LimitError, SourceError
from coverslip.limits import LIMITS
from coverslip.model import ItemKind, SourceItem, SourceText, StoredValue, Uint64Array
from coverslip.tiff.tags import (
    IMAGE_DEPTH,
    JPEG_BYTE_COUNT,
    JPEG_OFFSET,
    NDPI_MARK,
    NDPI_STARTS,
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    STRUCTURE_TAGS,
    TEXT_TAGS,
    TILE_BYTE_COUNTS,
    TILE_OFFSETS,
    TILE_WIDTH,
    decoded,
    split_at_end,
)

DTYPES = {
    1: "u1", 2: "S1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4",
    11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
"""Field types of TIFF 6.0 section 2 and of BigTIFF; a rational is two values."""
RATIONALS = {5, 10}
ASCII, LONG = 2, 4
_BYTE, _UNDEFINED = 1, 7
_WIDE = {3, 4, 8, 9}
_FEW_CODES = 4
"""Fewer numbers are measures and no name."""
_UNSIGNED = {1, 3, 4, 13, 16, 18}
_PICTURES = ((TILE_OFFSETS, TILE_BYTE_COUNTS), (STRIP_OFFSETS, STRIP_BYTE_COUNTS),
             (JPEG_OFFSET, JPEG_BYTE_COUNT))  # fmt: skip
"""Tags that say where a picture lies; the last are the thumbnail of a camera."""
_OFFSETS = {offsets for offsets, _ in _PICTURES}
TILE_TAGS = {tag for pair in _PICTURES for tag in pair}
_HEADER = 1 << 20
"""Bytes in which the header of a JPEG ends."""
_FEW = 64
"""More values than any tag has that is asked for as a few integers."""


class Values(Protocol):
    """Reads the values of a file's directories."""

    def read(self, entry: "Entry") -> bytes:
        """Return the bytes of a value."""

    def dtype(self, field_type: int) -> np.dtype[np.generic]:
        """Return the array type of a TIFF field type in the file's byte order."""

    @property
    def byte_order(self) -> Literal["<", ">"]:
        """Return the file's byte order, as `struct` writes it."""

    def moved(self, offsets: Uint64Array) -> Uint64Array:
        """Return offsets in the file as those among all files of the slide."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag: where its value lies."""

    dtype: int
    count: int
    offset: int
    """Where the value lies among all files of the slide, inline or not."""
    byte_count: int
    is_inline: bool
    wide: int | None = None
    """The value itself, where NDPI keeps its high half outside the entry."""

    @property
    def is_wide_text(self) -> bool:
        """Whether its numbers may be the codes of characters: SHORT or LONG, more than a size."""
        return self.dtype in _WIDE and self.count >= _FEW_CODES

    def first(self, most: int) -> "Entry":
        """Return the entry as if it had no more than so many values."""
        if self.count <= most:
            return self
        return replace(self, count=most, byte_count=self.byte_count // self.count * most)

    def part(self, first: int, count: int) -> "Entry":
        """Return the entry as if it had only some of its values, as far as it has them."""
        first = min(first, self.count)
        count = min(count, self.count - first)
        each = self.byte_count // self.count if self.count else 0
        return replace(
            self,
            count=count,
            offset=self.offset + first * each,
            byte_count=count * each,
            wide=self.wide if count else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One image file directory, its values read when they are asked for."""

    number: int
    """Position in the file's chain; sub-directories are numbered on behind its end, and those of
    the next file of the slide behind them."""
    parent: int | None
    kind: str
    """``IFD``, ``SubIFD``, ``Exif``, ``GPS`` or ``Interop``."""
    file: int = 0
    """Number of its file among those of the slide."""
    _file: "Values" = field(repr=False)
    _entries: dict[int, Entry] = field(repr=False)
    _repeats: tuple[tuple[int, Entry], ...] = field(default=(), repr=False)
    """Tags that are there once more: never used, but what they hold is known."""
    table: tuple[int, int] = (0, 0)
    """Offset and byte count of the directory itself, which has short values in it."""
    link: tuple[int, int] = (0, 0)
    """Of what stands behind it: where the next one lies, and in NDPI the high halves of values."""

    @property
    def is_tiled(self) -> bool:
        """Whether the picture is stored in tiles rather than strips."""
        return TILE_WIDTH in self._entries

    @property
    def byte_order(self) -> Literal["<", ">"]:
        """Byte order of the file, which is that of samples wider than a byte."""
        return self._file.byte_order

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def array(self, tag: int) -> Uint64Array | None:
        """Return the unsigned integers of a tag, straight from the file; ``None`` if absent.

        Where pictures lie is told among all files of the slide.

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

    def _unsigned(self, tag: int, entry: Entry) -> Uint64Array:
        if entry.dtype not in _UNSIGNED:
            raise SourceError(f"{self.place} tag {tag} has field type {entry.dtype}")
        if entry.wide is not None:
            values = np.array([entry.wide], np.uint64)
        else:
            stored = np.frombuffer(self._file.read(entry), self._file.dtype(entry.dtype))
            values = stored.astype(np.uint64)
        return self._file.moved(values) if tag in _OFFSETS else values

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
        values = self.numbers_of(tag, most=1)
        return None if not values or math.isnan(values[0]) else values[0]

    def numbers_of(self, tag: int, most: int = _FEW) -> tuple[float, ...]:
        """Return the first few values of a numeric tag; empty if absent, or not numbers.

        A fraction of nothing is not a number.
        """
        entry = self._entries.get(tag)
        if entry is None or entry.dtype in (ASCII, _UNDEFINED) or entry.count < 1:
            return ()
        first = entry.first(most)
        values = np.frombuffer(self._file.read(first), self._file.dtype(entry.dtype))
        if entry.dtype in RATIONALS:
            halves = zip(values[::2].tolist(), values[1::2].tolist(), strict=True)
            return tuple(over / under if under else math.nan for over, under in halves)
        return tuple(map(float, values.tolist()))

    def raw(self, tag: int) -> bytes | None:
        """Return the bytes of a tag as they are; ``None`` if absent.

        Raises
        ------
        LimitError
            If there are more of them than a value may have.
        """
        entry = self._entries.get(tag)
        return None if entry is None else self._bytes(tag, entry)

    def _bytes(self, tag: int, entry: Entry) -> bytes:
        if entry.byte_count > LIMITS.value_bytes:
            raise LimitError(
                f"{self.place} tag {tag} has {entry.byte_count} bytes, more than the limit "
                f"value_bytes = {LIMITS.value_bytes}"
            )
        return self._file.read(entry)

    def text(self, tag: int) -> SourceText | None:
        """Return the text of a tag up to the zero that ends it, whatever encoding it has.

        What stands behind that is told by `text_items` only: other readers do not see it either.
        """
        value = self.raw(tag)
        return None if value is None else split_at_end(decoded(tag, value))[0]

    def end_of(self, tag: int, byte_count: int) -> bytes:
        """Return the last bytes of a tag, however long it is; empty if absent."""
        entry = self._entries.get(tag)
        if entry is None:
            return b""
        count = min(byte_count, entry.byte_count)
        offset = entry.offset + entry.byte_count - count
        return self._file.read(replace(entry, offset=offset, byte_count=count))

    @property
    def place(self) -> str:
        """How messages and findings name this directory."""
        return f"{self.kind} {self.number}"

    def text_items(self) -> Iterator[SourceItem]:
        """Yield every tag of this directory that may hold text."""
        unknown = ItemKind.PLACE if self.kind == "GPS" else ItemKind.UNKNOWN
        for tag, entry in self._all():
            if self._holds_starts(tag, entry):
                continue
            name, kind = TEXT_TAGS.get(tag, (f"tag {tag}", unknown))
            is_known = tag in TEXT_TAGS
            may_hold_text = entry.dtype == ASCII or (
                (entry.dtype in (_BYTE, _UNDEFINED) or entry.is_wide_text)
                and tag not in STRUCTURE_TAGS
            )
            is_private = tag >= 65000 or self.kind in ("Exif", "GPS", "Interop")
            if is_known or may_hold_text or is_private:
                yield SourceItem(
                    place=f"{self.place} {name}",
                    key=name if is_known else None,
                    kind=kind,
                    text=decoded(tag, self._bytes(tag, entry)),
                )

    def _holds_starts(self, tag: int, entry: Entry) -> bool:
        """Tell whether a tag holds where the restart intervals of NDPI begin, and nothing else.

        Numbers that grow, no larger than the JPEG: the first lies behind its header, and of their
        lower halves one is smaller than the one before for every 4 GB. Text is nothing of this.
        """
        if tag not in NDPI_STARTS or NDPI_MARK not in self._entries or entry.dtype != LONG:
            return False
        if entry.byte_count > LIMITS.value_bytes:
            return False
        starts, most = self._unsigned(tag, entry), self.number_of(STRIP_BYTE_COUNTS) or 0
        falls = np.count_nonzero(starts[1:] < starts[:-1])
        return bool(
            (starts[:1] < _HEADER).all() and (starts < most).all() and falls <= most / 2**32
        )

    def plane(self, number: int, tiles: int) -> "Directory":
        """Return one focal plane of a volume (tag 32997), as if it had a directory of its own.

        Parameters
        ----------
        number
            Of the plane, from 0, in the order in which the tiles lie in the tags.
        tiles
            How many tiles a plane has.
        """
        entries = {
            tag: entry.part(number * tiles, tiles) if tag in TILE_TAGS else entry
            for tag, entry in self._entries.items()
            if tag != IMAGE_DEPTH
        }
        return replace(self, _entries=entries)

    def values(self) -> Iterator[tuple[str, StoredValue]]:
        """Yield each value by the place that an item of it has; a repeated tag is not told."""
        for tag, entry in self._entries.items():
            name, _ = TEXT_TAGS.get(tag, (f"tag {tag}", None))
            stored = StoredValue(
                ifd=self.number, tag=tag, offset=entry.offset, byte_count=entry.byte_count
            )
            yield f"{self.place} {name}", stored

    def value_ranges(self) -> Iterator[tuple[int, int]]:
        """Yield offset and byte count of every value that lies outside the directory."""
        for _, entry in self._all():
            if not entry.is_inline:
                yield entry.offset, entry.byte_count

    def _all(self) -> tuple[tuple[int, Entry], ...]:
        return (*self._entries.items(), *self._repeats)

    def tile_count(self) -> int:
        """Return how many tiles and strips the tags claim, without reading them."""
        return sum(entry.count for tag, entry in self._all() if tag in TILE_TAGS) // 2

    def metadata_byte_count(self) -> int:
        """Return how many bytes all other values claim outside the directory."""
        values = (entry for tag, entry in self._all() if tag not in TILE_TAGS)
        return sum(entry.byte_count for entry in values if not entry.is_inline)

    def picture_ranges(self, *, is_level: bool = False) -> npt.NDArray[np.uint64]:
        """Return offset and byte count of every tile or strip, shape (n, 2).

        A picture whose length the tags do not tell has byte count 0. Of a level, only what is
        beside its tiles or strips: the thumbnail of a camera, strips of a picture in tiles.
        """
        stored = [pair for pair in _PICTURES if pair[0] in self._entries]
        used = self.array(stored.pop(0)[0]) if is_level and stored else None
        ranges = [np.zeros((0, 2), np.uint64)]
        for offsets_tag, counts_tag in stored:
            offsets, counts = self.array(offsets_tag), self.array(counts_tag)
            if offsets is None or np.array_equal(offsets, used if used is not None else ()):
                continue  # the same tiles under the names of strips
            known = 0 if counts is None else min(len(offsets), len(counts))
            pairs = np.zeros((len(offsets), 2), np.uint64)
            pairs[:, 0] = offsets
            if counts is not None:
                pairs[:known, 1] = counts[:known]
            is_missing = (np.arange(len(offsets)) < known) & (pairs[:, 1] == 0)
            ranges.append(pairs[~is_missing])
        return np.concatenate(ranges)
