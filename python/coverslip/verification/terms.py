"""What to look for: the texts of a slide, in every spelling in which they may survive."""

import base64
import binascii
import html
import itertools
import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import unquote

from coverslip.limits import LIMITS
from coverslip.verification.dates import dates_in, spellings_of
from coverslip.verification.words import PublicWords, words_of

MIN_CHARACTERS = 4
MIN_DIGITS = 5
"""Shorter numbers are everywhere."""
MAX_CHARACTERS = 64
"""A longer text is found by its words, or by its beginning."""
MAX_TERMS = 20_000
"""As many as the core takes."""

_APART = re.compile(r"[\x00-\x1f|;=<>\"{}\[\]()]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_NAME_PARTS = 3
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
        for value in _readings(text.value):
            days_here = dates_in(value) - _DUMMIES - public.days
            days |= days_here
            spellings |= {s for day in days_here for s in spellings_of(day)}
            spellings |= set(_spellings(value, public))
        if text.is_exact:
            spellings.add(text.value[:MAX_CHARACTERS])
            if len(text.value) < MIN_CHARACTERS:
                notes.append("a term of the list is shorter than four characters")
        for spelling in sorted(variant for one in spellings for variant in _variants(one)):
            if len(spelling) >= MIN_CHARACTERS:
                term = Term(text.kind, spelling, whole_word=public.hold(spelling))
                found.setdefault(spelling.casefold(), term)
    if len(found) > MAX_TERMS:
        notes.append(f"{len(found) - MAX_TERMS} terms are more than can be looked for")
    chosen = tuple(itertools.islice(found.values(), MAX_TERMS))
    return Terms(terms=chosen, dates=frozenset(days), notes=tuple(dict.fromkeys(notes)))


def _variants(spelling: str) -> set[str]:
    """Return a spelling with its accents in one character, apart, and left out."""
    if spelling.isascii():
        return {spelling}
    apart = unicodedata.normalize("NFD", spelling)
    bare = "".join(character for character in apart if not unicodedata.combining(character))
    variants = {spelling, unicodedata.normalize("NFC", spelling), apart, bare}
    return {variant[:MAX_CHARACTERS] for variant in variants}


def _readings(text: str) -> Iterator[str]:
    """Yield a text as it stands, and what it says if it was escaped or encoded."""
    if _SURROGATE.search(text):
        # Bytes of a file name that are no UTF-8; what stands between them is text all the same.
        yield _SURROGATE.sub(lambda found: chr(ord(found[0]) & 0xFF), text)
        text = _SURROGATE.sub(" ", text)
    seen = {text}
    for reading in (html.unescape(text), unquote(text), *_decoded(text)):
        if reading not in seen:
            seen.add(reading)
            yield reading
    yield text


def _decoded(text: str) -> Iterator[str]:
    """Yield what stretches of Base64 say, where that is text."""
    for match in _BASE64.finditer(text):
        encoded = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        try:
            decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        except binascii.Error:
            continue
        for encoding in ("utf-8", "utf-16-le"):
            try:
                said = decoded.decode(encoding)
            except UnicodeDecodeError:
                continue
            if said.rstrip("\r\n\0").isprintable() and (encoding == "utf-8" or said.isascii()):
                yield said


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
        yield from _name_orders(phrase)


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
    if len(parts) > 1 and any(character.isdigit() for character in compact):
        yield chunk[:MAX_CHARACTERS]
        if _is_searchable(compact) and not public.covers(compact):
            yield compact[:MAX_CHARACTERS]


def _is_searchable(word: str) -> bool:
    if word.isdecimal():
        return len(word) >= MIN_DIGITS and len(set(word)) > 1
    return len(word) >= MIN_CHARACTERS


def _name_orders(phrase: str) -> Iterator[str]:
    """Yield a name of short or public parts in every order and with every separator."""
    parts = [part for part in re.split(r"[\s,^]+", phrase) if part]
    if 2 <= len(parts) <= _NAME_PARTS and all(part.isalpha() for part in parts):
        for order in itertools.permutations(parts):
            for separator in ("^", " ", ", ", ",", "_", ""):
                yield separator.join(order)
