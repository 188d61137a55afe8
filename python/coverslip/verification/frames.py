"""Where the frames of an instance are, as pydicom finds them."""

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

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
    # The process that compares pixels needs `Joined` only, and would take twice as long to start.
    from pydicom.encaps import parse_basic_offsets, parse_fragments
    from pydicom.filebase import DicomIO

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


class Joined(ExitStack):
    """Files that are read as if they were one, one behind the other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._files = [self.enter_context(path.open("rb")) for path in paths]
        sizes = [path.stat().st_size for path in paths]
        self._starts = [sum(sizes[:number]) for number in range(len(sizes))]

    def read(self, offset: int, byte_count: int) -> bytes:
        """Return bytes of one of the files."""
        number = bisect_right(self._starts, offset) - 1
        self._files[number].seek(offset - self._starts[number])
        return self._files[number].read(byte_count)
