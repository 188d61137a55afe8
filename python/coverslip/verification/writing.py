"""Reads text in pictures where rapidocr is installed, and compares it with terms."""

import functools
import importlib.util
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from coverslip.verification.words import words_of

_SHORTEST = 4
_CHARACTERS_AN_ERROR = 6
"""A reader takes one letter for another now and then."""


def is_installed() -> bool:
    """Tell whether text can be read."""
    return all(map(importlib.util.find_spec, ("rapidocr", "onnxruntime")))


def words_in(picture: npt.NDArray[np.uint8]) -> Iterator[str]:
    """Yield the words of a picture, whichever way up."""
    rgb = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=2)
    for quarters in range(4):
        for text in _reader()(np.ascontiguousarray(np.rot90(rgb, quarters))).txts or ():
            yield from words_of(text)


def is_like_a_term(word: str, terms: Iterable[str]) -> bool:
    """Tell whether a word is one of some terms, but for one error in six characters."""
    word = _plain(word)
    return len(word) >= _SHORTEST and any(_is_like(word, _plain(term)) for term in terms)


def _plain(text: str) -> str:
    return "".join(words_of(text)).casefold()


def _is_like(word: str, term: str) -> bool:
    most = len(term) // _CHARACTERS_AN_ERROR
    if len(term) < _SHORTEST or abs(len(word) - len(term)) > most:
        return False
    return word == term or (most > 0 and _distance(word, term) <= most)


def _distance(one: str, other: str) -> int:
    """Return how many characters have to be changed, added or left out (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, character in enumerate(one, start=1):
        last, row[0] = row[0], number
        for at, another in enumerate(other, start=1):
            last, row[at] = (
                row[at],
                min(row[at] + 1, row[at - 1] + 1, last + (character != another)),
            )
    return row[-1]


@functools.cache
def _reader() -> Any:  # noqa: ANN401 (an engine that has no types)
    """Return the engine, silent: its log would quote what it reads."""
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "critical"})
