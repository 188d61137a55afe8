"""What dciodvfy says of the instances of a built slide, but for what is known and explained."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom

from tests.interop import readers

_YCC_J2K = "YBR_FULL_422"
"""What a validator older than CP-2650 says about 33003 in 4:2:2; nothing else is forgiven."""


def validator_findings(path, slide, program):
    """Return the lines that the validator prints, without those that the slide excuses."""
    with _as_known(path) as known:
        lines = readers.dciodvfy(known, program)
    excused = [_YCC_J2K] if slide.is_ycc422_jpeg2000 else []
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    if readers.absent_colour(dataset) is not None or "ConcatenationUID" in dataset:
        # It counts the tiles of the whole grid, whatever (0020,9311) and (0020,9161) say.
        excused.append("NumberOfFrames does not match expected value for tiled total pixel matrix")
    if slide.lossy_term is not None:
        excused.append(f"Unrecognized defined term = <{slide.lossy_term}>")
    return [line for line in lines if not any(text in line for text in excused)]


@contextmanager
def _as_known(path: Path) -> Iterator[Path]:
    """Give an instance under a transfer syntax that the validator knows to be encapsulated.

    Of one that is newer it calls the fragments an error; it decodes none.
    """
    newer = f"{readers.DEFLATED_IMAGE_FRAME}\0".encode()
    known = b"1.2.840.10008.1.2.4.90"
    data = path.read_bytes()
    if newer not in data[:512]:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        copy.write_bytes(data.replace(newer, known, 1))
        yield copy
