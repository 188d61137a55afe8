"""All files of a level: one as a rule, or the parts of a concatenation, put together again."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coverslip import _core
from coverslip.model import Uint64Array
from coverslip.verification import positions
from coverslip.verification.elements import Problem
from coverslip.verification.frames import frame_ranges
from coverslip.verification.header import Header
from coverslip.verification.positions import Positions

_SHOWN = 3
"""Numbers of missing parts that are told."""
_MOST_OPEN = 500
"""Files that are opened together: half of what systems let a process have."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A level, in files whose frames follow each other."""

    files: tuple[tuple[Path, Header], ...]

    @property
    def header(self) -> Header:
        """What the first file says, and all others too but for their frames."""
        return self.files[0][1]

    @property
    def path(self) -> Path:
        """The first file."""
        return self.files[0][0]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return tuple(path for path, _ in self.files)

    @property
    def is_readable(self) -> bool:
        """Whether the files are few enough to be read as one."""
        return len(self.files) <= _MOST_OPEN

    @property
    def frame_count(self) -> int:
        """How many frames the files have together, as they say."""
        return sum(header.frame_count for _, header in self.files)

    @property
    def places(self) -> tuple[Positions, ...] | None:
        """Where the frames of each file lie, if not all tiles of the grid have one."""
        places = [header.positions for _, header in self.files]
        known = tuple(place for place in places if place is not None)
        return known if len(known) == len(places) else None

    @property
    def numbers(self) -> Uint64Array | None:
        """Which tiles of the grid the frames are, ``None`` if all have one."""
        places = self.places
        return None if places is None else np.concatenate([place.numbers for place in places])

    @property
    def grid_count(self) -> int:
        """How many tiles the grid has, with the focal planes above each other."""
        places = self.places
        return self.frame_count if places is None else places[0].grid_count

    def ranges(self) -> tuple[Uint64Array, Uint64Array]:
        """Return offset and byte count of each frame, the files one behind the other.

        Raises
        ------
        VerificationError
            If there are not as many fragments as frames.
        """
        offsets, byte_counts, start = [], [], 0
        for path, header in self.files:
            found = frame_ranges(path, header.pixel_data_offset, header.frame_count)
            offsets.append(found[0] + np.uint64(start))
            byte_counts.append(found[1])
            start += path.stat().st_size
        return np.concatenate(offsets), np.concatenate(byte_counts)

    def source(self) -> _core.Source:
        """Return all files, one behind the other."""
        return _core.Source(*self.paths)

    def problems(self) -> Iterator[Problem]:
        """Yield how its parts do not fit together; of one file there is nothing to say."""
        parts = [header.part for _, header in self.files if header.part is not None]
        if not parts or any(header.problems for _, header in self.files):
            return  # told where the file is looked at
        total = parts[0].total
        numbers = [part.number for part in parts]
        missing = sorted({*range(1, min(total, numbers[-1] + _SHOWN) + 1)} - {*numbers})
        if missing or len(numbers) != total:
            shown = ", ".join(map(str, missing[:_SHOWN]))
            there = f"{len(numbers)} of {total} parts are there"
            yield "(0020,9163)", f"{there}, but not {shown}" if missing else there
            return
        if len({part.likeness for part in parts}) > 1:
            yield "(0020,9161)", "the parts of the level contradict each other"
            return
        counts = [header.frame_count for _, header in self.files]
        if [part.first_frame for part in parts] != [0, *np.cumsum(counts)[:-1].tolist()]:
            yield "(0020,9228)", "the frames of a part do not follow those of the part before"
        if self.places is None and self.frame_count != self.header.grid_count:
            yield "(0028,0008)", "the frames of all parts are not those of the grid"
        if self.places is not None:
            yield from positions.problems_of(self.places)


def wholes_of(files: Iterable[tuple[Path, Header]]) -> Iterator[Whole]:
    """Yield the levels that files are, the parts of each in their order."""
    groups: dict[str, list[tuple[Path, Header]]] = defaultdict(list)
    for path, header in files:
        if header.part is None:
            yield Whole(((path, header),))
        else:
            groups[header.part.uid].append((path, header))
    for group in groups.values():
        yield Whole(tuple(sorted(group, key=_number)))


def _number(file: tuple[Path, Header]) -> int:
    part = file[1].part
    return 0 if part is None else part.number
