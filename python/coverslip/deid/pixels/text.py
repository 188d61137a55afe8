"""Finds printed text without reading it: rows of dark or light strokes on an even ground.

A classical detector: it sees letters that stand apart, in print or block writing, between about
7 and 250 pixels high, within 20 degrees of the rows, and at the least contrast below. It does not
see joined-up handwriting.
"""

import numpy as np
import numpy.typing as npt

from coverslip.deid.pixels.doubt import DoubtError
from coverslip.deid.pixels.shapes import Box, Grey, closed, components, reduced

_SCALES = (1, 2, 4)
_STROKE = 15
"""Strokes are narrower than this, in pixels of the scale."""
_CONTRASTS = (40, 80, 120)
"""How much darker or lighter than its ground a stroke must be: each tells letters apart that
touch at another."""
_LETTER_HEIGHTS = (7, 64)
_LEAST_REDUCED = 20
"""Least height where the picture was reduced: smaller letters were seen before."""
_LARGEST_ASPECT = 2.0
_INK = (0.15, 0.75)
"""Share of a letter's box that is ink."""
_LETTERS = 4
"""As many make a line."""
_LIKE_HEIGHT = 1.6
_SIDE_BY_SIDE = 0.6
"""Least share of its height that a letter has beside its neighbour."""
_LARGEST_GAP, _OVERLAP = 1.2, 0.2
"""Between letters, in heights."""
_UNEVEN = 0.11
"""Most that a ground may differ from its median, as a share of the ink's contrast; tissue and
dust lie on grounds that differ by more."""
_ON_LINE = 0.1
"""Most that the feet of most letters may lie beside a line, in heights."""
_LONG, _LONG_ALLOWANCE = 6, 1.5
"""Chance makes lines of few letters: as many may be so much less even."""
_MOST_LETTERS = 1500
"""What is so full of strokes that it cannot be searched in reasonable time."""
_Boxes = npt.NDArray[np.int64]


def text_boxes(picture: Grey) -> list[Box]:
    """Return a box around every line of text that runs along the rows of a picture."""
    found = []
    for scale in _SCALES:
        small = reduced(picture, scale)
        if min(small.shape) < 2 * _LETTER_HEIGHTS[0]:
            break
        least = _LETTER_HEIGHTS[0] if scale == 1 else _LEAST_REDUCED
        for ground in (small, 255 - small):
            found += [box.scaled(scale) for box in _lines(ground, least)]
    return found


def _lines(picture: Grey, least: int) -> list[Box]:
    """Return a box around each line of dark letters."""
    depth = closed(picture, _STROKE) - picture
    found = []
    for contrast in _CONTRASTS:
        boxes, areas = components(depth > contrast)
        letters = boxes[_is_letter(boxes, areas, least)]
        if len(letters) > _MOST_LETTERS:
            raise DoubtError(f"{len(letters)} strokes, too many to look for text among them")
        for line in (letters[chain] for chain in _chains(letters)):
            if _stand_on_a_line(line) and _have_even_ground(line, picture, depth, contrast):
                found.append(_around(line))
    return found


def _is_letter(boxes: _Boxes, areas: npt.NDArray[np.int64], least: int) -> npt.NDArray[np.bool_]:
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    ink = areas / np.maximum(width * height, 1)
    is_size = (height >= least) & (height <= _LETTER_HEIGHTS[1])
    # An I or 1 fills its box.
    is_ink = (ink >= _INK[0]) & ((ink <= _INK[1]) | (width * 3 <= height))
    verdict: npt.NDArray[np.bool_] = is_size & is_ink & (width <= _LARGEST_ASPECT * height)
    return verdict


def _chains(letters: _Boxes) -> list[list[int]]:
    """Return the letters that stand behind one another, as positions from left to right."""
    if len(letters) < _LETTERS:
        return []
    follows = _follows(letters)
    # Of the letters in front of one the nearest counts, and each has one behind it at most.
    nearest = np.where(follows, letters[:, 2, np.newaxis], -1).argmax(axis=0)
    behind: dict[int, int] = {}
    for letter in np.argsort(-letters[:, 0], kind="stable"):
        if follows[nearest[letter], letter]:
            behind[int(nearest[letter])] = int(letter)
    chains = []
    for first in set(behind) - set(behind.values()):
        chain = [first]
        while chain[-1] in behind:
            chain.append(behind[chain[-1]])
        if len(chain) >= _LETTERS:
            chains.append(chain)
    return chains


def _follows(letters: _Boxes) -> npt.NDArray[np.bool_]:
    """Return whether the letter of a column may be the next of a line after that of a row."""
    left, top, right, bottom = letters.T.astype(np.float32)
    height = bottom - top
    larger = np.maximum(height[:, np.newaxis], height)
    smaller = np.minimum(height[:, np.newaxis], height)
    overlap = np.minimum(bottom[:, np.newaxis], bottom) - np.maximum(top[:, np.newaxis], top)
    gap = left - right[:, np.newaxis]
    verdict: npt.NDArray[np.bool_] = (
        (left[:, np.newaxis] < left)
        & (larger <= _LIKE_HEIGHT * smaller)
        & (overlap >= _SIDE_BY_SIDE * smaller)
        & (gap >= -_OVERLAP * smaller)
        & (gap <= _LARGEST_GAP * larger)
    )
    return verdict


def _around(letters: _Boxes) -> Box:
    return Box(
        left=int(letters[:, 0].min()),
        top=int(letters[:, 1].min()),
        right=int(letters[:, 2].max()),
        bottom=int(letters[:, 3].max()),
    )


def _stand_on_a_line(letters: _Boxes) -> bool:
    """Tell whether seven in ten letters have their feet on one line, which may slope."""
    middles, feet = letters[:, [0, 2]].mean(axis=1), letters[:, 3].astype(float)
    slope, start = np.polyfit(middles, feet, 1)
    beside = np.abs(feet - slope * middles - start)
    height = (letters[:, 3] - letters[:, 1]).mean()
    return bool(np.percentile(beside, 70) <= _ON_LINE * _allowance(letters) * height)


def _have_even_ground(letters: _Boxes, picture: Grey, depth: Grey, contrast: int) -> bool:
    """Tell whether what is between the letters is of one shade beside the ink's."""
    box = _around(letters)
    area = slice(box.top, box.bottom), slice(box.left, box.right)
    is_ink, is_ground = depth[area] > contrast, depth[area] <= contrast // 2
    if not is_ground.any():
        return False
    ink, ground = picture[area][is_ink].astype(float), picture[area][is_ground].astype(float)
    shade = np.median(ground)
    spread = np.median(np.abs(ground - shade))
    return bool(spread <= _UNEVEN * _allowance(letters) * (shade - np.median(ink)))


def _allowance(letters: _Boxes) -> float:
    return _LONG_ALLOWANCE if len(letters) >= _LONG else 1.0
