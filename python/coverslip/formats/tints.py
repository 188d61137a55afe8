"""Colours that samples only stand for: numbers of a palette, luminance and chroma without JPEG."""

import numpy as np
import numpy.typing as npt

from coverslip.tiff import Directory

_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLES_PER_PIXEL, _PLANAR = 258, 262, 277, 284
_PREDICTOR, _COLOUR_MAP, _COEFFICIENTS, _SUBSAMPLING, _REFERENCE = 317, 320, 529, 530, 532
_PALETTE, _YCBCR = 3, 6
"""Values of tag 262."""
_DEFAULT_SUBSAMPLING = (2, 2)
_BT_601 = (0.299, 0.587, 0.114)
_FULL_RANGE = (0, 255, 128, 255, 128, 255)
"""Values of tags 529 and 532 that a slide means which does not have them, and JFIF has."""
_COLOURS = 256


def palette_of(directory: Directory) -> npt.NDArray[np.uint8] | None:
    """Return red, green and blue of each sample of 8 bits, shape (256, 3).

    ``None`` if samples are no numbers of colours, or the table is not theirs.
    """
    if directory.integer(_PHOTOMETRIC, -1) != _PALETTE or _COLOUR_MAP not in directory:
        return None
    values = directory.array(_COLOUR_MAP)
    is_plain = directory.integers(_BITS_PER_SAMPLE) == (8,)
    if not is_plain or values is None or len(values) != 3 * _COLOURS:
        return None
    # They have 16 bits, but for some writers who think in 8.
    shift = np.uint64(8 if values.max() >= _COLOURS else 0)
    return (values >> shift).astype(np.uint8).reshape(3, _COLOURS).T


def chroma_of(directory: Directory) -> tuple[int, int] | None:
    """Return how many columns and rows share a sample of chroma, if samples are YCbCr as in JFIF.

    ``None`` if they are not, or stored in a way that is not read.
    """
    if directory.integer(_PHOTOMETRIC, -1) != _YCBCR:
        return None
    shared = directory.integers(_SUBSAMPLING) or _DEFAULT_SUBSAMPLING
    if len(shared) != len(_DEFAULT_SUBSAMPLING):
        return None
    columns, rows = shared
    is_plain = (
        directory.integers(_BITS_PER_SAMPLE) == (8, 8, 8)
        and directory.integer(_SAMPLES_PER_PIXEL, 1) == 3
        and directory.integer(_PLANAR, 1) == 1
        and columns in (1, 2, 4)
        and rows in (1, 2, 4)
        and (columns * rows == 1 or directory.integer(_PREDICTOR, 1) == 1)
    )
    is_jfif = _is(directory, _COEFFICIENTS, _BT_601) and _is(directory, _REFERENCE, _FULL_RANGE)
    return (columns, rows) if is_plain and is_jfif else None


def _is(directory: Directory, tag: int, usual: tuple[float, ...]) -> bool:
    """Tell whether a tag has its usual values, or is not there."""
    values = directory.numbers_of(tag)
    return not values or (len(values) == len(usual) and np.allclose(values, usual, atol=0.001))
