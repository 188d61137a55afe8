"""Takes out of an overview what a scanner's software drew into it: frames around what it scanned.

Their sides are straight lines across the picture as the edges of labels are.
"""

import numpy as np

from coverslip.deid.pixels.shapes import Box, Mask, Rgb, components

Colour = tuple[int, int, int]
_UNLIKE = 60
"""Most that a sample may differ from the colour: it is drawn, but JPEG has been over it."""
_LEAST_SIDE = 32
_THICKEST = 6
"""Pixels of a drawn line."""
_WHOLE = 0.95
"""Share of each side that must have the colour; no dirt or print of this colour does."""
_FRINGE = 2
"""Pixels beside a line that JPEG mixes with it."""


def without_frames(picture: Rgb, colour: Colour) -> Rgb:
    """Return a picture in which whole rectangles of lines of a colour are as what is beside them.

    An edge that such a line lies on stays an edge. Only sides across the picture are taken out,
    since no label ends at any other.
    """
    difference = np.abs(picture.astype(np.int16) - np.array(colour, np.int16))
    is_drawn: Mask = difference.max(axis=2) <= _UNLIKE
    cleared = picture
    for left, top, right, bottom in components(is_drawn)[0].tolist():
        box = Box(left=left, top=top, right=right, bottom=bottom)
        if _is_frame(is_drawn, box):
            cleared = _bridged(_bridged(cleared, box, is_drawn, left), box, is_drawn, right - 1)
    return cleared


def _is_frame(is_drawn: Mask, box: Box) -> bool:
    """Tell whether a part has four whole sides and is not filled."""
    inside = is_drawn[box.top : box.bottom, box.left : box.right]
    if min(inside.shape) < _LEAST_SIDE:
        return False
    sides = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
    hollow = inside[_THICKEST:-_THICKEST, _THICKEST:-_THICKEST]
    return min(side.mean() for side in sides) >= _WHOLE and not hollow.all(axis=0).any()


def _bridged(picture: Rgb, box: Box, is_drawn: Mask, column: int) -> Rgb:
    """Return a picture in which what is on both sides of an upright line meets in its middle."""
    rows = slice(max(box.top - _FRINGE, 0), box.bottom + _FRINGE)
    near = range(max(column - _THICKEST, 0), min(column + _THICKEST + 1, picture.shape[1]))
    drawn = [at for at in near if is_drawn[box.top : box.bottom, at].mean() >= _WHOLE]
    first, last = drawn[0] - _FRINGE - 1, drawn[-1] + _FRINGE + 1
    if first < 0 or last >= picture.shape[1]:
        return picture
    middle = (first + last) // 2 + 1
    bridged = picture.copy()
    bridged[rows, first:middle] = picture[rows, first, np.newaxis]
    bridged[rows, middle:last] = picture[rows, last, np.newaxis]
    return bridged
