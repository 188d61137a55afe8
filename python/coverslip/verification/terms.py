"""What to look for: the texts of a slide, in every spelling in which they may survive."""

import itertools
import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from pydicom.uid import UID

from coverslip.limits import LIMITS
from coverslip.verification.dates import dates_in, spellings_of
from coverslip.verification.readings import CODE_PAGES, readings_of
from coverslip.verification.words import PublicWords, words_of

MIN_CHARACTERS = 4
MIN_BYTES = 6
"""In UTF-8, of what has fewer characters: two of Chinese are as many as four letters."""
MIN_DIGITS = 5
"""Shorter numbers are everywhere."""
MAX_CHARACTERS = 64
"""A longer text is found by its words, or by its beginning."""
MAX_TERMS = 20_000
"""As many as the core takes."""

_STANDARD_UID = re.compile(r"(?<![\w.])1\.2\.840\.10008(?:\.\d+)+(?!\w|\.\d)")
"""What may be a UID of the standard's own, which is in every output (PS3.6 Annex A)."""
_OUR_METHOD = re.compile(r"policy sha256:[0-9a-f]{16}(?![0-9a-f])")
"""What each output says of its policy: a slide may have been made of one."""
_APART = re.compile(r"[\x00-\x1f|;=<>\"{}\[\]()]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_NAME_PARTS = 8
"""Of a phrase with more parts, none is taken for a name."""
_SHORT_PARTS = 3
"""Parts of a double or Irish name, O'Brien for example."""
_SEPARATORS = ("^", " ", ", ", ",", "_", "")
_DUMMIES = frozenset({date(1900, 1, 1), date(1970, 1, 1)})


@dataclass(frozen=True, slots=True)
class Text:
    """A text that must not survive, and what kind of thing it is."""

    kind: str
    value: str = field(repr=False)
    is_exact: bool = False
    """Whether the whole text is looked for even if it is made of public words."""


@dataclass(frozen=True, slots=True)
class Term:
    """One spelling to look for."""

    kind: str
    spelling: str = field(repr=False)
    whole_word: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """All that is looked for."""

    terms: tuple[Term, ...] = ()
    dates: frozenset[date] = field(default=frozenset(), repr=False)
    notes: tuple[str, ...] = ()
    """What could not be made into terms."""
    out_of_scope: tuple[str, ...] = ()
    """What of the source was not looked at for terms."""


def terms_of(texts: Iterable[Text], public: PublicWords) -> Terms:
    """Return what to look for so that none of the texts can survive unseen.

    Whole words are enough: whoever finds the words of a sentence finds the sentence. A phrase is
    looked for as a whole where none of its words can be.
    """
    found: dict[str, Term] = {}
    days: set[date] = set()
    notes: list[str] = []
    left = LIMITS.term_characters
    for text in dict.fromkeys(texts):  # tiles repeat theirs
        spellings = set()
        left -= len(text.value)
        if left < 0:
            notes.append("the source holds more text than is taken apart")
            break
        for reading in readings_of(text.value):
            value = _OUR_METHOD.sub("", _STANDARD_UID.sub(_without_standard, reading))
            days_here = dates_in(value) - _DUMMIES
            days |= days_here
            spellings |= {s for day in days_here for s in spellings_of(day)}
            spellings |= set(_spellings(value, public))
        if text.is_exact:
            spellings.add(text.value[:MAX_CHARACTERS])
            if not _is_long(text.value):
                notes.append("a term of the list is shorter than four characters")
        for spelling in sorted(
            {variant for one in spellings for variant in _variants(one, public)}
        ):
            if _is_long(spelling):
                term = Term(text.kind, spelling, whole_word=public.hold(spelling))
                found.setdefault(spelling.casefold(), term)
    if len(found) > MAX_TERMS:
        notes.append(f"{len(found) - MAX_TERMS} terms are more than can be looked for")
    chosen = tuple(itertools.islice(found.values(), MAX_TERMS))
    return Terms(terms=chosen, dates=frozenset(days), notes=tuple(dict.fromkeys(notes)))


def _variants(spelling: str, public: PublicWords) -> set[str]:
    """Return a spelling with its accents in one character, apart, left out, and taken for others.

    Bytes of another code page, read as Latin-1, are a term whose bytes in Latin-1 are these. What
    is a public word without its accents, as French words for English ones are, is left out.
    """
    if spelling.isascii():
        return {spelling}
    apart = unicodedata.normalize("NFD", spelling)
    bare = "".join(character for character in apart if not unicodedata.combining(character))
    variants = {spelling, unicodedata.normalize("NFC", spelling), apart}
    variants |= set() if public.covers(bare) else {bare}
    pages = () if _is_latin(spelling) else CODE_PAGES
    for cased in {spelling, spelling.upper()} if spelling.isalpha() else ():
        for encoding in ("utf-8", *pages):
            try:
                variants.add(cased.encode(encoding).decode("latin-1"))
            except UnicodeEncodeError:
                continue
    return {variant[:MAX_CHARACTERS] for variant in variants}


def _is_latin(text: str) -> bool:
    return all(character <= "\xff" for character in text)


def _is_long(text: str) -> bool:
    """Tell whether a text is long enough that chance does not write it everywhere."""
    if len(text) >= MIN_CHARACTERS:
        return True
    return len(text) > 1 and len(text.encode(errors="replace")) >= MIN_BYTES


def _spellings(text: str, public: PublicWords) -> Iterator[str]:
    for phrase in dict.fromkeys(filter(None, map(str.strip, _APART.split(text)))):
        yield from _phrase(phrase, public)


def _phrase(phrase: str, public: PublicWords) -> Iterator[str]:
    """Yield the words of a phrase that can be looked for, else the phrase itself."""
    if public.covers(phrase):
        return
    words = 0
    for chunk in phrase.split():
        for spelling in _chunk(chunk, public):
            words += 1
            yield spelling
    if words == 0:
        yield phrase[:MAX_CHARACTERS]
    yield from _names(phrase, public)


def _without_standard(uid: re.Match[str]) -> str:
    """Return nothing for a UID that the standard lists; others of its root may be anything."""
    return "" if UID(uid[0]).type else uid[0]


def _chunk(chunk: str, public: PublicWords) -> Iterator[str]:
    """Yield words, numbers, and a code like 24-001234 with and without its separators."""
    if public.covers(chunk):
        return
    for match in _UUID.finditer(chunk):
        # As the root 2.25 writes it (PS3.5 B.2).
        yield str(uuid.UUID(match[0]).int)
    parts = words_of(chunk)
    for part in parts:
        if _is_searchable(part) and not public.covers(part):
            yield part[:MAX_CHARACTERS]
        yield from (run for run in re.findall(r"\d+", part) if run != part and _is_searchable(run))
    compact = "".join(parts)
    is_code = any(character.isdigit() for character in compact)
    if len(parts) < 2 or not (is_code or _is_joined(chunk, parts)):
        return
    if is_code:
        yield chunk[:MAX_CHARACTERS]
    if _is_searchable(compact) and not public.covers(compact):
        yield compact[:MAX_CHARACTERS]


def _is_joined(chunk: str, parts: list[str]) -> bool:
    """Tell whether a word is a name whose parts are too short alone, O'Brien or Al-Amin."""
    has_short = any(not _is_searchable(part) for part in parts)
    has_single_signs = len(chunk) == sum(map(len, parts)) + len(parts) - 1
    return has_short and has_single_signs and len(parts) <= _SHORT_PARTS


def _is_searchable(word: str) -> bool:
    if word.isdecimal():
        return len(word) >= MIN_DIGITS and len(set(word)) > 1
    return _is_long(word)


def _names(phrase: str, public: PublicWords) -> Iterator[str]:
    """Yield pairs of short or public parts in both orders and with every separator.

    Other parts are found alone.
    """
    parts = [part.strip(".") for part in re.split(r"[\s,^]+", phrase) if part.strip(".")]
    if len(parts) > _NAME_PARTS:
        return
    for pair in itertools.pairwise(parts):
        if all(_is_name(part) for part in pair) and not any(
            _is_searchable(part) and not public.covers(part) for part in pair
        ):
            for order in (pair, pair[::-1]):
                if not public.hold_phrase(" ".join(order)):
                    yield from (separator.join(order) for separator in _SEPARATORS)


def _is_name(part: str) -> bool:
    return part.isalpha() and part[0] == part[0].upper()
