"""Puts a slide into the page cache, or out of it."""

import os
from pathlib import Path

DROP = Path("/proc/sys/vm/drop_caches")
_CHUNK = 1 << 20


def warm(slide: Path) -> None:
    """Read the slide once, so that all of it is in memory."""
    with slide.open("rb", buffering=0) as file:
        while file.read(_CHUNK):
            pass


def how_cold() -> str:
    """Return how the cache is emptied here: what a cold run means in a record."""
    if os.access(DROP, os.W_OK):
        return "all caches of the system dropped, programs and libraries too"
    if hasattr(os, "posix_fadvise"):
        return "the slide's pages given back with posix_fadvise, programs stay in memory"
    return ""


def cool(slide: Path) -> None:
    """Take the slide out of the cache by the way that `how_cold` names."""
    os.sync()
    if os.access(DROP, os.W_OK):
        DROP.write_text("3\n")
        return
    with slide.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
