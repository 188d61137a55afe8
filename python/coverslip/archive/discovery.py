"""Finds the slides below folders, by their first bytes and never by their names."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from coverslip.errors import PolicyError

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OTHER_SLIDES = (
    b"ZISRAWFILE",
    b"[Virtual Microscope",
    b"[Uncompressed Virtual",
    b"SQLite format 3",
)
"""Of slides that are not TIFF: they are listed, so that somebody learns that they were refused."""
_FIRST_BYTES = 132
_DICOM = b"DICM"
"""Behind the preamble of 128 bytes (PS3.10 7.1)."""
_PRIVATE = ".coverslip-"
_LIST_SUFFIX = ".txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that is to be converted, and what tells one state of it from another."""

    path: Path = field(repr=False)
    byte_count: int
    mtime_ns: int


def discover(
    inputs: Iterable[Path],
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    without: Iterable[Path] = (),
    skipped: Counter[str] | None = None,
) -> list[Candidate]:
    """Return the slides of some inputs, each once, in natural order.

    Parameters
    ----------
    inputs
        Slides; folders, which are searched with all folders below; lists, which are files
        ``*.txt`` with one path a line; patterns such as ``2024/*.svs``.
    include, exclude
        Patterns of file names, or of paths below a folder: of what a folder holds only what fits
        one of the first, and none of the second.
    without
        Folders that are not searched: the output, the vault.
    skipped
        Takes how many files in folders are pictures of a kind that is no source, by kind.

    Raises
    ------
    PolicyError
        If an input does not exist; which one is told by its number.
    OSError
        If a folder cannot be read.
    """
    chosen = _Choice(
        tuple(include),
        tuple(exclude),
        frozenset(p.resolve() for p in without),
        Counter() if skipped is None else skipped,
    )
    found: dict[Path, Candidate] = {}
    for number, given in enumerate(inputs, start=1):
        for path in _expand(given, number, chosen):
            stat = path.stat()
            found.setdefault(
                path.resolve(),
                Candidate(path=path, byte_count=stat.st_size, mtime_ns=stat.st_mtime_ns),
            )
    return sorted(found.values(), key=lambda candidate: natural_key(str(candidate.path)))


def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """Return what sorts numbers in a text by their value: ``a2`` before ``a10``."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


@dataclass(frozen=True, slots=True)
class _Choice:
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    without: frozenset[Path]
    skipped: Counter[str]

    def takes(self, relative: Path) -> bool:
        def fits(patterns: tuple[str, ...]) -> bool:
            return any(fnmatch(relative.name, p) or fnmatch(str(relative), p) for p in patterns)

        return (not self.include or fits(self.include)) and not fits(self.exclude)


def _expand(given: Path, number: int, chosen: _Choice) -> Iterator[Path]:
    if given.is_dir():
        yield from _slides_below(given, chosen)
    elif given.is_file() and given.suffix.lower() == _LIST_SUFFIX:
        yield from _listed(given, number)
    elif given.is_file():
        yield given
    else:
        matches = sorted(Path(given.anchor or ".").glob(str(given).removeprefix(given.anchor)))
        files = [path for path in matches if path.is_file()]
        if not files:
            raise PolicyError(f"there is nothing at input {number}")
        yield from files


def _listed(path: Path, number: int) -> Iterator[Path]:
    for line_number, line in enumerate(os.fsdecode(path.read_bytes()).splitlines(), start=1):
        if not line.strip():
            continue
        listed = path.parent / line.strip()
        if not listed.is_file():
            raise PolicyError(f"line {line_number} of the list, input {number}, is no file")
        yield listed


def _slides_below(folder: Path, chosen: _Choice) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise OSError(error.errno, error.strerror)

    for root, folders, files in os.walk(folder, onerror=fail):
        here = Path(root)
        # Data of a slide in several files lie in a folder with the slide's name.
        slides = {Path(name).stem for name in files if name.lower().endswith((".mrxs", ".vsi"))}
        folders[:] = [
            name
            for name in folders
            if not name.startswith(_PRIVATE)
            and name.strip("_") not in slides
            and (here / name).resolve() not in chosen.without
        ]
        for name in files:
            path = here / name
            if not chosen.takes(path.relative_to(folder)):
                continue
            if is_slide(path):
                yield path
            elif _start_of(path).endswith(_DICOM):
                chosen.skipped["DICOM"] += 1


def is_slide(path: Path) -> bool:
    """Tell whether a file is a TIFF, or a slide of another kind, by its first bytes."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".mrxs":
        return True
    try:
        start = _start_of(path)
    except OSError:
        return True  # that it cannot be read is told when it is converted
    return start.startswith((*_TIFF, *_OTHER_SLIDES)) and not start.endswith(_DICOM)


def _start_of(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_FIRST_BYTES)
