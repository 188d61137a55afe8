"""Reads what a converter wrote: headers by pydicom, fragments by a walk over their items."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pydicom

ITEM = b"\xfe\xff\x00\xe0"
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_UNDEFINED = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One DICOM file."""

    path: Path
    dataset: pydicom.Dataset = field(repr=False)
    pixel_data: int
    """Where the element (7FE0,0010) begins."""

    @property
    def image_type(self) -> str:
        """Return VOLUME, LABEL, OVERVIEW or THUMBNAIL; many converters leave it out."""
        values = list(self.dataset.get("ImageType") or ())
        return str(values[2]) if len(values) > 2 else "VOLUME"

    @property
    def size(self) -> tuple[int, int]:
        """Return columns and rows of the total pixel matrix."""
        get = self.dataset.get
        return (
            int(get("TotalPixelMatrixColumns") or get("Columns") or 0),
            int(get("TotalPixelMatrixRows") or get("Rows") or 0),
        )

    @property
    def frame_size(self) -> tuple[int, int]:
        """Return columns and rows of a frame."""
        return int(self.dataset.get("Columns") or 0), int(self.dataset.get("Rows") or 0)

    @property
    def photometric_interpretation(self) -> str:
        """Return what the header says that samples are."""
        return str(self.dataset.get("PhotometricInterpretation") or "")

    @property
    def frame_count(self) -> int:
        """Return the number of frames that the header tells."""
        return int(self.dataset.get("NumberOfFrames") or 1)

    def places(self) -> list[int]:
        """Return for each frame which tile of the grid it is, counted row by row."""
        items = self.dataset.get("PerFrameFunctionalGroupsSequence")
        if items is None:
            return list(range(self.frame_count))
        columns, rows = self.frame_size
        across = -(-self.size[0] // columns)
        found = []
        for item in items:
            place = item.get("PlanePositionSlideSequence")
            if not place:
                return list(range(self.frame_count))
            x = int(place[0].ColumnPositionInTotalImagePixelMatrix) - 1
            y = int(place[0].RowPositionInTotalImagePixelMatrix) - 1
            found.append(y // rows * across + x // columns)
        return found

    def frames(self) -> Iterator[bytes]:
        """Yield the frames; a frame in several fragments ends the walk, its count will be short."""
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            at = self.pixel_data + 12
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")  # the Basic Offset Table
            while data[at : at + 4] == ITEM:
                length = int.from_bytes(data[at + 4 : at + 8], "little")
                yield data[at + 8 : at + 8 + length]
                at += 8 + length

    def frames_at(self, numbers: set[int]) -> dict[int, bytes]:
        """Return some frames by their number."""
        last = max(numbers, default=-1) + 1
        frames = enumerate(islice(self.frames(), last))
        return {number: frame for number, frame in frames if number in numbers}


def instances_in(folder: Path) -> list[Instance]:
    """Return all DICOM files below a folder, whatever their names."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            file.seek(128)
            if file.read(4) != b"DICM":
                continue
            file.seek(0)
            dataset = pydicom.dcmread(file, stop_before_pixels=True)
            found.append(Instance(path=path, dataset=dataset, pixel_data=file.tell()))
    return found


def is_encapsulated(instance: Instance) -> bool:
    """Return whether Pixel Data stands where the header ends, in fragments."""
    with instance.path.open("rb") as file:
        file.seek(instance.pixel_data)
        head = file.read(12)
    return head[:4] == _PIXEL_DATA and head[8:12] == _UNDEFINED
