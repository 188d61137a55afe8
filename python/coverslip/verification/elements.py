"""Checks the elements of a header, one by one, those in items of sequences included.

Most elements of an instance are those of the one before, and of the slide before: what was found
wrong with the same bytes at the same place is not looked for twice.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from coverslip.verification.attributes import (
    FORMS,
    IS_DUMMY_TIME,
    WITH_IDENTITY,
    WITHOUT_IDENTITY,
    Rules,
)
from coverslip.verification.words import is_channel_name

Problem = tuple[str, str]
"""Place and what is wrong there."""

_TEXT_VRS = frozenset(
    {
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
        *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
    }
)
_TIME_VRS = frozenset(("DA", "DT", "TM"))
_UID = re.compile(r"(?:2\.25|1\.2\.840\.10008(?:\.\d+)*)\.(?:0|[1-9]\d{0,38})")
"""Made of a random number, or the standard's own: any other root belongs to somebody."""
_ANY_UID = re.compile(r"(?=.{3,64}$)[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
"""Of a study that is somebody's, where identity was not removed, or of a device that was kept."""
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
    retained: frozenset[str]
    """What may be there by what the instance says of itself."""

    def dataset(self, dataset: Dataset, parents: tuple[str, ...]) -> Iterator[Problem]:
        """Yield what is wrong with the elements of an item."""
        removed = _are_times_removed(dataset)
        for tag in tags_of(dataset):
            yield from self.element(dataset, tag, parents, removed=removed).problems

    def element(
        self, dataset: Dataset, tag: BaseTag, parents: tuple[str, ...], *, removed: bool
    ) -> _Verdict:
        """Return what is wrong with an element; one that must not be there is not converted."""
        place = ".".join((*parents, name_of(tag)))
        if tag.is_private:
            return _Verdict(((place, "a private element"),), is_empty=False)
        if keyword_for_tag(tag) not in self.rules.permitted | self.retained:
            what = "an attribute that such an instance does not have"
            return _Verdict(((place, what),), is_empty=False)
        problems = tuple(self._problems(dataset, tag, parents, removed=removed))
        return _Verdict(problems, is_empty=dataset[tag].is_empty)

    def _problems(
        self, dataset: Dataset, tag: BaseTag, parents: tuple[str, ...], *, removed: bool
    ) -> Iterator[Problem]:
        place, keyword = ".".join((*parents, name_of(tag))), keyword_for_tag(tag)
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement) and raw.VR in _TEXT_VRS:
            is_order = keyword == "StudyInstanceUID" and self.rules is WITH_IDENTITY
            # That of a device may be there at all only where it was kept.
            is_theirs = is_order or keyword == "DeviceUID"
            uid = _ANY_UID if is_theirs else _UID
            yield from ((place, what) for what in _text(raw.VR, raw.value or b"", uid))
        element = dataset[tag]
        if dictionary_VR(tag) != element.VR:
            yield place, "its value representation is not its own"
        if keyword in self.rules.empty - self.retained and not element.is_empty:
            yield place, "it must be empty"
        form = FORMS.get(keyword)
        is_held = self.rules is WITHOUT_IDENTITY and keyword not in self.retained
        if form is not None and is_held and not _has_form(element.value, form):
            yield place, "it is no pseudonym, no word of a closed list, and not empty"
        if keyword == "OpticalPathDescription" and not is_channel_name(str(element.value)):
            yield place, "a name of a channel that is neither a number nor a known dye"
        is_time = element.VR in _TIME_VRS and not element.is_empty
        if is_time and removed and not IS_DUMMY_TIME.fullmatch(str(element.value)):
            yield place, "a date or time, where the instance says that they were removed"
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from self.dataset(item, (*parents, f"{name_of(tag)}[{number}]"))


_known: dict[bytes, _Verdict] = {}
"""By digests of elements and of all that their verdict depends on."""


def check_elements(
    dataset: Dataset, rules: Rules, retained: frozenset[str]
) -> tuple[list[Problem], frozenset[str]]:
    """Return what is wrong with the elements of an instance, and the keywords that say something.

    Parameters
    ----------
    dataset
        As it was read, its elements not yet converted as far as possible.
    rules
        Those for what the instance says of identity.
    retained
        What may be there by the codes that it claims.
    """
    judge, removed = _Judge(rules, retained), _are_times_removed(dataset)
    terms = rules is WITHOUT_IDENTITY, sorted(retained), removed
    charset = dataset.get("SpecificCharacterSet")
    held_to = hashlib.sha256(repr((*terms, charset)).encode())
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
                verdict = judge.element(dataset, tag, (), removed=removed)
                if len(_known) >= _MOST_KNOWN:
                    _known.clear()
                _known[key] = verdict
        else:
            verdict = judge.element(dataset, tag, (), removed=removed)
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


def _has_form(value: object, form: re.Pattern[str]) -> bool:
    """Tell whether all of one value or several have a form."""
    values = value if isinstance(value, MultiValue) else [value]
    return all(form.fullmatch("" if each is None else str(each)) for each in values)


def _are_times_removed(dataset: Dataset) -> bool:
    return bool(dataset.get("LongitudinalTemporalInformationModified") == "REMOVED")


def _text(vr: str, raw: bytes, form: re.Pattern[str]) -> Iterator[str]:
    """Check the bytes of a text: what lies behind its end is not shown by any reader.

    UIDs have a form.
    """
    value = raw[:-1] if raw[-1:] in (b" ", b"\0") else raw
    if any(byte < 0x20 or byte == 0x7F for byte in value):
        yield "control characters in a text"
    if value.endswith(b" "):
        yield "more padding than a text needs"
    if vr == "UI":
        for uid in value.decode("latin-1").split("\\"):
            if uid and not form.fullmatch(uid):
                yield "a UID that is neither random nor the standard's"
