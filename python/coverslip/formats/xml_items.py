"""Makes a finding of every piece of text in an XML tree that is not known to be harmless."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from xml.etree.ElementTree import Element

from coverslip.limits import LIMITS
from coverslip.model import ItemKind, SourceItem, SourceText

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
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


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
    for element in root.iter():
        name = local_name(element)
        said = {f"{name}@{key.rpartition('}')[2]}": value for key, value in element.items()}
        text = "\n".join(filter(None, (part and part.strip() for part in _texts(element))))
        if not name:
            yield _unknown(place, text)
            continue
        for word, value in said.items():
            yield from _item(place, word, value, vocabulary)
        if text or not _is_known(name, vocabulary):
            yield from _item(place, name, text, vocabulary)


def _texts(element: Element) -> Iterator[str | None]:
    """Yield the text of an element, and what stands between and behind its children."""
    yield element.text
    for child in element:
        yield child.tail


def _is_known(word: str, vocabulary: Vocabulary) -> bool:
    return word in vocabulary.kinds or word in vocabulary.plain or word in vocabulary.structure


def _item(place: str, word: str, value: str, vocabulary: Vocabulary) -> Iterator[SourceItem]:
    anywhere = word[word.find("@") :] if "@" in word else word
    for known in (word, anywhere):
        if known in vocabulary.plain and _is_plain(value, vocabulary):
            return
        if known in vocabulary.kinds:
            kind = vocabulary.kinds[known]
            yield SourceItem(place=place, key=known, kind=kind, text=SourceText(value))
            return
    yield _unknown(place, f"{word}={value}")


def _is_plain(value: str, vocabulary: Vocabulary) -> bool:
    return number_in(value) is not None or value.strip() in vocabulary.values


def _unknown(place: str, text: str) -> SourceItem:
    return SourceItem(place=place, key=None, kind=ItemKind.UNKNOWN, text=SourceText(text))
