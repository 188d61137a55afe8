"""Reads an instance back before it gets its final name."""

from collections.abc import Callable
from pathlib import Path

import pydicom

from coverslip import _core
from coverslip.errors import VerificationError


def read_back(
    source: _core.Source,
    plan: _core.FramePlan,
    path: Path,
    *,
    on_progress: Callable[[int], object] | None = None,
) -> _core.VerifyReport:
    """Compare a written instance with its source, offset tables and every frame.

    The header is parsed by pydicom, which had no part in placing the Pixel Data.

    Raises
    ------
    VerificationError
        If the file is not what was planned.
    UnsupportedSlideError
        If a tile hides something behind its picture that must not go out.
    """
    with path.open("rb") as file:
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
