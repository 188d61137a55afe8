"""Looks at the pixels that go out: the lowest level, and the pictures beside the levels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from coverslip.associated import AssociatedPicture
from coverslip.deid.pixels import ocr
from coverslip.deid.pixels.barcodes import bar_codes
from coverslip.deid.pixels.mask import mask_label
from coverslip.deid.pixels.priors import prior_of
from coverslip.deid.pixels.shapes import Grey, reduced
from coverslip.deid.policy import Policy, Profile
from coverslip.errors import CoverslipError, QuarantineError
from coverslip.model import CheckResult, Level, PixelChecks, Role
from coverslip.pictures import luminance_of, rgb_of
from coverslip.routes import Route
from coverslip.slide import OpenedSlide

_SEARCHED_PIXELS = 4 << 20
"""A larger level is reduced: what is legible in it still is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What looking at a slide's pixels came to."""

    checks: PixelChecks
    pictures: tuple[AssociatedPicture, ...]
    """Those of the slide that go out beside the levels."""
    notes: tuple[str, ...]


def examine(slide: OpenedSlide, routes: tuple[Route, ...], policy: Policy) -> Examined:
    """Search the lowest level of each region, and get the pictures that the policy lets out.

    Bar codes are always looked for, text where the extra ``ocr`` is installed; under the profile
    `care` neither is. An overview that cannot be decoded, or masked beyond doubt, is dropped with
    a note.

    Raises
    ------
    QuarantineError
        If a lowest level shows a bar code or text, and nobody vouches for it.
    """
    notes: list[str] = []
    checks = PixelChecks()
    if policy.profile is not Profile.CARE:
        checks = _searched(slide, routes, policy, notes)
    pictures = tuple(_pictures(slide, policy, notes))
    checks = replace(
        checks,
        is_overview_masked=any(not picture.is_as_scanned for picture in pictures),
        kept=frozenset(picture.role for picture in pictures if picture.is_as_scanned),
    )
    return Examined(checks=checks, pictures=pictures, notes=tuple(dict.fromkeys(notes)))


def _searched(
    slide: OpenedSlide, routes: tuple[Route, ...], policy: Policy, notes: list[str]
) -> PixelChecks:
    """Search the lowest level of each region and channel; undecodable ones leave it not run.

    Of focal planes all are searched: what is written on the glass may be sharp in one alone.
    """
    codes, texts, is_complete = 0, 0, True
    for number in _lowest_levels(slide):
        for plane in slide.levels[number].focal_planes:
            picture = _luminance(slide, number, plane, routes[number], notes)
            if picture is None:
                is_complete = False
                continue
            codes += len(bar_codes(picture))
            texts += _count_texts(picture) if ocr.is_installed() else 0
    has_read = is_complete and ocr.is_installed()
    return PixelChecks(
        bar_codes=_judge("bar codes", codes, policy, notes, is_complete=is_complete),
        text=_judge("pieces of text", texts, policy, notes, is_complete=has_read),
    )


def _lowest_levels(slide: OpenedSlide) -> list[int]:
    """Return the number of the smallest level of each region and optical path."""
    last = {(level.region, level.optical_path): number for number, level in enumerate(slide.levels)}
    return sorted(last.values())


def _luminance(
    slide: OpenedSlide, number: int, plane: Level, route: Route, notes: list[str]
) -> Grey | None:
    """Return a focal plane in grey at a size to be searched, ``None`` if it cannot be decoded.

    Its tiles are decoded, not its frames: those hold the same pixels, and nothing has been
    written yet for a slide that is stopped here.
    """
    if route.frame_format is None:  # `require_copy` has raised by then
        raise AssertionError(route.reason)
    try:
        grey = luminance_of(slide.source, plane, route.frame_format)
    except CoverslipError as error:
        notes.append(f"level {number} was not searched for bar codes: {error}")
        return None
    factor = int(np.ceil(np.sqrt(grey.size / _SEARCHED_PIXELS)))
    return reduced(grey, factor)


def _count_texts(picture: Grey) -> int:
    rgb = np.stack([picture] * 3, axis=2)
    turned = (np.ascontiguousarray(np.rot90(rgb, quarters)) for quarters in range(4))
    return sum(len(ocr.written_boxes(way)) for way in turned)


def _judge(
    what: str, count: int, policy: Policy, notes: list[str], *, is_complete: bool
) -> CheckResult:
    """Return the result of a search that found so many, and saw all it should or did not.

    Raises
    ------
    QuarantineError
        If it found something that nobody vouches for.
    """
    if count == 0 and is_complete:
        return CheckResult.PASSED
    shown = f"the lowest level shows what looks like {what} ({count})"
    if policy.pixels_attested is not None:
        if count:
            notes.append(f"{shown}; somebody vouches that they identify nobody")
        return CheckResult.ATTESTED
    if count == 0:
        return CheckResult.NOT_RUN
    raise QuarantineError(
        shown,
        hint="look at the slide; if they identify nobody, say who vouches for that with "
        "--pixels-attested WHO",
    )


def _pictures(slide: OpenedSlide, policy: Policy, notes: list[str]) -> Iterator[AssociatedPicture]:
    """Yield the label and the overview, as far as they go out."""
    if policy.label == "keep":
        yield from _picture(slide, Role.LABEL, notes)
    if policy.overview == "keep":
        yield from _picture(slide, Role.OVERVIEW, notes)
    elif policy.overview == "mask":
        for picture in _picture(slide, Role.OVERVIEW, notes):
            yield from _masked(slide, picture, notes)


def _picture(slide: OpenedSlide, role: Role, notes: list[str]) -> Iterator[AssociatedPicture]:
    """Yield the picture of a role as it was scanned, if there is exactly one that can be read."""
    name = role.lower()
    images = [image for image in slide.associated_images if image.role is role]
    if len(images) != 1:
        notes.append(f"no {name} was written: the slide has {len(images)} of them")
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
    yield replace(overview, picture=painted, is_as_scanned=False)
