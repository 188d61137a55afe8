"""Finds dates in text and writes them in every common order."""

import re
from collections.abc import Iterator
from datetime import date

_MONTHS = (
    ("jan", "jän", "jaen", "ene", "gen"),
    ("feb", "fév", "fev"),
    ("mar", "mär", "maer", "mrz", "mrt"),
    ("apr", "avr", "abr"),
    ("may", "mai", "mei", "mag"),
    ("jun", "juin", "giu"),
    ("jul", "juil", "lug"),
    ("aug", "aoû", "aou", "ago"),
    ("sep", "set"),
    ("oct", "okt", "ott"),
    ("nov",),
    ("dec", "dez", "déc", "dic"),
)
"""How names of months begin, in the languages whose slides are common."""
_NAMES = (
    ("January", "Januar"),
    ("February", "Februar"),
    ("March", "März"),
    ("April",),
    ("May", "Mai"),
    ("June", "Juni"),
    ("July", "Juli"),
    ("August",),
    ("September",),
    ("October", "Oktober"),
    ("November",),
    ("December", "Dezember"),
)
"""Names that are looked for, in English and German, whole and as their first three letters."""
_NUMBER_OF = {stem: number for number, stems in enumerate(_MONTHS, start=1) for stem in stems}
_NAMED = "|".join(rf"{stem}[^\W\d_]*" for stem in sorted(_NUMBER_OF, key=len, reverse=True))
_LAST_YEAR = 2039
"""Years of two digits are of the last century and of this one, if not far in the future."""

_YEAR_FIRST = re.compile(r"(?<!\d)((?:19|20)\d\d)([-/:. ]?)(\d\d?)\2(\d\d?)(?!\d{1,5}(?!\d))")
_YEAR_LAST = re.compile(r"(?<!\d)(\d\d?)([-/.] ?| )(\d\d?)\2((?:19|20)?\d\d)(?!\d)")
_COMPACT_YEAR_LAST = re.compile(r"(?<!\d)(\d\d)(\d\d)((?:19|20)\d\d)(?!\d)")
_NAME_SECOND = re.compile(rf"(?<!\d)(\d\d?)[-/. ]*({_NAMED})[-/., ]*((?:19|20)?\d\d)(?!\d)", re.I)
_NAME_FIRST = re.compile(rf"\b({_NAMED})[-/. ]*(\d\d?)[-/., ]+((?:19|20)\d\d)(?!\d)", re.I)


def dates_in(text: str) -> set[date]:
    """Return every date that a text may mean; of an ambiguous one, all readings."""
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
    folded = name.lower()
    stem = next(folded[:length] for length in (4, 3) if folded[:length] in _NUMBER_OF)
    return str(_NUMBER_OF[stem])


def _dates(year: str, month: str, day: str) -> set[date]:
    years = [int(year)] if len(year) > 2 else [1900 + int(year), 2000 + int(year)]
    found = set()
    for full in years:
        try:
            found.add(date(full, int(month), int(day)))
        except ValueError:
            continue
    return {day for day in found if len(year) > 2 or day.year <= _LAST_YEAR}


def spellings_of(day: date) -> Iterator[str]:
    """Yield a date as people and programs write it; a date with a name of its month from there.

    Whoever finds ``April 1957`` finds it behind every way to write a day as well.
    """
    year, month, number = f"{day.year:04}", f"{day.month:02}", f"{day.day:02}"
    for separator in ("", "-", "/", ":", ".", " "):
        yield separator.join((year, month, number))
    for separator in ("", "-", "/", ".", " "):
        yield separator.join((number, month, year))
        yield separator.join((month, number, year))
    for separator in ("-", "/", "."):
        for first, second in ((day.day, day.month), (day.month, day.day)):
            yield separator.join((f"{first:02}", f"{second:02}", year[2:]))
            yield separator.join((str(first), str(second), year))
            yield separator.join((str(first), str(second), year[2:]))
    yield f"{number}. {month}. {year}"
    yield f"{day.day}. {day.month}. {year}"
    english, *german = _NAMES[day.month - 1]
    short = english[:3]
    for name in dict.fromkeys((english, short, *german, *(name[:3] for name in german))):
        yield f"{name} {year}"
        yield f"{name[:3]}. {year}"
    for separator in ("-", ""):
        yield separator.join((short, year))
    for spelled in dict.fromkeys((number, str(day.day))):
        yield f"{short} {spelled}, {year}"
        yield f"{short} {spelled} {year}"
    yield f"{english} {day.day}, {year}"
    yield f"{number}-{short}-{year[2:]}"
