"""Looks for bar codes in the label and the overview of an output."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from coverslip.limits import LIMITS
from coverslip.verification.frames import frame_ranges


def problems_of(path: Path, pixel_data_offset: int, container_identifier: str) -> Iterator[str]:
    """Yield what is wrong with the only frame of a label or overview.

    The only bar code that may be there is that of the pseudonym.

    Raises
    ------
    ValueError
        If the picture cannot be decoded; it is then unchecked.
    VerificationError
        If there is not one frame.
    """
    import zxingcpp

    offsets, byte_counts = frame_ranges(path, pixel_data_offset, 1)
    if int(byte_counts[0]) > LIMITS.checked_picture_bytes:
        raise ValueError("the picture is too large to be looked at")
    with path.open("rb") as file:
        file.seek(int(offsets[0]))
        picture = _decoded(file.read(int(byte_counts[0])))
    for code in zxingcpp.read_barcodes(np.ascontiguousarray(picture)):
        if code.text != container_identifier:
            yield "a bar code that is not the container identifier's"


def _decoded(frame: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    import imagecodecs

    decode = (
        imagecodecs.jpeg2k_decode if frame.startswith(b"\xff\x4f") else imagecodecs.jpeg8_decode
    )
    try:
        picture = np.asarray(decode(frame))
    except Exception:  # noqa: BLE001 (codecs raise many kinds)
        raise ValueError("the picture cannot be decoded") from None
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
        raise ValueError("the picture does not have samples of 8 bits")
    return picture
