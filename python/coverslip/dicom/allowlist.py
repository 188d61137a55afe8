"""Refuses to write what is not listed in ``attributes.toml``.

The table repeats on purpose what other modules decide, dummy dates among it: a mistake has to be
made twice to leave the house.
"""

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import IS, DSfloat, PersonName

from coverslip.errors import PolicyError
from coverslip.model import SourceText

MAX_DS_LEN = 16  # PS3.5 6.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the table says of one attribute at one place."""

    tag: BaseTag
    type: Literal["1", "1C", "2", "3"]
    source: str
    public: Literal["C", "D", "K", "U", "Z"]
    values: frozenset[str] | None
    pattern: re.Pattern[str] | None

    def allows(self, value: object) -> bool:
        """Return whether one value of the attribute may be written."""
        if isinstance(value, bytes):
            return self.values is None and self.pattern is None
        text = str(value)
        if self.public == "Z" or not text.isascii():
            return False
        if self.values is not None and text not in self.values:
            return False
        return self.pattern is None or self.pattern.fullmatch(text) is not None


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
    public: Literal["C", "D", "K", "U", "Z"],
    values: list[str] | None = None,
    pattern: str | None = None,
) -> Rule:
    group, element = tag.split(",")
    return Rule(
        tag=Tag(int(group, 16), int(element, 16)),
        type=type,
        source=source,
        public=public,
        values=None if values is None else frozenset(values),
        pattern=None if pattern is None else re.compile(pattern),
    )


def enforce(dataset: Dataset) -> None:
    """Check that a data set holds nothing but what the table allows, where it allows it.

    Raises
    ------
    PolicyError
        For an attribute that is private, unknown or at a place where it is not listed; for a
        value that the table does not allow; for sealed text of a source.
    """
    _enforce(dataset, parents=())


def _enforce(dataset: Dataset, parents: tuple[str, ...]) -> None:
    for tag in dataset.keys():  # noqa: SIM118 (iterating a data set gives elements)
        if keyword_for_tag(tag) == "":
            raise PolicyError(f"attribute {tag} is private or unknown")
        path = (*parents, keyword_for_tag(tag))
        rule = rules().get(".".join(path))
        if rule is None:
            raise PolicyError(f"attribute {tag} may not be written at {_place(parents)}")
        element = dataset[tag]
        if dictionary_VR(tag) != element.VR:
            raise PolicyError(f"attribute {tag} has a value representation that is not its own")
        if element.VR == "SQ":
            _enforce_items(element, rule, path)
        else:
            _enforce_values(element, rule, parents)


def _enforce_items(element: DataElement, rule: Rule, path: tuple[str, ...]) -> None:
    if rule.public == "Z" and element.value:
        raise PolicyError(f"attribute {element.tag} must be empty at {_place(path[:-1])}")
    for item in element.value:
        _enforce(item, path)


def _enforce_values(element: DataElement, rule: Rule, parents: tuple[str, ...]) -> None:
    for value in _values(element):
        if isinstance(value, SourceText):
            raise PolicyError(f"attribute {element.tag} holds sealed text of the source")
        if not (_has_right_type(element.VR, value) and rule.allows(value)):
            raise PolicyError(
                f"attribute {element.tag} has a value that may not be written at {_place(parents)}"
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
