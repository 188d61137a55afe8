"""Finds the slides below folders by their first bytes, and counts whatever it passes over."""

import codecs
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from coverslip.archive.candidates import Candidates
from coverslip.archive.order import NaturalOrder
from coverslip.errors import UsageError, given
from coverslip.sets import files_of

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_INDEX = b"[NanoZoomer Digital Pathology Image Set]"
_OTHER_SLIDES = (b"ZISRAWFILE", b"[Virtual Microscope", b"[Uncompressed Virtual", b"<DataObject")
"""Of slides that are not TIFF: they are listed, so that somebody learns that they were refused."""
_INDEX_SUFFIX, _INDEXED_SUFFIX = ".ndpis", ".ndpi"
"""Of files that name others of their folder, and of these, which do not know of that."""
_SUFFIXES = frozenset(
    (
        *(".svs", ".tif", ".tiff", ".btf", ".tf8", ".ndpi", ".scn", ".bif", ".qptiff", ".avs"),
        *(".mrxs", ".czi", ".vms", ".vmu", ".vsi", ".isyntax", ".i2syntax", ".svslide", ".zvi"),
        _INDEX_SUFFIX,
    )
)
"""Whoever calls a file so takes it for a slide, and learns why it is none."""
_WITH_FOLDERS = (".mrxs", ".vsi")
"""Of slides whose data lie in a folder with the slide's name."""
_APPLE_DOUBLE = "._"
"""How macOS calls what it keeps of a file beside it, on disks of others."""
_DICOM = (128, b"DICM")
_FIRST_BYTES = 132
_PRIVATE = ".coverslip-"
_OF_A_VAULT = frozenset({"ledger.sqlite", "vault.sqlite"})
_LIST_SUFFIX = ".txt"
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

OnPassed = Callable[[str, Path], None]
"""Called with the kind and the path of what is passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What some inputs hold."""

    slides: Candidates
    passed_over: Mapping[str, int]
    """How many things of which kind are none."""
    unreadable: Mapping[tuple[int, str], int]
    """How many folders could not be read, by the number of the input and the reason."""

    def troubles(self) -> list[str]:
        """Return what the operator has to look after, one sentence each."""
        return [
            f"{count} folders below input {number} cannot be read: {reason}"
            for (number, reason), count in self.unreadable.items()
        ]


@contextmanager
def discover(
    inputs: Iterable[Path],
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    without: Iterable[Path] = (),
    on_passed: OnPassed | None = None,
) -> Iterator[Found]:
    """Yield the slides of some inputs, each once, each folder's in natural order.

    A set of files is one slide, known by its first file, whichever of them is an input.

    What has a slide's suffix is one even if it holds something else: it fails with the reason.
    So does what a list names and is not there.

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
    on_passed
        Called for what is passed over.

    Raises
    ------
    UsageError
        If an input does not exist or cannot be read; which one is told by its number.
    """
    with closing(Candidates()) as slides:
        with closing(NaturalOrder()) as order:
            search = _Search(
                include=tuple(include),
                exclude=tuple(exclude),
                without=frozenset(os.path.realpath(path) for path in without),
                on_passed=on_passed,
                order=order,
            )
            for number, path in enumerate(inputs, start=1):
                with given(f"input {number}"):
                    for files in search.expand(path, number):
                        slides.add(files)
        yield Found(slides=slides, passed_over=search.passed_over, unreadable=search.unreadable)


@dataclass(kw_only=True)
class _Search:
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    without: frozenset[str]
    on_passed: OnPassed | None
    order: NaturalOrder
    passed_over: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[tuple[int, str]] = field(default_factory=Counter)

    def expand(self, given: Path, number: int) -> Iterator[tuple[Path, ...]]:
        """Yield the files of each slide."""
        if given.is_dir():
            yield from self._below(given, number)
        elif given.is_file() and is_list(given):
            yield from map(files_of, _listed(given, number))
        elif given.exists():
            yield files_of(given)
        else:
            yield from self._matching(given, number)

    def _matching(self, pattern: Path, number: int) -> Iterator[tuple[Path, ...]]:
        """Yield the files that fit a pattern, of which there has to be one."""
        root, below = Path(pattern.anchor or "."), str(pattern).removeprefix(pattern.anchor)
        try:
            found = root.glob(below)
            names = self.order.of((str(path), False) for path in found if path.is_file())
        except ValueError:  # two stars beside something else
            raise UsageError(f"input {number} is neither a path nor a pattern") from None
        is_empty = True
        for name, _ in names:
            is_empty = False
            yield files_of(Path(name))
        if is_empty:
            raise UsageError(f"there is nothing at input {number}")

    def _below(self, root: Path, number: int) -> Iterator[tuple[Path, ...]]:
        def opened(folder: Path) -> _OpenFolder:
            entries = self._entries(folder, number)
            return _OpenFolder(folder, entries, lambda path: self._takes(path.relative_to(root)))

        open_folders = [opened(root)]
        while open_folders:
            entry = next(open_folders[-1].entries, None)
            if entry is None:
                open_folders.pop()
                continue
            path, is_folder = entry
            if is_folder:
                open_folders.append(opened(path))
            elif not self._takes(path.relative_to(root)):
                self._pass("files left out by --include or --exclude", path)
            else:
                kind = kind_of(path)
                if kind is not None:
                    self._pass(kind, path)
                    continue
                files = files_of(path)
                if files[0] == path and path not in open_folders[-1].listed:
                    yield files
                else:
                    self._pass("further files of sets", path)

    def _entries(self, folder: Path, number: int) -> Iterator[tuple[Path, bool]]:
        """Yield what a folder holds, but for folders that are not searched, in natural order."""
        scanned = _Scanned()
        try:
            entries = self.order.of(scanned.look_at(folder))
        except OSError as error:
            self.unreadable[number, error.strerror or type(error).__name__] += 1
            if self.on_passed is not None:
                self.on_passed("folders that cannot be read", folder)
            return
        if scanned.is_vault:
            self._pass("vaults", folder)
            return
        for name, is_folder in entries:
            if not is_folder or not (
                name.startswith(_PRIVATE)
                or name.strip("_") in scanned.with_folders
                or os.path.realpath(folder / name) in self.without
            ):
                yield folder / name, is_folder

    def _takes(self, relative: Path) -> bool:
        def fits(patterns: tuple[str, ...]) -> bool:
            return any(fnmatch(relative.name, p) or fnmatch(str(relative), p) for p in patterns)

        return (not self.include or fits(self.include)) and not fits(self.exclude)

    def _pass(self, kind: str, path: Path) -> None:
        self.passed_over[kind] += 1
        if self.on_passed is not None:
            self.on_passed(kind, path)


class _OpenFolder:
    """A folder that is walked.

    Parameters
    ----------
    folder
        The folder.
    entries
        What is left of it.
    takes
        Tells whether a file of it is to be converted at all.
    """

    def __init__(
        self,
        folder: Path,
        entries: Iterator[tuple[Path, bool]],
        takes: Callable[[Path], bool],
    ) -> None:
        self.folder, self.entries, self._takes = folder, entries, takes

    @cached_property
    def listed(self) -> frozenset[Path]:
        """Files that an index names beside itself; one that is left out says nothing.

        Only of NDPI files: whatever else an index may name, it does not hide.
        """
        names: list[str] = []
        with suppress(OSError), os.scandir(self.folder) as found:
            names += (e.name for e in found if e.name.lower().endswith(_INDEX_SUFFIX))
        indexes = (self.folder / name for name in names)
        named = (file for index in indexes if self._takes(index) for file in files_of(index)[1:])
        return frozenset(file for file in named if file.suffix.lower() == _INDEXED_SUFFIX)


class _Scanned:
    """What was seen in a folder."""

    def __init__(self) -> None:
        self.is_vault = False
        self.with_folders = set[str]()
        """Names of slides whose data lie in a folder of theirs."""

    def look_at(self, folder: Path) -> Iterator[tuple[str, bool]]:
        """Yield its entries, each with whether it is a folder."""
        with os.scandir(folder) as found:
            for entry in found:
                is_folder = entry.is_dir(follow_symlinks=False)
                if not is_folder:
                    self.is_vault = self.is_vault or entry.name in _OF_A_VAULT
                    if entry.name.lower().endswith(_WITH_FOLDERS):
                        self.with_folders.add(Path(entry.name).stem)
                yield entry.name, is_folder


def is_list(path: Path) -> bool:
    """Tell whether a file lists slides."""
    return path.suffix.lower() == _LIST_SUFFIX


def _listed(path: Path, number: int) -> Iterator[Path]:
    """Yield what a list names, whether it is there or not: what is not fails like a slide."""
    with path.open("rb") as file:
        start = file.read(max(len(mark) for mark, _ in _ENCODINGS))
    mark, encoding = next(
        ((mark, name) for mark, name in _ENCODINGS if start.startswith(mark)),
        (b"", sys.getfilesystemencoding()),
    )
    with path.open("rb") as file:
        file.seek(len(mark))
        with io.TextIOWrapper(file, encoding, "surrogateescape", newline="\n") as lines:
            try:
                for line in lines:
                    if line.strip():
                        yield path.parent / line.strip()
            except UnicodeDecodeError:
                raise UsageError(f"input {number} is a list that is no text in UTF-16") from None


def kind_of(path: Path) -> str | None:
    """Return what a file is if it is not to be converted, ``None`` for a slide."""
    is_named_so = path.suffix.lower() in _SUFFIXES and not path.name.startswith(_APPLE_DOUBLE)
    if path.is_symlink() and path.is_dir():
        return "linked folders"
    if not path.is_file():
        if is_named_so:
            return None  # that it cannot be read is told when it is converted
        return "other files" if path.exists() else "broken links"
    try:
        with path.open("rb") as file:
            start = file.read(_FIRST_BYTES)
    except OSError:
        return None
    offset, magic = _DICOM
    is_dicom, is_known = start[offset:].startswith(magic), start.startswith(_TIFF)
    if is_dicom and (is_known or not is_named_so):
        return "DICOM files"  # some are TIFF as well
    if is_named_so or is_known or start.startswith((_INDEX, *_OTHER_SLIDES)):
        return None
    return "other files"
