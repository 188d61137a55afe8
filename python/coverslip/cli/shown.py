"""Shows paths on the operator's terminal, whatever bytes they are made of."""

import os
import sys
from pathlib import Path

from coverslip.archive.records import SlideRecord

_FIRST_LONE, _LAST_LONE = 0xDC80, 0xDCFF
"""Where Python puts bytes of names that are no UTF-8 (PEP 383)."""


def shown(path: Path) -> str:
    """Return a path that does nothing to a terminal: one line, what cannot be printed escaped.

    A name may hold escape sequences, line ends, marks that turn the direction of text, or bytes
    that are no text at all. A backslash is doubled, so that no two names look the same.
    """
    text = "".join(map(_shown, os.fspath(path)))
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def name_of(record: SlideRecord, *, show_path: bool) -> str:
    """Return what a slide is called in a line: its number, with its path if that is known."""
    name = f"slide {record.number}"
    return f"{name} ({shown(record.path)})" if show_path and not record.is_unlinked else name


def _shown(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    code = ord(character)
    if _FIRST_LONE <= code <= _LAST_LONE:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
