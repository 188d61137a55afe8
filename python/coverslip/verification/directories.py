"""Finds by their offsets the pieces of a focal plane among the directories that tifffile reads."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coverslip.model import SourceFile

if TYPE_CHECKING:
    import tifffile


class UnreadableError(Exception):
    """Something cannot be decoded; it has no message, for that might quote the slide."""


class Opened(ExitStack):
    """The files of a slide, opened by tifffile when they are wanted."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        super().__init__()
        self._files, self._open = files, dict[int, "tifffile.TiffFile"]()

    def page_of(self, size: tuple[int, int], first_offset: int) -> "Held":
        """Return the directory that has the pieces of a plane, wherever it is.

        ``size`` is its width and length. One of which all pieces are missing may be any: it shows
        nothing.
        """
        number = bisect_right([file.start for file in self._files], first_offset) - 1
        if first_offset:
            return _page_of(self._opened(number), size, first_offset - self._files[number].start)
        for number in range(len(self._files)):
            with suppress(Exception):  # an index, or one that has it not
                return _page_of(self._opened(number), size, 0)
        raise UnreadableError

    def _opened(self, number: int) -> "tifffile.TiffFile":
        import tifffile

        if number not in self._open:
            opened = tifffile.TiffFile(self._files[number].path)
            self._open[number] = self.enter_context(opened)
        return self._open[number]


def _page_of(tiff: "tifffile.TiffFile", size: tuple[int, int], first_offset: int) -> "Held":
    """Return the directory that has the pieces of a plane, wherever it is in the file."""
    waiting = list(tiff.pages)
    while waiting:
        page: Any = waiting.pop(0)
        page = page.aspage() if hasattr(page, "aspage") else page
        if (page.imagewidth, page.imagelength) == size:
            for held in _planes(page):
                if held.first_present() == first_offset:
                    return held
        waiting.extend(page.pages or ())
    raise UnreadableError


def _planes(page: "tifffile.TiffPage") -> Iterator["Held"]:
    """Yield the focal planes of a directory, which are several if it is a volume (tag 32997)."""
    if page.imagedepth <= 1 or not page.is_tiled:
        yield Held(page, 0, len(page.dataoffsets))
        return
    tiles = -(-page.imagewidth // page.tilewidth) * -(-page.imagelength // page.tilelength)
    for number in range(min(page.imagedepth, -(-len(page.dataoffsets) // tiles))):
        yield Held(page, number * tiles, tiles)


@dataclass(frozen=True, slots=True)
class Held:
    """Pieces of a directory that are one focal plane."""

    page: "tifffile.TiffPage"
    first: int
    """Number of the first of them."""
    count: int

    def first_present(self) -> int:
        """Return where the first of them lies that is not missing; 0 if all are."""
        own = slice(self.first, self.first + self.count)
        stored = zip(self.page.dataoffsets[own], self.page.databytecounts[own], strict=False)
        return next((offset for offset, byte_count in stored if byte_count), 0)
