"""Makes a finding of every piece of text in an XML tree that is not known to be harmless."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from xml.etree.ElementTree import Element

from coverslip.limits import LIMITS
from coverslip.model import ItemKind, SourceItem, SourceText

_REMEMBERED = 1 << 14
"""Most words and numbers of one XML text of which is kept what they are."""
_NUMBER = re.compile(r"[-+]?[0-9]{1,12}([.,][0-9]{1,17})?([eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The words of one vendor's XML; any other word is itself text of the slide.

    An attribute is ``Element@attribute``, or ``@attribute`` in whatever element; the text of an
    element is ``Element``.
    """

    kinds: Mapping[str, ItemKind]
    """Words that hold text of the slide."""
    plain: frozenset[str]
    """Words that hold a number or one of ``values``; if so there is nothing to find in them."""
    values: frozenset[str] = frozenset()
    structure: frozenset[str] = frozenset()
    """Elements that are there for what is in them."""


def local_name(element: Element) -> str:
    """Return the name of an element without its namespace; empty for a comment."""
    return _without_namespace(element.tag) if isinstance(element.tag, str) else ""


def _without_namespace(name: str) -> str:
    return name.rpartition("}")[2]


def children(element: Element, *path: str) -> list[Element]:
    """Return the elements at the end of a path of names, whatever their namespace."""
    found = [element]
    for name in path:
        found = [child for parent in found for child in parent if local_name(child) == name]
    return found


def text_of(element: Element, *path: str) -> str | None:
    """Return the text of the first element at the end of a path, ``None`` if there is none."""
    found = children(element, *path)
    return (found[0].text or "").strip() if found else None


def number_in(text: str | None) -> float | None:
    """Return a finite number that is written plainly; ``None`` if it is none."""
    if text is None or not _NUMBER.fullmatch(text.strip()):
        return None
    value = float(text.strip().replace(",", "."))
    return value if abs(value) < float("inf") else None


def integer_in(text: str | None) -> int | None:
    """Return a whole number of at most twelve digits; ``None`` if it is none."""
    if text is None or not re.fullmatch(r"-?[0-9]{1,12}", text.strip()):
        return None
    return int(text)


def xml_items(root: Element, place: str, vocabulary: Vocabulary) -> Iterator[SourceItem]:
    """Yield a finding for each text in a tree, the last for all beyond the limit together."""
    items = _items(root, place, vocabulary)
    yield from islice(items, LIMITS.xml_items)
    rest = "\n".join(item.text.reveal() for item in items)
    if rest:
        yield _unknown(place, rest)


def _items(root: Element, place: str, vocabulary: Vocabulary) -> Iterator[SourceItem]:
    # A slide may have a hundred thousand joints of tiles, whose words and numbers are few.
    known = lru_cache(_REMEMBERED)(partial(_known, vocabulary=vocabulary))
    is_plain = lru_cache(_REMEMBERED)(partial(_is_plain, vocabulary=vocabulary))
    for element in root.iter():
        name = local_name(element)
        text = "\n".join(filter(None, (part and part.strip() for part in _texts(element))))
        if not name:
            yield _unknown(place, text)
            continue
        said = [(f"{name}@{_without_namespace(key)}", value) for key, value in element.items()]
        if text or not _is_known(name, vocabulary):
            said.append((name, text))
        for word, value in said:
            what, is_number = known(word)
            if not (is_number and is_plain(value)):
                yield _item(place, word, value, what)


def _texts(element: Element) -> Iterator[str | None]:
    """Yield the text of an element, and what stands between and behind its children."""
    yield element.text
    for child in element:
        yield child.tail


def _is_known(word: str, vocabulary: Vocabulary) -> bool:
    return word in vocabulary.kinds or word in vocabulary.plain or word in vocabulary.structure


def _known(word: str, vocabulary: Vocabulary) -> tuple[tuple[str, ItemKind] | None, bool]:
    """Return as what a word holds text of the slide, and whether it may hold a plain number.

    What is said of a word in its element comes before what is said of it anywhere.
    """
    is_number = False
    for spelling in (word, word[word.find("@") :] if "@" in word else word):
        is_number |= spelling in vocabulary.plain
        if spelling in vocabulary.kinds:
            return (spelling, vocabulary.kinds[spelling]), is_number
    return None, is_number


def _item(place: str, word: str, value: str, known: tuple[str, ItemKind] | None) -> SourceItem:
    if known is None:
        return _unknown(place, f"{word}={value}")
    key, kind = known
    return SourceItem(place=place, key=key, kind=kind, text=SourceText(value))


def _is_plain(value: str, vocabulary: Vocabulary) -> bool:
    return number_in(value) is not None or value.strip() in vocabulary.values


def _unknown(place: str, text: str) -> SourceItem:
    return SourceItem(place=place, key=None, kind=ItemKind.UNKNOWN, text=SourceText(text))
