"""Searches the small levels for bar codes and text."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event

import numpy as np

from coverslip import _core
from coverslip.deid.pixels import ocr
from coverslip.deid.pixels.barcodes import LEAST, LEAST_OF_ANY, bar_codes_of_tissue
from coverslip.deid.pixels.shapes import Grey
from coverslip.deid.policy import Policy
from coverslip.errors import CoverslipError, SourceError
from coverslip.luminance import luminance_of
from coverslip.model import CheckResult, Level
from coverslip.routes import Route
from coverslip.slide import OpenedSlide

SEARCHED_PIXELS = 4 << 20
"""A larger level is reduced, as scanners reduce what they make lower levels of."""
_VOUCHED = "somebody vouches that its pixels identify nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What looking at the levels came to."""

    bar_codes: CheckResult = CheckResult.NOT_RUN
    text: CheckResult = CheckResult.NOT_RUN
    notes: tuple[str, ...] = ()
    doubt: str | None = None
    """What a level shows, or why it cannot be searched, if nobody vouches for the pixels."""


def search_levels(
    slide: OpenedSlide, routes: tuple[Route, ...], policy: Policy, stop: Event
) -> Seen:
    """Search the small levels of each region and channel; ``stop`` ends it with KeyboardInterrupt.

    Of focal planes all are searched: what is written on the glass may be sharp in one alone.

    Raises
    ------
    SourceError
        If nothing was found, and not all could be looked for since the slide is damaged: that no
        look at its pixels mends.
    """
    codes, texts = _Search("bar codes"), _Search("pieces of text")
    reads = ocr.is_installed()
    chosen = searched_levels(slide.levels)
    largest = largest_of_each(slide.levels, chosen)
    go_on = partial(_go_on, stop)
    for number in chosen:
        least = LEAST_OF_ANY if number in largest else LEAST
        for plane in slide.levels[number].focal_planes:
            go_on()
            try:
                picture = grey_of(slide, plane, routes[number], go_on, with_padding=True)
            except CoverslipError as error:
                codes.miss(number, error)
                continue
            codes.saw(number, len(bar_codes_of_tissue(picture, least=least)))
            if reads:
                texts.saw(number, count_texts(picture))
    if policy.pixels_attested is not None:
        notes = (f"{what}; {_VOUCHED}" for what in (codes.doubt, texts.doubt) if what is not None)
        return Seen(bar_codes=CheckResult.ATTESTED, text=CheckResult.ATTESTED, notes=tuple(notes))
    doubts = dict.fromkeys(what for what in (codes.doubt, texts.doubt) if what is not None)
    if codes.damage is not None and list(doubts) == [codes.missed]:
        raise codes.damage
    is_read = reads and codes.missed is None
    return Seen(
        bar_codes=codes.result,
        text=texts.result if is_read or texts.has_found else CheckResult.NOT_RUN,
        doubt="; ".join(doubts) or None,
    )


def _go_on(stop: Event) -> None:
    if stop.is_set():
        raise KeyboardInterrupt


def searched_levels(levels: Sequence[Level]) -> list[int]:
    """Return the numbers of the levels of each region and optical path that are searched.

    They are those of at most 4 megapixels: what is legible in the largest of these may not be in
    the smallest. Where there is none it is the smallest level.
    """
    chosen: list[int] = []
    for group in _groups(levels, range(len(levels))):
        small = [number for number in group if pixel_count(levels[number]) <= SEARCHED_PIXELS]
        chosen += small or [min(group, key=lambda number: pixel_count(levels[number]))]
    return sorted(chosen)


def largest_of_each(levels: Sequence[Level], chosen: Sequence[int]) -> set[int]:
    """Return the largest of some levels of each region and optical path: no other shows more."""
    groups = _groups(levels, chosen)
    return {max(group, key=lambda number: pixel_count(levels[number])) for group in groups}


def _groups(levels: Sequence[Level], numbers: Iterable[int]) -> Iterable[list[int]]:
    """Return numbers of levels, those of a region and optical path together."""
    groups = defaultdict[tuple[int, int], list[int]](list)
    for number in numbers:
        groups[levels[number].region, levels[number].optical_path].append(number)
    return groups.values()


def pixel_count(level: Level) -> int:
    """Return how many pixels one focal plane of a level has."""
    return level.image_width * level.image_length


def grey_of(
    slide: OpenedSlide,
    plane: Level,
    route: Route,
    on_part: Callable[[], object] | None = None,
    *,
    with_padding: bool = False,
) -> Grey:
    """Return a focal plane in grey at a size to be searched.

    Its tiles are decoded, not its frames: those hold the same pixels, and may not be there yet.
    """
    if route.frame_format is None:  # `require_copy` has raised by then
        raise AssertionError(route.reason)
    # What lies outside the file, or in a picture that does not go out, is not decoded either.
    offsets, byte_counts = np.ascontiguousarray(plane.stored_ranges().T)
    _core.TileIndex(slide.source, offsets, byte_counts, slide.description.private_ranges)
    return luminance_of(
        slide.source,
        plane,
        route.frame_format,
        SEARCHED_PIXELS,
        on_part,
        with_padding=with_padding,
    )


def count_texts(picture: Grey) -> int:
    """Return how many pieces of text are read in a picture, whichever way up."""
    rgb = np.stack([picture] * 3, axis=2)
    turned = (np.ascontiguousarray(np.rot90(rgb, quarters)) for quarters in range(4))
    return sum(len(ocr.written_boxes(way)) for way in turned)


class _Search:
    """What looking for one kind of thing came to."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._found = Counter[int]()
        self.damage: SourceError | None = None
        """That of the first level that could not be searched for it."""
        self.missed: str | None = None
        """Which level could not be searched, and why."""

    def saw(self, number: int, count: int) -> None:
        """Note how many were found in a level."""
        self._found[number] += count

    def miss(self, number: int, error: CoverslipError) -> None:
        """Note that a level could not be searched, and whether that is for its damage."""
        self.missed = f"level {number} cannot be searched for {self._what}: {error}"
        if isinstance(error, SourceError) and self.damage is None:
            self.damage = SourceError(f"level {number}: {error}")

    @property
    def has_found(self) -> bool:
        """Whether there is any."""
        return self._found.total() > 0

    @property
    def doubt(self) -> str | None:
        """What a level shows, or why one could not be searched."""
        if not self.has_found:
            return self.missed
        ((number, count),) = self._found.most_common(1)
        return f"level {number} shows what looks like {self._what} ({count})"

    @property
    def result(self) -> CheckResult:
        """What the certificate says, if nobody vouches."""
        if self.has_found:
            return CheckResult.FOUND
        return CheckResult.PASSED if self.missed is None else CheckResult.NOT_RUN
