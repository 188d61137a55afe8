"""Reads text with rapidocr, where the extra ``ocr`` is installed."""

import functools
import importlib.util
from collections.abc import Iterable
from typing import Any

from coverslip.deid.pixels.shapes import Box, Rgb

_SURE = 0.6
_CHARACTERS = 2
"""Letters and digits of a text: dust, crosses and pen strokes are read as single ones."""


def is_installed() -> bool:
    """Tell whether text can be read."""
    return all(map(importlib.util.find_spec, ("rapidocr", "onnxruntime")))


def written_boxes(picture: Rgb) -> list[Box]:
    """Return a box around every piece of text that can be read along the rows of a picture."""
    read = _reader()(picture)
    if read.boxes is None:
        return []
    return [
        _around(corners)
        for corners, text, score in zip(read.boxes, read.txts, read.scores, strict=True)
        if score >= _SURE and sum(map(str.isalnum, text)) >= _CHARACTERS
    ]


def _around(corners: Iterable[tuple[float, float]]) -> Box:
    xs, ys = zip(*corners, strict=True)
    return Box(
        left=max(0, int(min(xs))),
        top=max(0, int(min(ys))),
        right=int(max(xs)) + 1,
        bottom=int(max(ys)) + 1,
    )


@functools.cache
def _reader() -> Any:  # noqa: ANN401 (an engine that has no types)
    """Return the engine, silent: its log would quote what it reads."""
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "critical"})
