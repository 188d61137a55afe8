"""Chooses the pictures beside the levels that go out, and masks the overview."""

from collections.abc import Iterator
from dataclasses import replace

from coverslip.associated import AssociatedPicture
from coverslip.deid.pixels.mask import PAINT, mask_label
from coverslip.deid.pixels.priors import prior_of
from coverslip.deid.policy import Policy, Profile
from coverslip.errors import CoverslipError, UnsupportedSlideError
from coverslip.model import Role
from coverslip.pictures import rgb_of
from coverslip.routes import Route
from coverslip.search import count_texts, grey_of, pixel_count
from coverslip.slide import OpenedSlide
from coverslip.thumbnails import OF_THE_SCAN, require_nothing_written, require_the_scan


def pictures_of(
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
    number = min(range(len(slide.levels)), key=lambda each: pixel_count(slide.levels[each]))
    try:
        if slide.format not in OF_THE_SCAN or len(slide.description.regions) != 1:
            raise UnsupportedSlideError(f"no rule says that one of {slide.format} shows no label")
        level = grey_of(slide, slide.levels[number], routes[number])
        require_the_scan(thumbnail.picture, level)
        if policy.profile is not Profile.CARE:
            require_nothing_written(thumbnail.picture, count_texts)
    except CoverslipError as error:
        notes[-1] = f"the thumbnail was dropped: {error}"
        return
    notes.pop()  # its spacing is that of the levels
    yield replace(thumbnail, is_as_scanned=False)
