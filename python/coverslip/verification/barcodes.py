"""Reads the bar codes of a picture of any size."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_LONGEST = 65535
"""Pixels along which zxing-cpp reads at most; it raises beyond."""
_SHARED = 8192
"""Pixels that pieces of a longer picture share: more than a code takes."""


def texts_of_codes(picture: npt.NDArray[np.uint8]) -> Iterator[str]:
    """Yield what each bar code says; of shape (rows, columns), or with three samples a pixel."""
    import zxingcpp

    rows, columns = picture.shape[:2]
    for row in range(0, max(rows - _SHARED, 1), _LONGEST - _SHARED):
        for column in range(0, max(columns - _SHARED, 1), _LONGEST - _SHARED):
            piece = picture[row : row + _LONGEST, column : column + _LONGEST]
            for code in zxingcpp.read_barcodes(np.ascontiguousarray(piece)):
                yield code.text
