"""What bytes say that are text as a whole, or have text in them."""

import re

from coverslip.model import SourceText

_MOST = 4096
_MOST_ODD = 0.1
"""Share of characters that are none, in what is a text as a whole."""
_RUNS = re.compile(rb"[\x20-\x7e]{6,}|(?:[\x20-\x7e]\x00){6,}")


def text_of(data: bytes) -> SourceText | None:
    """Return what bytes say; ``None`` if they are numbers.

    What is random says something now and then, and pixels are random; so text counts only where
    most of the bytes are.
    """
    data = data[:_MOST]
    try:
        text = data.decode("utf-8").strip("\0")
    except UnicodeDecodeError:
        text = ""
    if text and sum(not c.isprintable() and c not in "\t\r\n" for c in text) <= _MOST_ODD * len(
        text
    ):
        return SourceText(text)
    runs = _RUNS.findall(data)
    if not runs or sum(map(len, runs)) * 2 < len(data.strip(b"\0")):
        return None
    return SourceText(" ".join(run.replace(b"\0", b"").decode("ascii") for run in runs))
