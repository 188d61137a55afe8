"""What a slide holds, as other people's readers say: tifffile for tiles, OpenSlide for pixels."""

import contextlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from coverslip.sample.words import invent

Pixels = npt.NDArray[np.uint8]
_SEEDS = range(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLevel:
    """One level, and its tiles if it is tiled."""

    number: int
    width: int
    length: int
    tile_width: int
    tile_length: int
    offsets: tuple[int, ...] = field(repr=False)
    byte_counts: tuple[int, ...] = field(repr=False)
    """Both empty for a level that is not tiled."""


class Source:
    """A slide that is compared with what converters made of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with tifffile.TiffFile(path) as tiff:
            pages = [level.keyframe for level in tiff.series[0].levels]
            self.levels = tuple(_level(number, page) for number, page in enumerate(pages))
            text, self.codec = pages[0].description, _codec(pages[0])
        self.identifiers = _planted(text)
        """What ``coverslip sample`` planted; empty for any other slide."""

    @property
    def described(self) -> str:
        """Return codec and number of tiles in words."""
        tiles = sum(len(level.offsets) for level in self.levels)
        return f"{self.codec}, {len(self.levels)} levels, {tiles} tiles"

    @cached_property
    def _openslide(self):
        import openslide

        with contextlib.suppress(openslide.OpenSlideError):
            return openslide.OpenSlide(self.path)
        return None

    def pixels(self, level: SourceLevel, x: int, y: int, size: tuple[int, int]) -> Pixels | None:
        """Return a part of a level as RGB, or ``None`` if OpenSlide does not read the slide."""
        slide = self._openslide
        if slide is None or slide.level_count <= level.number:
            return None
        if slide.level_dimensions[level.number] != (level.width, level.length):
            return None
        factors = (slide.dimensions[0] / level.width, slide.dimensions[1] / level.length)
        # Places are given on the first level; the nearest pixel of this one is what is wanted.
        place = (round(x * factors[0]), round(y * factors[1]))
        region = slide.read_region(place, level.number, size)
        return np.asarray(region.convert("RGB"))


def _level(number: int, page: tifffile.TiffPage) -> SourceLevel:
    return SourceLevel(
        number=number,
        width=page.imagewidth,
        length=page.imagelength,
        tile_width=page.tilewidth,
        tile_length=page.tilelength,
        offsets=tuple(page.dataoffsets) if page.is_tiled else (),
        byte_counts=tuple(page.databytecounts) if page.is_tiled else (),
    )


def _codec(page: tifffile.TiffPage) -> str:
    if page.compression == tifffile.COMPRESSION.JPEG:
        return "JPEG"
    return "JPEG 2000" if "2000" in page.compression.name else page.compression.name


def _planted(text: str) -> tuple[str, ...]:
    for seed in _SEEDS:
        identity = invent(seed)
        if all(word in text for word in (identity.case, identity.surname, identity.barcode)):
            return identity.all()
    return ()
