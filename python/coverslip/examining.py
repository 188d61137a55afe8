"""Looks at the pixels that go out: the small levels, and the pictures beside the levels."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from coverslip.associated import AssociatedPicture
from coverslip.beside import Beside
from coverslip.deid.pixels import ocr
from coverslip.deid.policy import Policy, Profile
from coverslip.luminance import reduction_of
from coverslip.model import CheckResult, Level, PixelChecks, Role
from coverslip.outgoing import pictures_of
from coverslip.routes import Route
from coverslip.search import SEARCHED_PIXELS, Seen, search_levels, searched_levels
from coverslip.slide import OpenedSlide


class InDoubtError(Exception):
    """The levels show what may identify: what was written so far does not say so.

    It never leaves the package: whoever began the conversion begins it anew.
    """

    def __init__(self, seen: Seen) -> None:
        super().__init__("the levels show what may identify")
        self.seen = seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What looking at a slide's pixels comes to, if nothing is found that was not known."""

    checks: PixelChecks
    pictures: tuple[AssociatedPicture, ...]
    """Those of the slide that go out beside the levels."""
    picture_notes: tuple[str, ...]
    search: "Beside[Seen] | None"
    """What is still looking; ``None`` where nothing is searched."""

    def notes(self) -> tuple[str, ...]:
        """Wait for the search, and return all notes.

        Raises
        ------
        InDoubtError
            If a level shows a bar code or text, or cannot be searched, and nobody vouches for it.
        SourceError
            If a level cannot be searched since it is damaged, and nobody vouches for its pixels.
        """
        if self.search is None:
            return self.picture_notes
        seen = self.search.result()
        _require(seen, self.checks)
        return tuple(dict.fromkeys((*seen.notes, *self.picture_notes)))

    def stop_if_found(self) -> None:
        """Raise as `notes` does if the search has ended."""
        if self.search is not None and self.search.has_ended():
            _require(self.search.result(), self.checks)


@contextmanager
def examining(
    slide: OpenedSlide, routes: tuple[Route, ...], policy: Policy, seen: Seen | None = None
) -> Iterator[Examined]:
    """Get the pictures that the policy lets out, and search the small levels during the block.

    Bar codes are always looked for, text where the extra ``ocr`` is installed; under the profile
    `care` neither is. An overview that cannot be decoded, or masked beyond doubt, is dropped with
    a note. Writing need not wait for the search, only what is written for its name: it is expected
    to find nothing, and where it does, `InDoubtError` has what it saw, to begin anew with that.

    Parameters
    ----------
    slide, routes, policy
        What is converted.
    seen
        What a search saw before that is in doubt, so that there is none now.
    """
    notes: list[str] = []
    pictures = tuple(pictures_of(slide, routes, policy, notes))
    is_searched = policy.profile is not Profile.CARE and seen is None
    expected = _expected(policy, slide.levels)
    if seen is not None:
        expected = replace(
            expected, bar_codes=seen.bar_codes, text=seen.text, are_levels_in_doubt=True
        )
    checks = replace(
        expected,
        is_overview_masked=any(
            picture.role is Role.OVERVIEW and not picture.is_as_scanned for picture in pictures
        ),
        is_thumbnail_written=any(picture.role is Role.THUMBNAIL for picture in pictures),
        kept=frozenset(picture.role for picture in pictures if picture.is_as_scanned),
    )
    search = partial(search_levels, slide, routes, policy)
    beside = Beside(search) if is_searched else None
    with beside or nullcontext():
        yield Examined(
            checks=checks,
            pictures=pictures,
            picture_notes=tuple(dict.fromkeys(notes)),
            search=beside,
        )


def _expected(policy: Policy, levels: Sequence[Level]) -> PixelChecks:
    """Return what a search comes to that finds nothing."""
    if policy.profile is Profile.CARE:
        return PixelChecks()
    if policy.pixels_attested is not None:
        return PixelChecks(bar_codes=CheckResult.ATTESTED, text=CheckResult.ATTESTED)
    text = CheckResult.PASSED if ocr.is_installed() else CheckResult.NOT_RUN
    chosen = searched_levels(levels)
    reduction = max(reduction_of(levels[number], SEARCHED_PIXELS) for number in chosen)
    return PixelChecks(bar_codes=CheckResult.PASSED, text=text, reduction=reduction)


def _require(seen: Seen, expected: PixelChecks) -> None:
    """Raise `InDoubtError` if a search did not come to what is written rests on."""
    if seen.doubt is not None:
        raise InDoubtError(seen)
    if (seen.bar_codes, seen.text) != (expected.bar_codes, expected.text):
        raise AssertionError("the search came to what nobody expected")
