"""Checks the elements of a header, one by one, those in items of sequences included.

Most elements of an instance are those of the one before, and of the slide before: what was found
wrong with the same bytes at the same place is not looked for twice.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from coverslip.verification import colours
from coverslip.verification.attributes import Rules
from coverslip.verification.coded import Triple
from coverslip.verification.forms import NOTHING, Form
from coverslip.verification.numbers import NUMBERS, problems_of_numbers

Problem = tuple[str, str]
"""Place and what is wrong there."""

TEXT_VRS = frozenset(
    {
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
        *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
    }
)
_WHOLE_VRS = frozenset(("LT", "ST", "UR", "UT"))
"""In these a backslash is a character like any other (PS3.5 6.2)."""
_MOST_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is wrong with an element, and whether it says anything; none of its values."""

    problems: tuple[Problem, ...]
    is_empty: bool


@dataclass(frozen=True, slots=True)
class _Judge:
    """What elements of an instance are held to."""

    rules: Rules

    def dataset(self, dataset: Dataset, parents: tuple[str, ...]) -> Iterator[Problem]:
        """Yield what is wrong with the elements of an item."""
        for tag in tags_of(dataset):
            yield from self.element(dataset, tag, parents).problems

    def element(self, dataset: Dataset, tag: BaseTag, parents: tuple[str, ...]) -> _Verdict:
        """Return what is wrong with an element; one that must not be there is not converted."""
        place, keyword = ".".join((*parents, name_of(tag))), keyword_for_tag(tag)
        element = dataset.get_item(tag)
        form = self.rules.forms.get(keyword)
        if tag.is_private:
            problems = [(place, "a private element")]
        elif form is None and keyword not in self.rules.others:
            problems = [(place, "an attribute that such an instance does not have")]
        elif dictionary_VR(tag) != element.VR:
            problems = [(place, "its value representation is not its own")]
        elif form is not None:
            problems = [(place, what) for what in problems_of_text(element, form)]
        elif element.VR == "SQ":
            items = dataset[tag].value
            problems = list(self._items(keyword, items, (*parents, name_of(tag))))
            return _Verdict(tuple(problems), is_empty=not items)
        elif keyword in NUMBERS:
            problems = [(place, what) for what in problems_of_numbers(element, NUMBERS[keyword])]
        else:
            problems = [(place, what) for what in colours.problems_of(_bytes_of(element))]
        return _Verdict(tuple(problems), is_empty=not _bytes_of(element))

    def _items(
        self, keyword: str, items: list[Dataset], parents: tuple[str, ...]
    ) -> Iterator[Problem]:
        """Yield what is wrong with a sequence."""
        *outer, own = parents
        if keyword in self.rules.empty and items:
            yield ".".join(parents), "it must be empty"
        codes = self.rules.codes.get(keyword)
        for number, item in enumerate(items):
            within = (*outer, f"{own}[{number}]")
            problems = list(self.dataset(item, within))
            yield from problems
            if codes is not None and not problems and _triple_of(item) not in codes:
                yield ".".join(within), "a code that does not belong there"


_known: dict[bytes, _Verdict] = {}
"""By digests of elements and of all that their verdict depends on."""


def check_elements(dataset: Dataset, rules: Rules) -> tuple[list[Problem], frozenset[str]]:
    """Return what is wrong with the elements of an instance, and the keywords that say something.

    Parameters
    ----------
    dataset
        As it was read, its elements not yet converted as far as possible.
    rules
        Those for what the instance says of itself.
    """
    judge = _Judge(rules)
    charset = dataset.get("SpecificCharacterSet")
    held_to = hashlib.sha256(repr((rules.profile, sorted(rules.claims), charset)).encode())
    problems: list[Problem] = []
    filled: set[str] = set()
    for tag in tags_of(dataset):
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes):
            digest = held_to.copy()
            digest.update(f"{tag:08X} {raw.VR} {len(raw.value)} ".encode() + raw.value)
            key = digest.digest()
            verdict = _known.get(key)
            if verdict is None:
                verdict = judge.element(dataset, tag, ())
                if len(_known) >= _MOST_KNOWN:
                    _known.clear()
                _known[key] = verdict
        else:
            verdict = judge.element(dataset, tag, ())
        problems.extend(verdict.problems)
        if not verdict.is_empty:
            filled.add(keyword_for_tag(tag))
    return problems, frozenset(filled)


def tags_of(dataset: Dataset) -> list[BaseTag]:
    """Return the tags of a data set in order, compared as numbers: pydicom's own way is slow."""
    return sorted(dataset.keys(), key=int)


def name_of(tag: BaseTag) -> str:
    """Return a tag as the standard writes it."""
    return f"({tag.group:04X},{tag.element:04X})"


def problems_of_text(element: DataElement | RawDataElement, form: Form) -> Iterator[str]:
    """Check the bytes of a text: what lies behind its end is not shown by any reader.

    No value is converted: what is in the place of a number may be none.
    """
    raw = _bytes_of(element)
    value = raw[:-1] if raw[-1:] in (b" ", b"\0") else raw
    if any(byte < 0x20 or byte == 0x7F for byte in value):
        yield "control characters in a text"
    if value.endswith(b" "):
        yield "more padding than a text needs"
    text = value.rstrip(b" \0").decode("latin-1")
    values = [text] if element.VR in _WHOLE_VRS else text.split("\\")
    multiplicity = dictionary_VM(element.tag)
    if text and not all(form(one) for one in values):
        yield _what(element.VR, form)
    elif text and multiplicity.isdecimal() and len(values) != int(multiplicity):
        yield f"not {multiplicity} values, as it has to have"


def _what(vr: str | None, form: Form) -> str:
    """Return what is wrong with a text that has not its form."""
    if form is NOTHING:
        return "it must be empty"
    if vr == "UI":
        return "a UID that is neither random nor the standard's"
    return "a value that such an instance does not have there"


def _bytes_of(element: DataElement | RawDataElement) -> bytes:
    """Return the value of an element as it stands in the file, or as a text of what was read."""
    value = element.value
    if isinstance(element, RawDataElement) or isinstance(value, bytes):
        return value or b""
    if value is None:
        return b""
    values = value if isinstance(value, MultiValue) else [value]
    return "\\".join(map(str, values)).encode("latin-1", "replace")


def _triple_of(item: Dataset) -> Triple:
    """Return what a code is made of."""
    value, scheme, meaning = (
        str(item.get(keyword, ""))
        for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
    )
    return value, scheme, meaning
