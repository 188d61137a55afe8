"""Looks at the pixels that go out: the small levels, and the pictures beside the levels."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

import numpy as np

from coverslip import _core
from coverslip.associated import AssociatedPicture
from coverslip.beside import Beside
from coverslip.deid.pixels import ocr
from coverslip.deid.pixels.barcodes import LEAST, LEAST_OF_ANY, bar_codes_of_tissue
from coverslip.deid.pixels.mask import PAINT, mask_label
from coverslip.deid.pixels.priors import prior_of
from coverslip.deid.pixels.shapes import Grey
from coverslip.deid.policy import Policy, Profile
from coverslip.errors import (
    CoverslipError,
    QuarantineError,
    SourceError,
    UnsupportedSlideError,
)
from coverslip.luminance import luminance_of, reduction_of
from coverslip.model import CheckResult, Level, PixelChecks, Role
from coverslip.pictures import rgb_of
from coverslip.routes import Route
from coverslip.slide import OpenedSlide
from coverslip.thumbnails import OF_THE_SCAN, require_nothing_written, require_the_scan

_SEARCHED_PIXELS = 4 << 20
"""A larger level is reduced, as scanners reduce what they make lower levels of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What looking at a slide's pixels comes to, if nothing is found."""

    checks: PixelChecks
    pictures: tuple[AssociatedPicture, ...]
    """Those of the slide that go out beside the levels."""
    picture_notes: tuple[str, ...]
    search: "Beside[tuple[PixelChecks, list[str]]] | None"
    """What is still looking; ``None`` where nothing is searched."""

    def notes(self) -> tuple[str, ...]:
        """Wait for the search, and return all notes.

        Raises
        ------
        QuarantineError
            If a level shows a bar code or text, or cannot be searched, and nobody vouches for it.
        SourceError
            If a level cannot be searched since it is damaged, and nobody vouches for its pixels.
        """
        if self.search is None:
            return self.picture_notes
        came_to, notes = self.search.result()
        expected = self.checks
        if (came_to.bar_codes, came_to.text) != (expected.bar_codes, expected.text):
            raise AssertionError("the search came to what nobody expected")
        return tuple(dict.fromkeys((*notes, *self.picture_notes)))

    def stop_if_found(self) -> None:
        """Raise as `notes` does if the search has ended."""
        if self.search is not None and self.search.has_ended():
            self.search.result()


@contextmanager
def examining(slide: OpenedSlide, routes: tuple[Route, ...], policy: Policy) -> Iterator[Examined]:
    """Get the pictures that the policy lets out, and search the small levels during the block.

    Bar codes are always looked for, text where the extra ``ocr`` is installed; under the profile
    `care` neither is. An overview that cannot be decoded, or masked beyond doubt, is dropped with
    a note. What a search comes to is known before it ends, but for those that end a conversion:
    so writing need not wait for it, only what is written for its name.
    """
    notes: list[str] = []
    pictures = tuple(_pictures(slide, routes, policy, notes))
    checks = replace(
        _expected(policy, slide.levels),
        is_overview_masked=any(
            picture.role is Role.OVERVIEW and not picture.is_as_scanned for picture in pictures
        ),
        is_thumbnail_written=any(picture.role is Role.THUMBNAIL for picture in pictures),
        kept=frozenset(picture.role for picture in pictures if picture.is_as_scanned),
    )
    is_searched = policy.profile is not Profile.CARE
    beside = Beside(lambda stop: _searched(slide, routes, policy, stop)) if is_searched else None
    with beside or nullcontext():
        yield Examined(
            checks=checks,
            pictures=pictures,
            picture_notes=tuple(dict.fromkeys(notes)),
            search=beside,
        )


def _expected(policy: Policy, levels: Sequence[Level]) -> PixelChecks:
    """Return what a search comes to that ends no conversion."""
    if policy.profile is Profile.CARE:
        return PixelChecks()
    if policy.pixels_attested is not None:
        return PixelChecks(bar_codes=CheckResult.ATTESTED, text=CheckResult.ATTESTED)
    text = CheckResult.PASSED if ocr.is_installed() else CheckResult.NOT_RUN
    chosen = searched_levels(levels)
    reduction = max(reduction_of(levels[number], _SEARCHED_PIXELS) for number in chosen)
    return PixelChecks(bar_codes=CheckResult.PASSED, text=text, reduction=reduction)


def _searched(
    slide: OpenedSlide, routes: tuple[Route, ...], policy: Policy, stop: Event
) -> tuple[PixelChecks, list[str]]:
    """Search the small levels of each region and channel; return the notes, too.

    Of focal planes all are searched: what is written on the glass may be sharp in one alone.
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
                picture = _luminance(slide, plane, routes[number], go_on, with_padding=True)
            except CoverslipError as error:
                codes.miss(number, error)
                continue
            codes.saw(number, len(bar_codes_of_tissue(picture, least=least)))
            if reads:
                texts.saw(number, _count_texts(picture))
    notes: list[str] = []
    found = codes.judge(policy, notes)
    read = texts.judge(policy, notes)
    is_read = reads and codes.missed is None
    text = read if is_read or read is CheckResult.ATTESTED else CheckResult.NOT_RUN
    return PixelChecks(bar_codes=found, text=text), notes


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
        small = [number for number in group if _pixels(levels[number]) <= _SEARCHED_PIXELS]
        chosen += small or [min(group, key=lambda number: _pixels(levels[number]))]
    return sorted(chosen)


def largest_of_each(levels: Sequence[Level], chosen: Sequence[int]) -> set[int]:
    """Return the largest of some levels of each region and optical path: no other shows more."""
    groups = _groups(levels, chosen)
    return {max(group, key=lambda number: _pixels(levels[number])) for group in groups}


def _groups(levels: Sequence[Level], numbers: Iterable[int]) -> Iterable[list[int]]:
    """Return numbers of levels, those of a region and optical path together."""
    groups = defaultdict[tuple[int, int], list[int]](list)
    for number in numbers:
        groups[levels[number].region, levels[number].optical_path].append(number)
    return groups.values()


def _pixels(level: Level) -> int:
    return level.image_width * level.image_length


def _luminance(
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
        _SEARCHED_PIXELS,
        on_part,
        with_padding=with_padding,
    )


def _count_texts(picture: Grey) -> int:
    rgb = np.stack([picture] * 3, axis=2)
    turned = (np.ascontiguousarray(np.rot90(rgb, quarters)) for quarters in range(4))
    return sum(len(ocr.written_boxes(way)) for way in turned)


class _Search:
    """What looking for one kind of thing came to."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._found = Counter[int]()
        self._damage: SourceError | None = None
        self.missed: str | None = None

    def saw(self, number: int, count: int) -> None:
        """Note how many were found in a level."""
        self._found[number] += count

    def miss(self, number: int, error: CoverslipError) -> None:
        """Note that a level could not be searched, and whether that is for its damage."""
        self.missed = f"level {number} cannot be searched for {self._what}: {error}"
        if isinstance(error, SourceError) and self._damage is None:
            self._damage = SourceError(f"level {number}: {error}")

    def judge(self, policy: Policy, notes: list[str]) -> CheckResult:
        """Return the result.

        Raises
        ------
        QuarantineError
            If something was found, or could not be looked for, and nobody vouches for it: what is
            written says that nothing is burned into the pixels.
        SourceError
            If nothing was found, and not all could be looked for since the slide is damaged: that
            no look at its pixels mends.
        """
        shown = self.missed
        for number, count in self._found.most_common(1):
            if count:
                shown = f"level {number} shows what looks like {self._what} ({count})"
        if policy.pixels_attested is not None:
            if shown is not None:
                notes.append(f"{shown}; somebody vouches that its pixels identify nobody")
            return CheckResult.ATTESTED
        if shown is None:
            return CheckResult.PASSED
        if shown == self.missed and self._damage is not None:
            raise self._damage
        raise QuarantineError(
            shown,
            hint="look at the slide; if its pixels identify nobody, say who vouches for that with "
            "--pixels-attested WHO",
        )


def _pictures(
    slide: OpenedSlide, routes: tuple[Route, ...], policy: Policy, notes: list[str]
) -> Iterator[AssociatedPicture]:
    """Yield the label, the overview and the thumbnail, as far as they go out."""
    if policy.label == "keep":
        yield from _picture(slide, Role.LABEL, notes)
    if policy.overview == "keep":
        yield from _picture(slide, Role.OVERVIEW, notes)
    elif policy.overview == "mask":
        for picture in _picture(slide, Role.OVERVIEW, notes):
            yield from _masked(slide, picture, notes)
    if policy.thumbnail == "keep":
        for picture in _picture(slide, Role.THUMBNAIL, notes):
            yield from _of_scan(slide, picture, routes, policy, notes)


def _picture(slide: OpenedSlide, role: Role, notes: list[str]) -> Iterator[AssociatedPicture]:
    """Yield the picture of a role as it was scanned, if there is exactly one that can be read."""
    name = role.lower()
    alike = [image for image in slide.associated_images if image.role is role]
    images = [image for image in alike if image.is_recognised]
    others = len(alike) - len(images)
    if others:
        pictures = "1 unrecognised picture" if others == 1 else f"{others} unrecognised pictures"
        notes.append(f"{pictures}, maybe the {name}, stayed behind")
    if not images:
        none = "none that is known to be one" if others else "none"
        notes.append(f"no {name} was written: the slide has {none}")
        return
    if len(images) > 1:
        notes.append(f"no {name} was written: the slide has {len(images)}, and which is not known")
        return
    (image,) = images
    if image.pixels is None:
        notes.append(f"the {name} was dropped: it is damaged, or stored in an unusual way")
        return
    try:
        picture = rgb_of(slide.source, image.pixels)
    except CoverslipError as error:
        notes.append(f"the {name} was dropped: {error}")
        return
    notes.append(f"the {name}'s pixel spacing is assumed")
    yield AssociatedPicture(role=role, picture=picture, stored=image.pixels, is_as_scanned=True)


def _masked(
    slide: OpenedSlide, overview: AssociatedPicture, notes: list[str]
) -> Iterator[AssociatedPicture]:
    """Yield an overview without its label, nothing in any doubt."""
    try:
        painted = mask_label(overview.picture, prior_of(slide.format))
    except CoverslipError as error:
        notes[-1] = f"the overview was dropped: {error}"
        return
    share = (painted == PAINT).all(axis=2).mean()
    notes.append(f"{share:.0%} of the overview were painted over, its label with them")
    yield replace(overview, picture=painted, is_as_scanned=False)


def _of_scan(
    slide: OpenedSlide,
    thumbnail: AssociatedPicture,
    routes: tuple[Route, ...],
    policy: Policy,
    notes: list[str],
) -> Iterator[AssociatedPicture]:
    """Yield a thumbnail that shows the scan and nothing else, nothing in any doubt.

    It must look as the lowest level does, whoever gets it: only then it shows no label. Under
    `care` it need not be searched for bar codes and text.
    """
    number = min(range(len(slide.levels)), key=lambda each: _pixels(slide.levels[each]))
    try:
        if slide.format not in OF_THE_SCAN or len(slide.description.regions) != 1:
            raise UnsupportedSlideError(f"no rule says that one of {slide.format} shows no label")
        level = _luminance(slide, slide.levels[number], routes[number])
        require_the_scan(thumbnail.picture, level)
        if policy.profile is not Profile.CARE:
            require_nothing_written(thumbnail.picture, _count_texts)
    except CoverslipError as error:
        notes[-1] = f"the thumbnail was dropped: {error}"
        return
    notes.pop()  # its spacing is that of the levels
    yield replace(thumbnail, is_as_scanned=False)
