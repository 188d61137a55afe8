"""Measures where the label of an overview ends."""

import numpy as np
import numpy.typing as npt

from coverslip.deid.pixels.shapes import Rgb

_WORKING_LENGTH = 1024
"""Longest side of the picture that is measured."""
_REACH = 2
"""Pixels to either side between which a step is measured."""
_STEP = 10
"""Grey levels of a step that counts in full."""
_AGREEMENT = 0.4
"""Share of the rows that must step the same way at one place."""
_TILTS = (-0.04, -0.02, 0.0, 0.02, 0.04)
"""Columns to a row by which a label may lie askew."""
SHARES = (0.15, 0.45)
"""What a label can take of a glass."""


def label_edge(picture: Rgb) -> float | None:
    """Return where the label at the left end of a picture ends, as a share of its width.

    An edge of a label, or of the glass that carries it, is a straight line across the picture at
    which most rows become lighter, darker or of another colour in the same way; tissue and text
    step both ways. Of several, the one furthest from the end counts, if a label can be so long.

    Returns
    -------
    float or None
        ``None`` if there is no such line where a label can end.
    """
    agreement = _agreement(_small(picture))
    width = len(agreement)
    first, last = (round(share * width) for share in SHARES)
    steps = np.flatnonzero(agreement[first:last] >= _AGREEMENT)
    return None if not len(steps) else float(first + steps[-1] + 1) / width


def _small(picture: Rgb) -> npt.NDArray[np.int16]:
    factor = -(-max(picture.shape[:2]) // _WORKING_LENGTH)
    rows, columns = (side // factor for side in picture.shape[:2])
    blocks = picture[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, 3)
    small: npt.NDArray[np.int16] = blocks.mean(axis=(1, 3), dtype=np.float32).astype(np.int16)
    return small


def _agreement(picture: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Return for each column how many rows step the same way there, along the best tilt."""
    rows, columns = picture.shape[:2]
    steps = np.zeros(picture.shape, np.float32)
    steps[:, _REACH:-_REACH] = np.clip(
        picture[:, 2 * _REACH :] - picture[:, : -2 * _REACH], -_STEP, _STEP
    )
    best = np.zeros(columns)
    for tilt in _TILTS:
        shifts = np.round(tilt * (np.arange(rows) - rows / 2)).astype(int)
        # Columns that leave the picture come in at its other end, far from any label's edge.
        index = (np.arange(columns) + shifts[:, np.newaxis]) % columns
        along = np.take_along_axis(steps, index[..., np.newaxis], axis=1)
        best = np.maximum(best, np.abs(along.mean(axis=0)).max(axis=1) / _STEP)
    return best
