"""What lies in a slide beside its tags and pixels, and goes nowhere.

That is what no decoder needs of a tile or of the tables that tiles share, and bytes that nothing
points at. Frames are built without asking here: this is for those who want to know what was there.
Little is read, so of many tiles some are looked at.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from coverslip.errors import CoverslipError
from coverslip.gaps import gaps_between
from coverslip.leftovers.streams import (
    CutOffError,
    Part,
    Walked,
    behind_the_end,
    has_stream,
    is_stream,
    walk,
)
from coverslip.leftovers.texts import text_of
from coverslip.model import ItemKind, Leftover, Slide, StoredValue

Read = Callable[[int, int], bytes]
"""Returns bytes of the slide by offset and count."""

TILES, TABLES, PICTURES = "tiles", "JPEGTables", "pictures beside the levels"
GAP, GAPS, TAIL = "gap", "further gaps", "behind the last part"

_SAMPLE = 8
"""Tiles of a level that are looked at, evenly spread, and the last."""
_BESIDE = 64
"""Ranges beside the levels that are looked at: a slide has some tens of strips and tables."""
_LEAST_STREAM = 20
"""Bytes of the shortest stream with something in it."""
_SAID = 8
"""Texts of one kind at one place that are told each by itself."""
_HEAD, _LONG_HEAD = 1 << 12, 1 << 20
"""Bytes of a stream that are read first, and where its header is longer."""
_WHOLE = 1 << 17
"""A longer stream is not read to its end."""
_GAPS = 64
"""The longest gaps that are told each by itself."""
_LEAST_GAP = 4
"""Fewer bytes are alignment, and too few for a word that is looked for."""
_GAP_HEAD = 4096


def leftovers_of(slide: Slide, byte_count: int, read: Read) -> tuple[Leftover, ...]:
    """Return what lies in a slide beside its tags and pixels.

    Parameters
    ----------
    slide
        The slide.
    byte_count
        Bytes of all its files.
    read
        Reads it.
    """
    look = _Look(read)
    stored = [level.stored_ranges() for level in slide.levels]
    for level, ranges in zip(slide.levels, stored, strict=True):
        look.streams(f"IFD {level.ifd} {TILES}", *_some(ranges, _SAMPLE))
    private = slide.private_ranges
    look.streams(PICTURES, *_some(private[private[:, 1] >= _LEAST_STREAM], _BESIDE))
    structure = np.array(slide.metadata.structure, np.uint64).reshape(-1, 2)
    gaps = gaps_between((private, structure, *stored), byte_count)
    return (*look.found(), *_gaps(gaps, byte_count, read))


def _some(ranges: npt.NDArray[np.uint64], most: int) -> tuple[list[tuple[int, int]], int]:
    """Return offset and byte count of some that are present, the last with them, and of how many.

    There may be millions, so what is present is not copied.
    """
    is_there = ranges[:, 1] > 0
    present = range(len(ranges)) if is_there.all() else np.flatnonzero(is_there)
    step = max(1, -(-len(present) // most))
    chosen = sorted({*range(0, len(present), step), *range(len(present))[-1:]})
    picked = [(int(offset), int(size)) for offset, size in (ranges[present[at]] for at in chosen)]
    return picked, len(present)


@dataclass(slots=True)
class _Pieces:
    """Parts of one kind at one place that say the same."""

    first: Part
    offset: int
    """Where the first of them lies in the slide."""
    count: int = 0
    byte_count: int = 0

    def add(self, count: int, byte_count: int) -> None:
        self.count += count
        self.byte_count += byte_count


@dataclass(slots=True)
class _Look:
    """Looks into streams and puts together what says the same."""

    read: Read
    said: dict[tuple[str, str | None], dict[bytes, _Pieces]] = field(default_factory=dict)
    looked_at: Counter[str] = field(default_factory=Counter)
    among: dict[str, int] = field(default_factory=dict)

    def streams(self, place: str, ranges: Iterable[tuple[int, int]], count: int) -> None:
        """Look into some streams of a place that has so many."""
        self.among[place] = count
        known = Walked((), 0)
        head = b""
        for offset, byte_count in ranges:
            data = _bytes(self.read, offset, byte_count if byte_count <= _WHOLE else _HEAD)
            if not is_stream(data):
                if place != PICTURES:
                    break  # a level of another codec
                continue
            self.looked_at[place] += 1
            if not head or not data.startswith(head):
                try:
                    known = walk(data)
                except CutOffError:
                    known = self._longer(offset, byte_count)
                head = data[: known.length]
            self._note(TABLES if known.is_tables else place, offset, known.parts)
            if len(data) == byte_count and not known.is_tables:
                behind = behind_the_end(data, known.length)
                self._note(place, offset, () if behind is None else (behind,))

    def _longer(self, offset: int, byte_count: int) -> Walked:
        try:
            return walk(_bytes(self.read, offset, min(byte_count, _LONG_HEAD)))
        except CutOffError:  # a plan tells what is wrong with it
            return Walked((), 0)

    def _note(self, place: str, offset: int, parts: tuple[Part, ...]) -> None:
        for part in parts:
            said = self.said.setdefault((place, part.key), {})
            data = part.data if part.data in said or len(said) < _SAID else b""
            pieces = said.setdefault(data, _Pieces(part, offset + part.start))
            pieces.add(1, len(part.data))

    def found(self) -> Iterator[Leftover]:
        """Yield what was found, place by place."""
        for (place, key), said in self.said.items():
            where = place if place in self.among else PICTURES
            for data, pieces in said.items():
                ifd = int(place.split()[1]) if place.endswith(TILES) else None
                yield Leftover(
                    place=place,
                    key=key,
                    kind=pieces.first.kind,
                    pieces=pieces.count,
                    byte_count=pieces.byte_count,
                    looked_at=self.looked_at[where],
                    among=self.among[where],
                    text=text_of(data),
                    stored=StoredValue(
                        ifd=ifd, tag=None, offset=pieces.offset, byte_count=len(pieces.first.data)
                    ),
                )


def _gaps(gaps: npt.NDArray[np.int64], byte_count: int, read: Read) -> Iterator[Leftover]:
    """Yield what nothing points at, the longest gaps one by one, the rest as one."""
    gaps = gaps[gaps[:, 1] >= _LEAST_GAP]
    longest = np.argsort(-gaps[:, 1], kind="stable")
    for offset, size in gaps[np.sort(longest[:_GAPS])].tolist():
        head = _bytes(read, offset, min(size, _GAP_HEAD))
        if size <= _GAP_HEAD and not head.strip(b"\0"):
            continue  # padding
        text = text_of(head)
        kind = ItemKind.UNKNOWN if text is None else ItemKind.TEXT
        yield Leftover(
            place=TAIL if offset + size == byte_count else GAP,
            key=None,
            kind=ItemKind.PICTURE if has_stream(head) else kind,
            pieces=1,
            byte_count=size,
            text=text,
            stored=StoredValue(ifd=None, tag=None, offset=offset, byte_count=size),
        )
    others = gaps[longest[_GAPS:], 1]
    if len(others):
        yield Leftover(
            place=GAPS,
            key=None,
            kind=ItemKind.UNKNOWN,
            pieces=len(others),
            byte_count=int(others.sum()),
        )


def _bytes(read: Read, offset: int, byte_count: int) -> bytes:
    try:
        return read(offset, byte_count)
    except CoverslipError:  # a range that lies outside fails the slide when it is planned
        return b""
