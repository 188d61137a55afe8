"""Reads an instance back before it gets its final name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.encaps import parse_basic_offsets, parse_fragments
from pydicom.filebase import DicomIO

from coverslip import _core
from coverslip.errors import VerificationError
from coverslip.model import Uint64Array


def frame_ranges(
    path: Path, pixel_data_offset: int, frame_count: int
) -> tuple[Uint64Array, Uint64Array]:
    """Return offset and byte count of each frame of an instance, one fragment each.

    The items are walked by pydicom (PS3.5 A.4).

    Raises
    ------
    VerificationError
        If there are not as many fragments as frames.
    """
    with path.open("rb") as file:
        # Tag, value representation and undefined length of the element are 12 bytes.
        file.seek(pixel_data_offset + 12)
        buffer = DicomIO(file)
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        parse_basic_offsets(buffer)
        _, items = parse_fragments(buffer)
        if len(items) != frame_count:
            raise VerificationError(f"there are {len(items)} fragments for {frame_count} frames")
        offsets = np.array(items, np.uint64) + np.uint64(8)
        ends = np.append(offsets[1:] - np.uint64(8), np.uint64(file.seek(0, 2) - 8))
    return offsets, ends - offsets


def read_back(
    source: _core.Source,
    plan: _core.FramePlan,
    path: Path,
    header: bytes,
    *,
    on_progress: Callable[[int], object] | None = None,
) -> _core.VerifyReport:
    """Compare a written instance with its source: header, offset tables and every frame.

    So nothing is left that could be another byte than was written and hashed.
    The header is parsed by pydicom, which had no part in placing the Pixel Data.

    Raises
    ------
    VerificationError
        If the file is not what was planned.
    UnsupportedSlideError
        If a tile hides something behind its picture that must not go out.
    """
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise VerificationError("the header is not what was written")
        file.seek(0)
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
        pixel_data_offset = file.tell()
    if int(dataset.NumberOfFrames) != plan.frame_count:
        raise VerificationError(
            f"the header says {dataset.NumberOfFrames} frames, the plan has {plan.frame_count}"
        )
    extended = None
    if "ExtendedOffsetTable" in dataset:
        extended = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    return _core.verify_instance(
        source,
        plan,
        path,
        pixel_data_offset,
        extended_offset_table=extended,
        on_progress=on_progress,
    )
