"""Where the tiles of a Ventana BIF lie: side by side in the file, overlapping on the glass."""

from collections import Counter
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from coverslip.errors import LimitError, SourceError, UnsupportedSlideError
from coverslip.formats.pyramid import CUT_FRAME, no_tiles
from coverslip.formats.xml_items import children, integer_in, local_name, number_in
from coverslip.limits import LIMITS
from coverslip.model import Level, Montage

EXPORT = "export the slide as a stitched TIFF with Ventana's own viewer"
_FARTHEST = 1 << 20
"""Pixels: more than any tile has. Confidence is told in percent."""
_ALONG_ROWS, _ALONG_COLUMNS = ("RIGHT", "LEFT"), ("UP", "DOWN")
"""Of tag Direction: LEFT measures the same as RIGHT, and DOWN as UP."""


def with_places(levels: tuple[Level, ...], encodings: list[Element]) -> tuple[Level, ...]:
    """Return levels with the places of their tiles, if these do not stand side by side.

    ``encodings`` are the elements EncodeInfo of the slide, none if it was stitched.

    Levels were reduced before the tiles were joined, so nothing below the base is any better.

    Raises
    ------
    UnsupportedSlideError
        If the slide does not tell how its tiles join, or what it tells is no layout of tiles.
    """
    reasons = [_why_not(encoding, _scanned(encoding)) for encoding in encodings]
    why = next((reason for reason in reasons if reason is not None), None)
    if why is None:
        return levels
    if len(encodings) > 1:
        raise UnsupportedSlideError("the BIF says several times how its tiles join", hint=EXPORT)
    places, shift = _places(encodings[0], _scanned(encodings[0]), levels[0])
    width, length = (int(n) for n in places.reshape(-1, 2).max(axis=0))
    size = width + levels[0].tile_width, length + levels[0].tile_length
    montages = []
    for level in levels:
        parts = max(1, round(levels[0].image_width / level.image_width))
        montage = Montage(
            stored=level, places=places, parts=parts, why=why, instead=EXPORT, largest_shift=shift
        )
        montages.append(_composed(level, levels[0], montage, size))
    return tuple(montages)


def _scanned(encoding: Element) -> list[Element]:
    areas = children(encoding, "SlideStitchInfo", "ImageInfo")
    scanned = [area for area in areas if integer_in(area.get("AOIScanned")) != 0]
    if not scanned:
        raise UnsupportedSlideError("the BIF does not say which areas were scanned", hint=EXPORT)
    return scanned


def _composed(level: Level, base: Level, montage: Montage, size: tuple[int, int]) -> Level:
    """Return a level as large as its tiles make it where they lie."""
    if (level.tile_width, level.tile_length) != (base.tile_width, base.tile_length):
        raise UnsupportedSlideError("the levels of the BIF have different tiles", hint=EXPORT)
    width, length = (-(-side // montage.parts) for side in size)
    across, down = -(-width // CUT_FRAME), -(-length // CUT_FRAME)
    if width * length > LIMITS.level_pixels or across * down > LIMITS.tiles:
        raise LimitError(
            f"composed, IFD {level.ifd} has {width}x{length} pixels, more than the limit "
            f"level_pixels = {LIMITS.level_pixels}"
        )
    return replace(
        level,
        image_width=width,
        image_length=length,
        tile_width=CUT_FRAME,
        tile_length=CUT_FRAME,
        tiles=no_tiles(across, down),
        jpeg_tables=None,
        raster=None,
        picture=montage,
    )


def _why_not(encoding: Element, areas: list[Element]) -> str | None:
    """Return why tiles are not side by side, ``None`` if they are."""
    # There are many joints, and few overlaps.
    joints = Counter(_told(joint) for area in areas for joint in _joints(area))
    overlaps = {told: overlap for told in joints if (overlap := _overlap(*told)) != (0, 0)}
    if overlaps:
        most = max(abs(pixels) for overlap in overlaps.values() for pixels in overlap)
        count = sum(joints[told] for told in overlaps)
        return (
            f"{count} of {joints.total()} joints of the BIF's tiles overlap or gape, by up to "
            f"{most:g} pixels, and frames must stand side by side"
        )
    if len({_displacement(encoding, area) for area in areas}) > 1:
        return "the BIF's scanned areas lie otherwise on the glass than their tiles in the file"
    return None


def _joints(area: Element) -> list[Element]:
    """Return the joints by which tiles were placed: the others were measured and not believed."""
    joints = [
        joint
        for joint in children(area, "TileJointInfo")
        if integer_in(joint.get("FlagJoined")) != 0
    ]
    tiles = [integer_in(area.get(key)) for key in ("NumRows", "NumCols")]
    if not joints and tiles != [1, 1]:
        raise UnsupportedSlideError("the BIF does not say how its tiles join", hint=EXPORT)
    return joints


def _told(joint: Element) -> tuple[str | None, str | None]:
    return joint.get("OverlapX"), joint.get("OverlapY")


def _overlap(across: str | None, down: str | None) -> tuple[float, float]:
    x, y = number_in(across), number_in(down)
    if x is None or y is None:
        raise UnsupportedSlideError("the BIF does not say how its tiles join", hint=EXPORT)
    return x, y


def _displacement(encoding: Element, area: Element) -> tuple[float, float]:
    """Return by how much an area lies beside its tiles, from a corner that all share.

    Positions count upwards from below, to the area's lower edge; tiles count downwards.
    """
    origin = _origin(encoding, area)
    x, y = number_in(area.get("Pos-X")), number_in(area.get("Pos-Y"))
    left, top = number_in(origin.get("OriginX")), number_in(origin.get("OriginY"))
    rows, length = number_in(area.get("NumRows")), number_in(area.get("Height"))
    if x is None or y is None or left is None or top is None or rows is None or length is None:
        return 0.0, 0.0  # not known, and one area needs no place
    return x - left, y + top + rows * length


def _origin(encoding: Element, area: Element) -> Element:
    """Return what says where in the file the tiles of an area begin."""
    everything = children(encoding, "SlideStitchInfo", "ImageInfo")
    named = (origin for parent in children(encoding, "AoiOrigin") for origin in parent)
    origins = [origin for origin in named if local_name(origin).startswith("AOI")]
    index = everything.index(area)
    return origins[index] if index < len(origins) else Element("AOI")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Area:
    """An area with the place of each of its columns and rows, from its own upper left corner."""

    column: int
    """Of its first tile, among those of the file."""
    row: int
    left: float
    """Of the area on the glass."""
    bottom: float
    """The same, counted upwards."""
    lefts: npt.NDArray[np.float64]
    tops: npt.NDArray[np.float64]
    shift: float


def _places(
    encoding: Element, areas: list[Element], base: Level
) -> tuple[npt.NDArray[np.int64], float]:
    """Return left and top of each tile, and by how much the worst joint is not where it should be.

    A column of tiles is put where the mean of its joints says, as is a row; the nearest pixel is
    taken at the very end.
    """
    size = np.array([base.tile_width, base.tile_length])
    laid_out = [_laid_out(encoding, area, base, is_alone=len(areas) == 1) for area in areas]
    heights = [area.tops[-1] + size[1] for area in laid_out]
    highest = max(area.bottom + height for area, height in zip(laid_out, heights, strict=True))
    leftmost = min(area.left for area in laid_out)
    places = np.full((base.tiles.down, base.tiles.across, 2), -1, np.int64)
    for area, height in zip(laid_out, heights, strict=True):
        columns = slice(area.column, area.column + len(area.lefts))
        rows = slice(area.row, area.row + len(area.tops))
        places[rows, columns, 0] = np.rint(area.lefts + area.left - leftmost)
        top = highest - area.bottom - height
        places[rows, columns, 1] = np.rint(area.tops + top)[:, None]
    return places, max(area.shift for area in laid_out)


def _laid_out(encoding: Element, area: Element, base: Level, *, is_alone: bool) -> _Area:
    origin = _origin(encoding, area)
    across, down = integer_in(area.get("NumCols")), integer_in(area.get("NumRows"))
    left, top = integer_in(origin.get("OriginX")), integer_in(origin.get("OriginY"))
    x, y = number_in(area.get("Pos-X")), number_in(area.get("Pos-Y"))
    if is_alone:
        x, y = 0.0, 0.0
    if across is None or down is None or left is None or top is None or x is None or y is None:
        raise UnsupportedSlideError("the BIF does not say where an area lies", hint=EXPORT)
    column, row = left // base.tile_width, top // base.tile_length
    is_inside = (
        (left, top) == (column * base.tile_width, row * base.tile_length)
        and 0 <= column < column + across <= base.tiles.across
        and 0 <= row < row + down <= base.tiles.down
        and max(abs(x), abs(y)) <= LIMITS.level_pixels
    )
    if not is_inside:
        raise SourceError("an area of the BIF is not made of tiles of the file")
    overlaps = _Overlaps(across, down)
    for joint in _joints(area):
        overlaps.add(joint)
    half = min(base.tile_width, base.tile_length) / 2
    beside, below = overlaps.means(0, across - 1), overlaps.means(1, down - 1)
    if max(map(abs, (*beside, *below)), default=0) > half:
        raise UnsupportedSlideError("tiles of the BIF overlap by more than half", hint=EXPORT)
    return _Area(
        column=column,
        row=row,
        left=x,
        bottom=y,
        lefts=np.concatenate([[0.0], np.cumsum(base.tile_width - beside)]),
        tops=np.concatenate([[0.0], np.cumsum(base.tile_length - below)]),
        shift=overlaps.largest_shift(beside, below),
    )


class _Overlaps:
    """What the joints of an area say, by the border between two columns or rows they are at.

    Tiles are numbered from the lower left, back and forth like a serpent.
    """

    def __init__(self, across: int, down: int) -> None:
        self._across, self._down = across, down
        self._joints: list[tuple[int, int, float, float, float]] = []

    def add(self, joint: Element) -> None:
        """Note a joint: its direction, border, both overlaps, and how sure they are."""
        first, second = (self._tile(joint.get(key)) for key in ("Tile1", "Tile2"))
        direction = joint.get("Direction")
        away = first[0] - second[0], first[1] - second[1]
        is_row = direction in _ALONG_ROWS and (abs(away[0]), away[1]) == (1, 0)
        is_column = direction in _ALONG_COLUMNS and (away[0], abs(away[1])) == (0, 1)
        if not (is_row or is_column):
            raise SourceError("a joint of the BIF is not that of two neighbours")
        axis = 0 if is_row else 1
        confidence = max(0.0, number_in(joint.get("Confidence")) or 0.0)
        border, overlap = min(first[axis], second[axis]), _overlap(*_told(joint))
        if max(map(abs, overlap)) > _FARTHEST or confidence > _FARTHEST:
            raise SourceError("a joint of the BIF tells what no scanner measures")
        self._joints.append((axis, border, *overlap, confidence))

    def _tile(self, text: str | None) -> tuple[int, int]:
        """Return column and row of a tile by its number, rows counted from above."""
        number = integer_in(text)
        if number is None or not 1 <= number <= self._across * self._down:
            raise SourceError("a joint of the BIF is that of a tile which is not there")
        row, column = divmod(number - 1, self._across)
        return (column if row % 2 == 0 else self._across - 1 - column), self._down - 1 - row

    def means(self, axis: int, borders: int) -> npt.NDArray[np.float64]:
        """Return the overlap at each border: the mean of its joints, the surer the heavier.

        A border of which nothing is known has the mean of all others in its direction.
        """
        joints = np.array([j for j in self._joints if j[0] == axis]).reshape(-1, 5)
        at, overlap, weight = joints[:, 1].astype(np.int64), joints[:, 2 + axis], joints[:, 4]
        if not weight.any():
            weight = np.ones(len(joints))
        total = float(weight.sum())
        mean = float((overlap * weight).sum() / total) if total else 0.0
        weights = np.bincount(at, weight, borders)
        sums = np.bincount(at, weight * overlap, borders)
        is_known = weights > 0
        return np.where(is_known, sums / np.where(is_known, weights, 1), mean)

    def largest_shift(
        self, beside: npt.NDArray[np.float64], below: npt.NDArray[np.float64]
    ) -> float:
        """Return by how much the worst joint is not where it was measured."""
        shifts = [0.0]
        for axis, border, x, y, _ in self._joints:
            along, across = (x, y) if axis == 0 else (y, x)
            used = (beside if axis == 0 else below)[border]
            shifts += [abs(along - used), abs(across)]
        return max(shifts)
