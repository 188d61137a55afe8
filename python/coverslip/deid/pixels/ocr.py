"""Reads text with rapidocr, where the extra ``ocr`` is installed."""

import functools
import importlib.util
from typing import Any

from coverslip.deid.pixels.shapes import Box, Rgb


def is_installed() -> bool:
    """Tell whether text can be read."""
    return importlib.util.find_spec("rapidocr") is not None


def written_boxes(picture: Rgb) -> list[Box]:
    """Return a box around every piece of text that can be read along the rows of a picture."""
    corners = _reader()(picture).boxes
    if corners is None:
        return []
    return [
        Box(
            left=max(0, int(min(x for x, _ in quad))),
            top=max(0, int(min(y for _, y in quad))),
            right=int(max(x for x, _ in quad)) + 1,
            bottom=int(max(y for _, y in quad)) + 1,
        )
        for quad in corners
    ]


@functools.cache
def _reader() -> Any:  # noqa: ANN401 (an engine that has no types)
    """Return the engine; its log would quote what it reads."""
    import logging

    from rapidocr import RapidOCR

    engine = RapidOCR()
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL + 1)
    return engine
