"""Finds dates in text and writes them in every common order."""

import re
from collections.abc import Iterator
from datetime import date

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = "|".join(f"{month}[a-z]*" for month in _MONTHS)
_PIVOT = 70
"""Two-digit years from here on are of the last century."""

_YEAR_FIRST = re.compile(r"(?<!\d)((?:19|20)\d\d)([-/:. ]?)(\d\d?)\2(\d\d?)(?!\d{1,5}(?!\d))")
_YEAR_LAST = re.compile(r"(?<!\d)(\d\d?)([-/. ])(\d\d?)\2((?:19|20)?\d\d)(?!\d)")
_COMPACT_YEAR_LAST = re.compile(r"(?<!\d)(\d\d)(\d\d)((?:19|20)\d\d)(?!\d)")
_NAME_SECOND = re.compile(rf"(?<!\d)(\d\d?)[-/. ]*({_NAMED})[-/., ]*((?:19|20)?\d\d)(?!\d)", re.I)
_NAME_FIRST = re.compile(rf"\b({_NAMED})[-/. ]*(\d\d?)[-/., ]+((?:19|20)\d\d)(?!\d)", re.I)


def dates_in(text: str) -> set[date]:
    """Return every date that a text may mean; of an ambiguous one, both readings."""
    found = set()
    for match in _YEAR_FIRST.finditer(text):
        found |= _dates(match[1], match[3], match[4])
    for pattern, groups in ((_YEAR_LAST, (1, 3, 4)), (_COMPACT_YEAR_LAST, (1, 2, 3))):
        for match in pattern.finditer(text):
            first, second, year = (match[group] for group in groups)
            found |= _dates(year, first, second) | _dates(year, second, first)
    for match in _NAME_SECOND.finditer(text):
        found |= _dates(match[3], _month(match[2]), match[1])
    for match in _NAME_FIRST.finditer(text):
        found |= _dates(match[3], _month(match[1]), match[2])
    return found


def _month(name: str) -> str:
    return str(_MONTHS.index(name[:3].lower()) + 1)


def _dates(year: str, month: str, day: str) -> set[date]:
    full = int(year)
    if len(year) == 2:
        full += 1900 if full >= _PIVOT else 2000
    try:
        return {date(full, int(month), int(day))}
    except ValueError:
        return set()


def spellings_of(day: date) -> Iterator[str]:
    """Yield a date as people and programs write it."""
    year, month, number = f"{day.year:04}", f"{day.month:02}", f"{day.day:02}"
    name = _MONTHS[day.month - 1].title()
    for separator in ("", "-", "/", ":", ".", " "):
        yield separator.join((year, month, number))
    for separator in ("", "-", "/", ".", " "):
        yield separator.join((number, month, year))
        yield separator.join((month, number, year))
    for separator in ("-", "/", "."):
        yield separator.join((number, month, year[2:]))
        yield separator.join((month, number, year[2:]))
        yield separator.join((str(day.day), str(day.month), year))
        yield separator.join((str(day.month), str(day.day), year))
    for spelled in (number, str(day.day)):
        for separator in ("-", " ", ""):
            yield separator.join((spelled, name, year))
        yield f"{name} {spelled}, {year}"
        yield f"{name} {spelled} {year}"
