"""The codes of SNOMED CT that an operator may give: closed lists, so no text can pass for one."""

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources


@functools.cache
def codes(name: str) -> Mapping[str, str]:
    """Return the meaning of each code in a list, ``stains`` for example."""
    text = resources.files("coverslip").joinpath("codes.toml").read_text("utf-8")
    lists: dict[str, dict[str, str]] = tomllib.loads(text)
    return lists[name]
