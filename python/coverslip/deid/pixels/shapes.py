"""Boxes in a picture, and the plain image operations that the detectors share."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
"""Shape (rows, columns)."""
Rgb = npt.NDArray[np.uint8]
"""Shape (rows, columns, 3)."""
Mask = npt.NDArray[np.bool_]
_Indices = npt.NDArray[np.int64]

_LUMINANCE = (77, 150, 29)
"""Of 256, after ITU-R BT.601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Pixels from ``left`` and ``top`` to before ``right`` and ``bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    def scaled(self, factor: int) -> "Box":
        """Return the box in a picture that is larger by a whole factor."""
        return Box(
            left=self.left * factor,
            top=self.top * factor,
            right=self.right * factor,
            bottom=self.bottom * factor,
        )

    def moved(self, x: int, y: int) -> "Box":
        """Return the box in a picture of which this one is a part that begins at x and y."""
        return Box(
            left=self.left + x, top=self.top + y, right=self.right + x, bottom=self.bottom + y
        )

    def turned_back(self, quarters: int, rows: int, columns: int) -> "Box":
        """Return the box in a picture of this size that `numpy.rot90` then turned."""
        box = self
        for turned in range(quarters % 4, 0, -1):
            # One quarter to the left took the column x to the row (width - 1 - x).
            width = columns if turned % 2 else rows
            box = Box(
                left=width - box.bottom, top=box.left, right=width - box.top, bottom=box.right
            )
        return box


def grey_of(picture: Rgb) -> Grey:
    """Return the luminance of a picture."""
    weighted = sum(
        picture[..., channel].astype(np.uint16) * weight
        for channel, weight in enumerate(_LUMINANCE)
    )
    return (weighted >> 8).astype(np.uint8)  # type: ignore[union-attr] # three summands


def reduced(picture: Grey, factor: int) -> Grey:
    """Return the means of blocks; what does not fill a block at the far edges is left out."""
    if factor == 1:
        return picture
    rows, columns = (side // factor for side in picture.shape)
    whole = picture[: rows * factor, : columns * factor]
    # Rows, then columns: numpy takes far longer for the means of blocks at once.
    lines = np.zeros((rows, columns * factor), np.uint32)
    for row in range(factor):
        lines += whole[row::factor]
    sums = np.zeros((rows, columns), np.uint32)
    for column in range(factor):
        sums += lines[:, column::factor]
    means: Grey = (sums // factor**2).astype(np.uint8)
    return means


def closed(picture: Grey, side: int) -> Grey:
    """Return a grey closing: dark details narrower than ``side`` are filled."""
    for axis in (0, 1):
        picture = _extreme(picture, side, axis, np.maximum)
    for axis in (0, 1):
        picture = _extreme(picture, side, axis, np.minimum)
    return picture


def _extreme(picture: Grey, side: int, axis: int, pick: np.ufunc) -> Grey:
    """Return the largest or smallest value within ``side`` pixels along an axis."""
    before = side // 2
    pad = [(0, 0), (0, 0)]
    pad[axis] = (before, side - 1 - before)
    window = np.moveaxis(np.pad(picture, pad, mode="edge"), axis, 0)
    reach = 1
    while reach < side:
        step = min(reach, side - reach)
        window = pick(window[:-step], window[step:])
        reach += step
    return np.moveaxis(window, 0, axis)


def components(mask: Mask) -> tuple[_Indices, _Indices]:
    """Return the connected parts of a mask: their boxes, and how many pixels each has.

    The boxes have shape (n, 4): left, top, right, bottom. Pixels that touch at a corner are
    connected. Works on runs of pixels in rows, of which there are far fewer than pixels.
    """
    rows, columns = mask.shape
    stride = columns + 2
    edged = np.zeros((rows, stride), np.int8)
    edged[:, 1:-1] = mask
    steps = np.diff(edged.ravel())
    starts, ends = np.flatnonzero(steps == 1) + 1, np.flatnonzero(steps == -1) + 1
    if not len(starts):
        return np.zeros((0, 4), np.int64), np.zeros(0, np.int64)
    # Runs of the next row that overlap, one pixel more at both sides.
    first = np.searchsorted(ends, starts + stride, side="left")
    last = np.searchsorted(starts, ends + stride, side="right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(starts)), counts)
    skipped = np.cumsum(counts) - counts
    lower = np.arange(len(upper)) - np.repeat(skipped - first, counts)
    _, part = np.unique(_roots(len(starts), upper, lower), return_inverse=True)
    row = starts // stride
    boxes = np.empty((part.max() + 1, 4), np.int64)
    boxes[:, :2], boxes[:, 2:] = rows + columns, 0
    np.minimum.at(boxes[:, 0], part, starts % stride - 1)
    np.minimum.at(boxes[:, 1], part, row)
    np.maximum.at(boxes[:, 2], part, (ends - 1) % stride)
    np.maximum.at(boxes[:, 3], part, row + 1)
    return boxes, np.bincount(part, ends - starts).astype(np.int64)


def _roots(count: int, first: _Indices, second: _Indices) -> _Indices:
    """Return for each node the smallest one that it is joined with by some way."""
    root = np.arange(count)
    while True:
        smallest = np.minimum(root[first], root[second])
        joined = root.copy()
        np.minimum.at(joined, root[first], smallest)
        np.minimum.at(joined, root[second], smallest)
        while not np.array_equal(joined, further := joined[joined]):
            joined = further
        if np.array_equal(joined, root):
            return root
        root = joined
