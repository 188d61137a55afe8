"""``coverslip --limit NAME=NUMBER`` and ``coverslip --limits``."""

import re
import textwrap

from coverslip import _core, limits
from coverslip.errors import UsageError

_GIVEN = re.compile(r"([a-z_]{1,40})=([0-9]{1,18})")


def apply(given: list[str]) -> None:
    """Set limits for this process.

    Raises
    ------
    UsageError
        For a limit that there is not, or a value that is no number.
    """
    for text in given:
        match = _GIVEN.fullmatch(text)
        if match is None:
            raise UsageError(
                "--limit: a limit is given as NAME=NUMBER", hint="level_pixels=1000000000"
            )
        name, value = match[1], int(match[2])
        if not (limits.set_limit(name, value) or _core.set_limit(name, value)):
            raise UsageError("--limit: there is no limit of this name", hint="coverslip --limits")
        limits.CHANGED[name] = value


def text() -> str:
    """Return name, value and reason of each limit."""
    lines = []
    for name, value, reason in sorted([*limits.all_limits(), *_core.limits()]):
        lines.append(f"{name} = {value}")
        lines += textwrap.wrap(reason, 96, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"
