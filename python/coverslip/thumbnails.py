"""The scanner's small picture of the scan: whether it is that, and shows nothing else."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from coverslip.deid.pixels import ocr
from coverslip.deid.pixels.barcodes import LEAST_OF_ANY, bar_codes
from coverslip.deid.pixels.shapes import Grey
from coverslip.errors import UnsupportedSlideError
from coverslip.pictures import Pixels

OF_THE_SCAN = frozenset({"Aperio SVS"})
"""Formats that have a rule by which a thumbnail shows the scanned area and no label: in Aperio's
it is the second directory, in strips, of the base's shape, and no mark says anything else."""
_BLOCKS = 16
"""Into which both pictures are parted on each axis to be compared."""
_MOST_APART = 12
"""Greys by which a block may differ: a label, a pen or a sticker differs by more, and those of two
real slides by less than 2."""
_MOST_APART_IN_ALL = 4
_LUMINANCE = (0.299, 0.587, 0.114)


def grey_of(picture: Pixels) -> Grey:
    """Return the luminance of a picture in colour."""
    return np.ascontiguousarray(np.round(picture @ np.array(_LUMINANCE)).astype(np.uint8))


def require_the_scan(picture: Pixels, level: Grey) -> None:
    """Raise unless a picture shows what a level shows, and all of it, block by block.

    Raises
    ------
    UnsupportedSlideError
        If it shows something else, or too little to tell.
    """
    ours, theirs = _blocks(grey_of(picture)), _blocks(level)
    apart = np.abs(ours - theirs)
    if apart.max() > _MOST_APART or apart.mean() > _MOST_APART_IN_ALL:
        raise UnsupportedSlideError("it does not show what the levels show")


def _blocks(grey: Grey) -> npt.NDArray[np.float64]:
    """Return the mean of each block."""
    if min(grey.shape) < _BLOCKS:
        raise UnsupportedSlideError("it is too small to be compared with the levels")
    means = grey.astype(np.float64)
    for axis in (0, 1):
        starts = np.linspace(0, grey.shape[axis], _BLOCKS + 1).astype(int)
        sums = np.add.reduceat(means, starts[:-1], axis=axis)
        counts = np.diff(starts)
        means = sums / (counts[:, np.newaxis] if axis == 0 else counts)
    return means


def require_nothing_written(picture: Pixels, count_texts: Callable[[Grey], int]) -> None:
    """Raise if a picture shows a bar code, or text where that is read.

    Raises
    ------
    UnsupportedSlideError
        With what it shows.
    """
    grey = grey_of(picture)
    codes = len(bar_codes(grey, least=LEAST_OF_ANY))
    if codes:
        raise UnsupportedSlideError(f"it shows what looks like bar codes ({codes})")
    if ocr.is_installed():
        texts = count_texts(grey)
        if texts:
            raise UnsupportedSlideError(f"it shows what looks like pieces of text ({texts})")
