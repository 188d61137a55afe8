"""Where the frames of a sparse level say that they lie (PS3.3 C.7.6.17.3, C.8.12.6.1).

There may be hundreds of thousands of items, all of one form, so they are matched with it byte by
byte: whatever else stands there is a problem, and no reader of data sets has to build them.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from coverslip.model import Uint64Array
from coverslip.verification.elements import Problem

_PER_FRAME_GROUPS = 0x52009230
_PLACE = "(5200,9230)"
_NEAR_MM, _NEAR_UM = 1e-5, 1e-3
"""Offsets are written to the nanometre, and the spacing that they are made of to six digits."""


def _form(dimensions: int) -> re.Pattern[bytes]:
    """Return the form of an item: its groups are lengths and values, in their order."""
    item, sequence, length = rb"\xfe\xff\x00\xe0", rb"SQ\x00\x00", b"(.{4})"
    number = rb"\x04\x00(.{4})"
    text = rb"(.)\x00(-?[0-9]{1,6}(?:\.[0-9]{1,6})? ?)"
    size = struct.pack("<H", 4 * dimensions)
    parts = (
        item + length,
        rb"\x20\x00\x11\x91" + sequence + length + item + length,
        rb"\x20\x00\x57\x91UL" + re.escape(size) + b"(.{%d})" % (4 * dimensions),
        rb"\x48\x00\x1a\x02" + sequence + length + item + length,
        rb"\x40\x00\x2a\x07DS" + text,
        rb"\x40\x00\x3a\x07DS" + text,
        rb"\x40\x00\x4a\x07DS" + text,
        rb"\x48\x00\x1e\x02SL" + number,
        rb"\x48\x00\x1f\x02SL" + number,
    )
    return re.compile(b"".join(parts), re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Which tiles of the grid the frames of an instance are."""

    numbers: Uint64Array = field(repr=False)
    """In the order in which TILED_FULL has all of them."""
    indices: npt.NDArray[np.int64] = field(repr=False)
    """Of the dimensions, one row for each."""
    planes: int
    down: int
    across: int

    @property
    def grid_count(self) -> int:
        """How many tiles there are."""
        return self.planes * self.down * self.across

    problems: tuple[Problem, ...] = ()


def problems_of(parts: Sequence[Positions]) -> Iterator[Problem]:
    """Yield what is wrong with all frames of a level, whose parts have nothing wrong."""
    numbers = np.concatenate([part.numbers for part in parts]).astype(np.int64)
    indices = np.concatenate([part.indices for part in parts], axis=1)
    plane, place = np.divmod(numbers, parts[0].down * parts[0].across)
    down, across = np.divmod(place, parts[0].across)
    dimensions = [plane, down, across][-len(indices) :]
    checks = (
        (np.diff(numbers, prepend=-1) > 0, "is there twice, or out of order"),
        *(
            (np.unique(dimension, return_inverse=True)[1] + 1 == index, "has another index")
            for dimension, index in zip(dimensions, indices, strict=True)
        ),
    )
    for right, what in checks:
        if not right.all():
            yield _PLACE, f"frame {int(np.argmin(right))} {what}"
    if not len(numbers) < parts[0].grid_count:
        yield "(0020,9311)", "a sparse level in which no frame is missing"


def take(dataset: Dataset) -> bytes | None:
    """Take the items of a sparse level out of its data set; ``None`` of any other instance."""
    if dataset.get("DimensionOrganizationType") != "TILED_SPARSE":
        return None
    raw = dataset.get_item(_PER_FRAME_GROUPS)
    if not isinstance(raw, RawDataElement) or not isinstance(raw.value, bytes):
        return b""
    del dataset[_PER_FRAME_GROUPS]
    return raw.value


def byte_count(header: bytes, items: bytes | None) -> int:
    """Return how many bytes at the end of a header are the element of these items, and no more."""
    if not items:
        return 0
    element = struct.pack("<HH2sHI", 0x5200, 0x9230, b"SQ", 0, len(items))
    is_last = header[-len(items) - len(element) :][: len(element)] == element
    return len(element) + len(items) if is_last and header.endswith(items) else 0


def read(dataset: Dataset, items: bytes) -> Positions:
    """Return where frames lie, and what is wrong with that.

    What takes all frames of a level to be told, is told by `problems_of`.
    """
    grid = _Grid.of(dataset)

    def found(
        numbers: Uint64Array, table: npt.NDArray[np.float64], problems: list[Problem]
    ) -> Positions:
        return Positions(
            numbers=numbers,
            indices=table[: len(numbers), :-5].T.astype(np.int64),
            planes=grid.planes,
            down=grid.down,
            across=grid.across,
            problems=tuple(problems),
        )

    rows = list(_rows(items, 3 if grid.planes > 1 else 2))
    if not rows or rows[-1] is None:
        what = f"item {max(len(rows) - 1, 0)} has another form than that of a frame's place"
        return found(np.zeros(0, np.uint64), np.zeros((0, 7)), [(_PLACE, what)])
    table = np.array(rows, np.float64)
    numbers, problems = grid.numbers(table)
    if len(numbers) != int(dataset.get("NumberOfFrames") or 0) and not problems:
        problems.append((_PLACE, "it does not have an item for each frame"))
    return found(numbers, table, problems)


def _rows(items: bytes, dimensions: int) -> Iterator[tuple[float, ...] | None]:
    """Yield indices, offsets and places of each item, ``None`` and no more if one is unlike."""
    form, at = _form(dimensions), 0
    while at < len(items):
        found = form.match(items, at)
        row = None if found is None else _row(found)
        yield row
        if found is None or row is None:
            return
        at = found.end()


def _row(found: "re.Match[bytes]") -> tuple[float, ...] | None:
    """Return the numbers of an item, if its lengths are right."""
    *lengths, indices, outer, inner = found.group(1, 2, 3, 4, 5, 6)
    texts = found.group(8, 10, 12)
    starts = (found.start(1), found.start(2), found.start(3), found.start(5), found.start(6))
    ends = (found.end(), found.end(4), found.end(4), found.end(), found.end())
    said = [int.from_bytes(length, "little") for length in (*lengths, outer, inner)]
    if said != [end - start - 4 for start, end in zip(starts, ends, strict=True)]:
        return None
    lengths_of_texts = [length[0] for length in found.group(7, 9, 11)]
    if lengths_of_texts != [len(text) for text in texts] or any(n % 2 for n in lengths_of_texts):
        return None
    places = struct.unpack("<ii", found.group(13) + found.group(14))
    ordinals = struct.unpack(f"<{len(indices) // 4}I", indices)
    return (*ordinals, *map(float, texts), *places)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """What the rest of the header says of the places of frames."""

    width: int
    length: int
    columns: int
    rows: int
    planes: int
    origin: tuple[float, float]
    cosines: tuple[float, ...]
    spacing: tuple[float, float]
    plane_distance_um: float
    dimensions: tuple[int, ...]
    """Tags of the dimensions."""

    @classmethod
    def of(cls, dataset: Dataset) -> "_Grid":
        (origin,) = dataset.TotalPixelMatrixOriginSequence
        (groups,) = dataset.SharedFunctionalGroupsSequence
        (measures,) = groups.PixelMeasuresSequence
        return cls(
            width=int(dataset.TotalPixelMatrixColumns),
            length=int(dataset.TotalPixelMatrixRows),
            columns=int(dataset.Columns),
            rows=int(dataset.Rows),
            planes=int(dataset.get("TotalPixelMatrixFocalPlanes") or 1),
            origin=(
                float(origin.XOffsetInSlideCoordinateSystem),
                float(origin.YOffsetInSlideCoordinateSystem),
            ),
            cosines=tuple(map(float, dataset.ImageOrientationSlide)),
            spacing=(float(measures.PixelSpacing[0]), float(measures.PixelSpacing[1])),
            plane_distance_um=1000 * float(measures.get("SpacingBetweenSlices") or 0),
            dimensions=tuple(
                int(item.DimensionIndexPointer) for item in dataset.DimensionIndexSequence
            ),
        )

    @property
    def across(self) -> int:
        return -(-self.width // max(self.columns, 1))

    @property
    def down(self) -> int:
        return -(-self.length // max(self.rows, 1))

    def numbers(self, table: npt.NDArray[np.float64]) -> tuple[Uint64Array, list[Problem]]:
        """Return which tiles of the grid frames are, and what does not fit together."""
        x, y, z, column, row = table.T[-5:]
        across, beside = np.divmod(column - 1, self.columns)
        down, below = np.divmod(row - 1, self.rows)
        plane = np.round(z / self.plane_distance_um) if self.planes > 1 else np.zeros(len(z))
        numbers = (plane * self.down + down) * self.across + across
        checks = (
            (
                (beside == 0)
                & (below == 0)
                & (across >= 0)
                & (across < self.across)
                & (down >= 0)
                & (down < self.down),
                "is not at a place of the grid",
            ),
            (
                (plane >= 0)
                & (plane < self.planes)
                & (np.abs(plane * self.plane_distance_um - z) <= _NEAR_UM),
                "is in no focal plane",
            ),
            (self._is_near(0, x, column, row), "has another X than its column and row"),
            (self._is_near(1, y, column, row), "has another Y than its column and row"),
        )
        problems = [
            (_PLACE, f"frame {int(np.argmin(right))} {what}")
            for right, what in checks
            if not right.all()
        ]
        wanted = (0x0040074A, 0x0048021F, 0x0048021E)[-3 if self.planes > 1 else -2 :]
        if self.dimensions != wanted:
            problems.append(("(0020,9222)", "its dimensions are not those of its frames"))
        return (numbers if not problems else numbers[:0]).astype(np.uint64), problems

    def _is_near(
        self,
        axis: int,
        offsets: npt.NDArray[np.float64],
        column: npt.NDArray[np.float64],
        row: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.bool_]:
        row_mm, column_mm = self.spacing
        along = (column - 1) * column_mm * self.cosines[axis]
        along += (row - 1) * row_mm * self.cosines[3 + axis]
        return np.abs(self.origin[axis] + along - offsets) <= _NEAR_MM
