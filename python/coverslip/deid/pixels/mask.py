"""Hides the label of an overview, or doubts that it can."""

import numpy as np

from coverslip.deid.pixels import ocr
from coverslip.deid.pixels.barcodes import LEAST_OF_ANY, bar_codes
from coverslip.deid.pixels.doubt import DoubtError
from coverslip.deid.pixels.drawn import without_frames
from coverslip.deid.pixels.edge import label_edge
from coverslip.deid.pixels.priors import Prior
from coverslip.deid.pixels.shapes import Box, Rgb, grey_of
from coverslip.deid.pixels.text import text_boxes
from coverslip.model import LabelSide

PAINT = (128, 128, 128)
_MARGIN = 0.05
"""Of the length, beyond whatever was measured."""
_MOST = 0.6
"""Of the length that may be painted; what is left would show nothing, or the picture is not one
of a glass."""
_MOST_OF_BOTH = 0.9
"""The same where both ends are painted."""
_LEAST_ASPECT = 1.5
"""A glass is three times as long as wide, and some of its surroundings may be seen."""
_LEAST_LENGTH = 200
"""Pixels of a picture in which text and bar codes can be told from dirt."""
_TURNS_TO_LEFT = {
    LabelSide.LEFT: 0,
    LabelSide.TOP: 1,
    LabelSide.RIGHT: 2,
    LabelSide.BOTTOM: 3,
}
"""Quarters by which `numpy.rot90` brings a side to the left."""


def mask_label(picture: Rgb, prior: Prior) -> Rgb:
    """Return an overview whose label end is painted over in one colour.

    The end is painted as far as labels of this vendor reach, or as far as the measured edge of
    the label with a margin, whichever is more; a frame that the scanner drew is no edge. A glass
    may have been put in the wrong way round, and the edge at the vendor's end be that of the
    cover glass: where there is an edge at the other end, too, that end is painted as far as
    this. Bar codes and text are looked for in the whole picture, turned four ways: one that
    reaches out of the painted end extends it by itself and the margin. One that lies elsewhere,
    an edge that cannot be found, or an end that takes most of the picture means that the picture
    is not understood. The painted picture is searched again, turned four ways: what is still
    found condemns it. In every doubt there is no picture.

    Parameters
    ----------
    picture
        The overview as it is stored.
    prior
        What is known of its vendor's overviews.

    Raises
    ------
    DoubtError
        If it may still show the label, a bar code or text.
    """
    turns = _turns(picture, prior)
    turned = np.ascontiguousarray(np.rot90(picture, turns))
    ends = _Ends(turned, prior)
    for box in sorted(_hits(turned), key=lambda box: box.left):
        ends.cover(box)
    painted = ends.painted()
    if _hits(painted):
        raise DoubtError("something like text or a bar code is still there after masking")
    return np.ascontiguousarray(np.rot90(painted, -turns))


def _turns(picture: Rgb, prior: Prior) -> int:
    """Return the quarters that bring the label's side to the left.

    Raises
    ------
    DoubtError
        If the picture is not that of a glass which lies as its vendor's do.
    """
    rows, columns = picture.shape[:2]
    longest, shortest = max(rows, columns), min(rows, columns)
    if longest < _LEAST_LENGTH:
        raise DoubtError(f"its {longest} pixels are too few to tell text from dirt")
    if longest < _LEAST_ASPECT * shortest:
        raise DoubtError(f"{columns}x{rows} pixels are not the shape of a glass")
    is_upright = rows > columns
    if prior.side is None:
        return 1 if is_upright else 0
    if is_upright != (prior.side in (LabelSide.TOP, LabelSide.BOTTOM)):
        raise DoubtError(f"the label should be on its {prior.side}, but the glass lies otherwise")
    return _TURNS_TO_LEFT[prior.side]


class _Ends:
    """How much of a picture is painted at its left end, and at its right end if need be."""

    def __init__(self, picture: Rgb, prior: Prior) -> None:
        self._picture = picture
        self._width = picture.shape[1]
        self._margin = int(np.ceil(_MARGIN * self._width))
        prior_width = int(np.ceil(prior.share * self._width))
        glass = picture if prior.frame is None else without_frames(picture, prior.frame)
        left, right = label_edge(glass), label_edge(np.ascontiguousarray(glass[:, ::-1]))
        if left is None and (right is None or prior.side is not None):
            raise DoubtError("where its label ends cannot be measured")
        self._left = max(prior_width, self._reach(left))
        self._right = max(prior_width if prior.side is None else 0, self._reach(right))

    def _reach(self, edge: float | None) -> int:
        return 0 if edge is None else int(np.ceil(edge * self._width)) + self._margin

    def cover(self, box: Box) -> None:
        """Extend an end over a box that begins in it."""
        if box.left < self._left:
            self._left = max(self._left, self._beyond(box.right, self._left))
        elif box.right > self._width - self._right:
            reach = self._width - box.left
            self._right = max(self._right, self._beyond(reach, self._right))
        else:
            raise DoubtError("something like text or a bar code lies away from the label")

    def _beyond(self, reach: int, end: int) -> int:
        return reach + self._margin if reach > end else end

    def painted(self) -> Rgb:
        """Return the picture with its ends painted."""
        most = _MOST if self._right == 0 else _MOST_OF_BOTH
        if self._left + self._right > most * self._width:
            raise DoubtError("what may be its label takes most of it")
        painted = self._picture.copy()
        painted[:, : self._left] = PAINT
        painted[:, self._width - self._right :] = PAINT
        return painted


def _hits(picture: Rgb) -> list[Box]:
    """Return all that looks like a bar code or text, whichever way it runs."""
    rows, columns = picture.shape[:2]
    found = []
    for quarters in range(4):
        turned = np.ascontiguousarray(np.rot90(picture, quarters))
        grey = grey_of(turned)
        boxes = [*bar_codes(grey, turn=False, least=LEAST_OF_ANY), *text_boxes(grey)]
        if ocr.is_installed():
            boxes += ocr.written_boxes(turned)
        found += [box.turned_back(quarters, rows, columns) for box in boxes]
    return found
