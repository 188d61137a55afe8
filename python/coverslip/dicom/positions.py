"""Where the frames of a sparse level lie, one item for each (PS3.3 C.7.6.16.2.2, C.8.12.6.1).

There may be hundreds of thousands, so their bytes are put together here: of data sets they would
take minutes. `coverslip.dicom.part10` compares the first with the data set's.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from coverslip.dicom.geometry import image_orientation
from coverslip.errors import LimitError
from coverslip.model import InstanceSpec

_MOST_BYTES = 0xFFFFFFFE
"""Of a sequence of a defined length (PS3.5 7.5)."""
_Offsets = npt.NDArray[np.float64]
MOST_ITEM_BYTES = 168
"""Of one item: three dimensions, and offsets of less than ten metres."""
_NM_DIGITS = 6
"""Of an offset in millimetres: more would be no measure, and might be some number of the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where one frame lies."""

    indices: tuple[int, ...]
    """Ordinals of focal plane, where there are several, row and column among those that occur."""
    column: int
    """Of its first pixel in the total pixel matrix, from 1."""
    row: int
    x_mm: str
    y_mm: str
    z_um: str

    def groups(self) -> Dataset:
        """Return the groups of the frame."""
        content, position, groups = Dataset(), Dataset(), Dataset()
        content.DimensionIndexValues = list(self.indices)
        position.ColumnPositionInTotalImagePixelMatrix = self.column
        position.RowPositionInTotalImagePixelMatrix = self.row
        position.XOffsetInSlideCoordinateSystem = self.x_mm
        position.YOffsetInSlideCoordinateSystem = self.y_mm
        position.ZOffsetInSlideCoordinateSystem = self.z_um
        groups.FrameContentSequence = Sequence([content])
        groups.PlanePositionSlideSequence = Sequence([position])
        return groups

    def encoded(self) -> bytes:
        """Return the item of the frame, in Explicit VR Little Endian."""
        indices = struct.pack(f"<{len(self.indices)}I", *self.indices)
        content = _element(0x0020, 0x9157, b"UL", indices)
        position = b"".join(
            (
                _element(0x0040, 0x072A, b"DS", _padded(self.x_mm)),
                _element(0x0040, 0x073A, b"DS", _padded(self.y_mm)),
                _element(0x0040, 0x074A, b"DS", _padded(self.z_um)),
                _element(0x0048, 0x021E, b"SL", struct.pack("<i", self.column)),
                _element(0x0048, 0x021F, b"SL", struct.pack("<i", self.row)),
            )
        )
        groups = sequence(0x0020, 0x9111, _item(content)), sequence(0x0048, 0x021A, _item(position))
        return _item(b"".join(groups))


def positions(spec: InstanceSpec, origin_mm: tuple[float, float]) -> Iterator[Position]:
    """Yield where the frames of a sparse level lie, in their order; of a part its own.

    Indices count what occurs in the whole level, also in a part.

    Raises
    ------
    ValueError
        If it is not sparse.
    """
    if spec.frame_numbers is None:
        raise ValueError("the positions of all frames are told by their order")
    numbers = spec.frame_numbers.astype(np.int64)
    across, down = spec.grid
    planes, places = np.divmod(numbers, across * down)
    rows, columns = np.divmod(places, across)
    x_mm, y_mm = _offsets(spec, origin_mm, rows, columns)
    z_um = [
        _shortened(plane * (spec.plane_distance_um or 0.0)) for plane in range(spec.focal_planes)
    ]
    dimensions = (planes, rows, columns) if spec.focal_planes > 1 else (rows, columns)
    indices = np.stack([_ordinals(dimension) for dimension in dimensions], axis=1)
    own = slice(spec.frames.start, spec.frames.stop)
    lists = [array[own].tolist() for array in (indices, columns, rows, x_mm, y_mm, planes)]
    for index, column, row, x, y, plane in zip(*lists, strict=True):
        yield Position(
            indices=tuple(index),
            column=column * spec.columns + 1,
            row=row * spec.rows + 1,
            x_mm=_shortened(x),
            y_mm=_shortened(y),
            z_um=z_um[plane],
        )


def encoded(positions: Iterable[Position]) -> bytes:
    """Return all items.

    Raises
    ------
    LimitError
        If no sequence can hold them.
    """
    items = b"".join(position.encoded() for position in positions)
    if len(items) > _MOST_BYTES:
        raise LimitError(
            f"the places of its frames take {len(items)} bytes, and a sequence {_MOST_BYTES}",
            hint="without --sparse they need none",
        )
    return items


def sequence(group: int, element: int, items: bytes) -> bytes:
    """Return a sequence of defined length."""
    return struct.pack("<HH2sHI", group, element, b"SQ", 0, len(items)) + items


def _offsets(
    spec: InstanceSpec,
    origin_mm: tuple[float, float],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
) -> tuple[_Offsets, _Offsets]:
    """Return X and Y of the centre of each frame's first pixel, in millimetres."""
    cosines = image_orientation(spec.label_side)
    along_row = columns * (spec.columns * spec.spacing.column_mm)
    along_column = rows * (spec.rows * spec.spacing.row_mm)
    x_mm, y_mm = (
        origin_mm[axis] + along_row * cosines[axis] + along_column * cosines[3 + axis]
        for axis in (0, 1)
    )
    return x_mm, y_mm


def _shortened(number: float) -> str:
    text = f"{number:.{_NM_DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _ordinals(dimension: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the place of each value among those that occur, from 1 (PS3.3 C.7.6.17.2)."""
    return np.unique(dimension, return_inverse=True)[1] + 1


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def _padded(text: str) -> bytes:
    return (text + " " * (len(text) % 2)).encode("ascii")
