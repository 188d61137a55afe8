"""What the file system says beside the bytes of files: names, links, times, attributes."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

_NAME = re.compile(r"2\.25\.[0-9]{25,39}(\.dcm)?|[A-Z]-[0-9A-Z]{13}\.certificate\.json")
"""Names that are made of nothing but random UIDs and pseudonyms; any other may identify."""
_MARK, _OF_A_MARK = ".coverslip-ledger", re.compile(rb"[0-9a-f]{32}")
"""A file that names the ledger of an output by a random number, and what it holds."""
_OF_THE_SYSTEM = ("security.", "system.")
"""Extended attributes that a system sets by itself: access lists and labels."""

_A_DAY = timedelta(days=1)
_TICK_NS = 1_000_000_000
"""A file that is written in the same tick of the clock as the source has its time by chance."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder below the one that is checked."""

    path: Path
    shown: str
    """Its path if that cannot identify, else a number."""
    relative: str
    is_folder: bool


def entry_of(path: Path) -> Entry:
    """Return one file, by itself."""
    shown = path.name if _NAME.fullmatch(path.name) else "file 1"
    return Entry(path, shown, path.name, is_folder=False)


def entries_of(root: Path) -> Iterator[Entry]:
    """Yield all that is in a folder, sorted, without following links; or the one file.

    The mark of a ledger is left out, if it is nothing but that.
    """
    if not root.is_dir():
        yield entry_of(root)
        return
    paths = sorted(
        Path(folder) / name
        for folder, folders, names in os.walk(root)
        for name in (*folders, *names)
        if not is_mark(root, Path(folder) / name)
    )
    for number, path in enumerate(paths, start=1):
        parts = path.relative_to(root).parts
        is_folder = path.is_dir() and not path.is_symlink()
        kind = "folder" if is_folder else "file"
        is_plain = all(_NAME.fullmatch(part) for part in parts)
        shown = "/".join(parts[-1:]) if is_plain else f"{kind} {number}"
        yield Entry(path, shown, "/".join(parts), is_folder)


def is_mark(root: Path, path: Path) -> bool:
    """Tell whether a file is the mark of an output's ledger, and nothing but that."""
    if path != root / _MARK or path.is_symlink() or not path.is_file():
        return False
    if any(not name.startswith(_OF_THE_SYSTEM) for name in attributes_of(path)):
        return False
    with path.open("rb") as file:
        return _OF_A_MARK.fullmatch(file.read(100)) is not None


def problems_of(
    entry: Entry, days: frozenset[date], times: frozenset[int]
) -> Iterator[tuple[str, str]]:
    """Yield place and what is wrong with a file or folder, its contents aside.

    Parameters
    ----------
    entry
        What to look at.
    days
        Dates of the source, which no time of a file may tell. The time of writing may be one
        of them, when a slide is converted on the day of its scan.
    times
        When the files of the source were changed, in nanoseconds.
    """
    status = entry.path.lstat()
    if stat.S_ISLNK(status.st_mode):
        yield "file system", "a link"
        return
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        yield "file system", "neither a file nor a folder"
        return
    was_set = status.st_ctime_ns - status.st_mtime_ns > _TICK_NS
    if status.st_mtime_ns in times and was_set:
        yield "time of modification", "it is the source's"
    modified, changed = (_day(time) for time in (status.st_mtime, status.st_ctime))
    was_set = changed - modified > _A_DAY
    if was_set and any(abs(modified - day) <= _A_DAY for day in days):
        yield "time of modification", "it is within a day of a date of the source"
    for name in attributes_of(entry.path):
        if not name.startswith(_OF_THE_SYSTEM):
            yield "extended attributes", "one that the system did not set"


def _day(time: float) -> date:
    return datetime.fromtimestamp(time, UTC).date()


def attributes_of(path: Path) -> dict[str, bytes]:
    """Return the extended attributes of a file; none where the file system has none."""
    if not hasattr(os, "listxattr"):
        return {}
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    except OSError:
        return {}
