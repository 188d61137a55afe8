"""What the pictures of a slide say that are no level: bar codes, and text where it can be read."""

from collections.abc import Iterator

import numpy as np

from coverslip.errors import CoverslipError
from coverslip.pictures import rgb_of
from coverslip.slide import OpenedSlide
from coverslip.verification import writing
from coverslip.verification.barcodes import texts_of_codes


def texts_of(slide: OpenedSlide) -> tuple[list[str], list[str]]:
    """Return what labels and overviews say, and in words what could not be read of them."""
    said: list[str] = []
    unread = 0
    for image in slide.associated_images:
        if image.pixels is None:
            unread += 1
            continue
        try:
            picture = rgb_of(slide.source, image.pixels)
        except CoverslipError:
            unread += 1
            continue
        said.extend(_read(picture))
    left = [f"bar codes in {unread} pictures of the slide that are not decoded"] if unread else []
    return said, left


def _read(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Iterator[str]:
    yield from texts_of_codes(picture)
    if writing.is_installed():
        yield from writing.words_in(picture)
