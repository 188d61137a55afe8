"""Words that stand in every output and identify nobody: they are not looked for alone.

A surname that is also one of them is still found where another word of the name stands beside it.
"""

import functools
import re
from collections.abc import Iterable
from importlib import resources

_WORD = re.compile(r"[^\W_]+")
_MEASURE = re.compile(r"[+-]?\d*[.,]?\d*(?:[eE][+-]?\d+)?")
_CHANNEL = re.compile(r"channel [1-9]\d{0,2}")
"""What a channel is called that has no better name."""
_MEASURE_DIGITS = 5
"""Numbers with a point of no more digits are measures: spacings, powers, times of exposure."""


def words_of(text: str) -> list[str]:
    """Return the runs of letters and digits of a text."""
    return _WORD.findall(text)


@functools.cache
def _listed() -> frozenset[str]:
    text = resources.files("coverslip.verification").joinpath("words.txt").read_text("utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(line.casefold() for line in lines if line)


@functools.cache
def _listed_apart() -> tuple[frozenset[str], str]:
    return _taken_apart(_listed())


def _taken_apart(lines: frozenset[str]) -> tuple[frozenset[str], str]:
    """Return the words in lines, and lines and words in one text.

    The keys of a certificate have lines where other texts have spaces: they are there as both.
    """
    words = frozenset(word for line in lines for word in words_of(line))
    spaced = (line.replace("_", " ") for line in lines if "_" in line)
    return words, "\n".join((*lines, *spaced, *words))


class PublicWords:
    """The listed words, and those of the names that a format gives to its keys.

    Parameters
    ----------
    keys
        Names of keys in the vocabulary of a vendor, as the certificate tells them.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        added = frozenset(text.casefold() for text in keys) - _listed()
        words, joined = _listed_apart()
        words_of_added, joined_of_added = _taken_apart(added)
        self._lines = _listed() | added
        self._words = words | words_of_added
        self._joined = f"{joined}\n{joined_of_added}"

    def covers(self, text: str) -> bool:
        """Return whether a text consists of public words, or is no more than a measure."""
        if _is_measure(text) or len(set(text)) == 1:
            return True
        folded = text.casefold()
        if folded in self._lines or _CHANNEL.fullmatch(folded):
            return True
        words = words_of(folded)
        return bool(words) and all(word in self._words for word in words)

    def hold(self, text: str) -> bool:
        """Return whether a text is a part of a public word, as Bright is of brightfield."""
        return text.isalnum() and not text.isdecimal() and text.casefold() in self._joined

    def hold_phrase(self, text: str) -> bool:
        """Return whether words stand in that order in a public line."""
        return text.casefold() in self._joined


def _is_measure(text: str) -> bool:
    if ("." not in text and "," not in text) or _MEASURE.fullmatch(text) is None:
        return False
    return sum(character.isdigit() for character in text) <= _MEASURE_DIGITS
