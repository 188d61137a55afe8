"""Refuses to write what is not listed in ``attributes.toml``.

The table repeats on purpose what other modules decide, dummy dates among it: a mistake has to be
made twice to leave the house.
"""

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Literal, TypeVar

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import IS, DSfloat, PersonName

from coverslip.codes import codes as listed
from coverslip.errors import PolicyError
from coverslip.model import OperatorText, Profile, SourceText

MAX_DS_LEN = 16  # PS3.5 6.2


Action = Literal["C", "D", "G", "K", "S", "U", "X", "Y", "Z"]
_GIVEN_FORMS = {
    "G": re.compile(r".*", re.DOTALL),
    "S": re.compile(r"[12][0-9]{7}([0-2][0-9]([0-5][0-9]){2})?"),
    "Y": re.compile(r"[12][0-9]{3}0101000000"),
}
"""How a text of the operator must look that an action lets pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Under which profile a data set is written, and which texts the operator gave for it."""

    profile: Profile = Profile.PUBLIC
    given: Mapping[str, OperatorText] = field(default_factory=dict, repr=False)
    """By path of keywords."""


PUBLIC = Permit()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the table says of one attribute at one place."""

    tag: BaseTag
    type: Literal["1", "1C", "2", "3"]
    source: str
    actions: Mapping[Profile, Action]
    values: Mapping[Profile, frozenset[str]]
    """Of those profiles that have a list."""
    patterns: Mapping[Profile, re.Pattern[str]]
    also: frozenset[str] = frozenset()
    """Values that may stand there whatever the operator gave."""

    def allows(self, value: object, profile: Profile, given: OperatorText | None = None) -> bool:
        """Return whether one value of the attribute may be written."""
        action = self.actions[profile]
        if isinstance(value, bytes):
            return action != "X" and not self.values and not self.patterns
        text = str(value)
        if text in self.also:
            return True
        if action in _GIVEN_FORMS and given is not None:
            return text == given.reveal() and bool(_GIVEN_FORMS[action].fullmatch(text))
        if action in "XZ" or not text.isascii():
            return False
        if profile in self.values and text not in self.values[profile]:
            return False
        return profile not in self.patterns or bool(self.patterns[profile].fullmatch(text))


@functools.cache
def rules() -> Mapping[str, Rule]:
    """Return the table, by the path of keywords, such as ``OpticalPathSequence.ICCProfile``."""
    text = resources.files("coverslip.dicom").joinpath("attributes.toml").read_text("utf-8")
    return {path: _rule(**row) for path, row in tomllib.loads(text)["attributes"].items()}


def _rule(
    *,
    tag: str,
    type: Literal["1", "1C", "2", "3"],
    source: str,
    values: list[str] | dict[str, list[str]] | None = None,
    pattern: str | dict[str, str] | None = None,
    codes: str | list[str] | None = None,
    meanings: str | list[str] | None = None,
    also: Iterable[str] = (),
    **actions: Action,
) -> Rule:
    group, element = tag.split(",")
    if isinstance(values, list):
        values = [
            *values,
            *(code for name in _names(codes) for code in listed(name)),
            *(meaning for name in _names(meanings) for meaning in listed(name).values()),
        ]
    return Rule(
        tag=Tag(int(group, 16), int(element, 16)),
        type=type,
        source=source,
        actions={profile: actions[profile] for profile in Profile},
        values={name: frozenset(of) for name, of in _by_profile(values).items()},
        patterns={name: re.compile(of) for name, of in _by_profile(pattern).items()},
        also=frozenset(also),
    )


def _names(of: str | list[str] | None) -> list[str]:
    """Return the names of lists of codes that a cell of the table says."""
    return [of] if isinstance(of, str) else of or []


Cell = TypeVar("Cell")


def _by_profile(cell: Cell | dict[str, Cell] | None) -> dict[Profile, Cell]:
    """Return what a cell says for each profile: it may say the same for all."""
    if cell is None:
        return {}
    if isinstance(cell, dict):
        return {Profile(name): of for name, of in cell.items()}
    return dict.fromkeys(Profile, cell)


def enforce(dataset: Dataset, permit: Permit = PUBLIC) -> None:
    """Check that a data set holds nothing but what the table allows, where it allows it.

    Parameters
    ----------
    dataset
        What is going to be written.
    permit
        Under which profile; the strictest if it is not said.

    Raises
    ------
    PolicyError
        For an attribute that is private, unknown or at a place where it is not listed; for a
        value that the table does not allow; for sealed text of a source.
    """
    _enforce(dataset, permit, parents=())
    _enforce_label(dataset)
    if permit.profile is not Profile.CARE:
        _enforce_picture(dataset)


def _enforce_label(dataset: Dataset) -> None:
    """Refuse texts of a label that are not the identifier that a drawn one shows."""
    kinds = set(_values(dataset["ImageType"])) if "ImageType" in dataset else set()
    shown = str(dataset.get("ContainerIdentifier")) if {"DERIVED", "LABEL"} <= kinds else ""
    for keyword in ("LabelText", "BarcodeValue"):
        if keyword in dataset and str(dataset[keyword].value or "") not in ("", shown):
            tag = dataset[keyword].tag
            raise PolicyError(f"attribute {tag} has a value that may not be written here")


def _enforce_picture(dataset: Dataset) -> None:
    """Refuse a label or overview as it was scanned: what shows a label was drawn or changed."""
    kinds = set(_values(dataset["ImageType"])) if "ImageType" in dataset else set()
    is_scanned = "ORIGINAL" in kinds and bool(kinds & {"LABEL", "OVERVIEW"})
    shows_label = dataset.get("SpecimenLabelInImage") == "YES" and "LABEL" not in kinds
    for keyword, is_refused in (("ImageType", is_scanned), ("SpecimenLabelInImage", shows_label)):
        if is_refused:
            tag = dataset[keyword].tag
            raise PolicyError(f"attribute {tag} has a value that may not be written here")


def _enforce(dataset: Dataset, permit: Permit, parents: tuple[str, ...]) -> None:
    for tag in dataset.keys():  # noqa: SIM118 (iterating a data set gives elements)
        if keyword_for_tag(tag) == "":
            raise PolicyError(f"attribute {tag} is private or unknown")
        path = (*parents, keyword_for_tag(tag))
        rule = rules().get(".".join(path))
        if rule is None or rule.actions[permit.profile] == "X":
            raise PolicyError(f"attribute {tag} may not be written at {_place(parents)}")
        element = dataset[tag]
        if dictionary_VR(tag) != element.VR:
            raise PolicyError(f"attribute {tag} has a value representation that is not its own")
        if element.VR == "SQ":
            _enforce_items(element, rule, permit, path)
        else:
            _enforce_values(element, rule, permit, path)


def _enforce_items(element: DataElement, rule: Rule, permit: Permit, path: tuple[str, ...]) -> None:
    if rule.actions[permit.profile] == "Z" and element.value:
        raise PolicyError(f"attribute {element.tag} must be empty at {_place(path[:-1])}")
    for item in element.value:
        _enforce(item, permit, path)


def _enforce_values(
    element: DataElement, rule: Rule, permit: Permit, path: tuple[str, ...]
) -> None:
    given = permit.given.get(".".join(path))
    for value in _values(element):
        if isinstance(value, SourceText):
            raise PolicyError(f"attribute {element.tag} holds sealed text of the source")
        has_right_type = _has_right_type(element.VR, value)
        if not (has_right_type and rule.allows(value, permit.profile, given)):
            place = _place(path[:-1])
            raise PolicyError(
                f"attribute {element.tag} has a value that may not be written at {place}"
            )


def _has_right_type(vr: str, value: object) -> bool:
    """Return whether a value is what its representation says: text cannot pass for a number."""
    if vr == "OB":
        return isinstance(value, bytes)
    if vr in ("US", "UL", "SL", "FL", "AT"):
        return isinstance(value, int | float)
    if vr in ("DS", "IS"):
        return isinstance(value, DSfloat | IS) and len(str(value)) <= MAX_DS_LEN
    return isinstance(value, str | PersonName)


def _values(element: DataElement) -> Iterable[object]:
    if element.is_empty:
        return ()
    return element.value if isinstance(element.value, MultiValue | list) else (element.value,)


def _place(parents: tuple[str, ...]) -> str:
    return ".".join(parents) or "the top level"
