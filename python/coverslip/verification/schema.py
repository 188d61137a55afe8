"""Checks JSON against the part of JSON Schema that the certificate's schema uses."""

import functools
import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
    "boolean": (bool,),
}
_WORDLESS = {"$schema", "title", "description"}


@functools.cache
def certificate_schema() -> dict[str, Any]:
    """Return the published schema of certificates, the same object each time."""
    text = resources.files("coverslip").joinpath("certificate.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@functools.cache
def words_of_certificates() -> frozenset[str]:
    """Return what every certificate may say: names of properties and listed values."""
    return frozenset(words_of_schema(certificate_schema()))


def words_of_schema(schema: Any) -> Iterator[str]:  # noqa: ANN401 (JSON)
    """Yield the names of properties and the listed values: what every certificate says."""
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name == "properties":
                yield from inner
            if name in ("enum", "const"):
                values = inner if isinstance(inner, list) else [inner]
                yield from (value for value in values if isinstance(value, str))
            else:
                yield from words_of_schema(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from words_of_schema(inner)


def is_in_doubt(certificate: dict[str, Any]) -> bool:
    """Tell whether nobody knows that the levels of a certified slide do not show who is meant.

    Something was found in their pixels, or nobody looked, but under `care`.
    """
    checks = certificate["checks"]
    is_found = "found" in (checks["bar_codes"], checks["pixel_text"])
    is_care = certificate["policy"]["profile"] == "care"
    return not is_care and (is_found or checks["bar_codes"] == "not_run")


def problems_of(value: Any, schema: dict[str, Any], place: str = "") -> Iterator[str]:  # noqa: ANN401
    """Yield where a value breaks a schema, by the names of the schema alone.

    Raises
    ------
    NotImplementedError
        For a keyword that is not known here: what it asks for would go unchecked.
    """
    for keyword, wanted in schema.items():
        if keyword in _WORDLESS:
            continue
        check = _CHECKS.get(keyword)
        if check is None:
            raise NotImplementedError(f"keyword {keyword} of JSON Schema")
        yield from check(value, wanted, schema, place)


def _type(value: Any, wanted: Any, _: Any, place: str) -> Iterator[str]:  # noqa: ANN401
    names = wanted if isinstance(wanted, list) else [wanted]
    fits = any(
        isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
        for name in names
    )
    if not fits:
        yield f"{place or 'the whole'} is not of type {' or '.join(names)}"


def _of(kind: type | tuple[type, ...], broken: Any) -> Any:  # noqa: ANN401
    """Return a check that only concerns values of one type."""

    def check(value: Any, wanted: Any, _: Any, place: str) -> Iterator[str]:  # noqa: ANN401
        if isinstance(value, kind) and not isinstance(value, bool) and broken(value, wanted):
            yield f"{place} is not as the schema says"

    return check


def _value(value: Any, wanted: Any, _: Any, place: str) -> Iterator[str]:  # noqa: ANN401
    listed = wanted if isinstance(wanted, list) else [wanted]
    # In JSON true is not 1, as it is in Python.
    if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in listed):
        yield f"{place} is not one of the listed values"


def _properties(value: Any, wanted: Any, _: Any, place: str) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, dict):
        for name in wanted.keys() & value.keys():
            yield from problems_of(value[name], wanted[name], f"{place}.{name}".lstrip("."))


def _additional(value: Any, wanted: Any, schema: Any, place: str) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, dict) and wanted is False and value.keys() - schema["properties"].keys():
        yield f"{place or 'the whole'} has a property that the schema does not know"


def _items(value: Any, wanted: Any, _: Any, place: str) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from problems_of(item, wanted, f"{place}[{number}]")


_CHECKS: dict[str, Any] = {
    "type": _type,
    "const": _value,
    "enum": _value,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "required": _of(dict, lambda value, names: bool(set(names) - set(value))),
    "pattern": _of(str, lambda value, pattern: re.search(pattern, value) is None),
    "minLength": _of(str, lambda value, least: len(value) < least),
    "minItems": _of(list, lambda value, least: len(value) < least),
    "maxItems": _of(list, lambda value, most: len(value) > most),
    "uniqueItems": _of(list, lambda value, _: len({json.dumps(v) for v in value}) < len(value)),
    "minimum": _of((int, float), lambda value, least: value < least),
    "maximum": _of((int, float), lambda value, most: value > most),
    "exclusiveMinimum": _of((int, float), lambda value, least: value <= least),
}
