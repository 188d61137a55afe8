"""What dciodvfy says of the instances of a built slide, but for what is known and explained."""

import pydicom

from tests.interop import readers

_YCC_J2K = "YBR_FULL_422"
"""What a validator older than CP-2650 says about 33003 in 4:2:2; nothing else is forgiven."""


def validator_findings(path, slide, program):
    """Return the lines that the validator prints, without those that the slide excuses."""
    excused = [_YCC_J2K] if slide.is_ycc422_jpeg2000 else []
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    if readers.absent_colour(dataset) is not None or "ConcatenationUID" in dataset:
        # It counts the tiles of the whole grid, whatever (0020,9311) and (0020,9161) say.
        excused.append("NumberOfFrames does not match expected value for tiled total pixel matrix")
    if slide.lossy_term is not None:
        excused.append(f"Unrecognized defined term = <{slide.lossy_term}>")
    lines = readers.dciodvfy(path, program)
    return [line for line in lines if not any(text in line for text in excused)]
