"""Opens a TIFF and reads its directories; every offset and count is checked against the file.

A library is not used here: tifffile parses the first directory into Python objects whatever it
holds, knows NDPI by the file's name only, and quotes values in its log. The core checks every
tile once more.

A slide may be a set of files. They lie one behind the other in one space of offsets, in which the
core reads them too, so nobody but this room has to know which file a tile or a value is in.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from coverslip.errors import LimitError, SourceError
from coverslip.model import SourceText
from coverslip.tiff.directory import Directory
from coverslip.tiff.file import Place, Stamp, TextFile, TiffFile, Totals
from coverslip.tiff.folder import Folder, is_plain, open_file
from coverslip.tiff.foreign import check_first_bytes, is_tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION

__all__ = [
    "Directory",
    "Folder",
    "TextFile",
    "Tiff",
    "description_of",
    "first_directory",
    "is_plain",
    "open_tiff",
]


class Tiff:
    """An open TIFF: its directories in the order of the chain; or several, file after file.

    What was opened may also be an index of some, which has no directories until they are joined.
    """

    def __init__(self, path: Path, file: BinaryIO, folder: Folder) -> None:
        self.folder = folder
        """Where the other files of a set may lie."""
        self._path, self._file = path, file
        self._read([(path, file)])

    def has_beside(self, suffix: str, *, instead: bool = False) -> bool:
        """Tell whether a file lies beside the slide whose name is the slide's and a suffix.

        Or, if ``instead``, the slide's with this suffix in the place of its own.
        """
        name = self._path.stem if instead else self._path.name
        return self.folder.has(name + suffix)

    def join(self, names: Sequence[str | None]) -> None:
        """Read a set of files in the place of the one that was opened, which is `None` in it.

        One that is no TIFF is a text, which becomes a file without directories.

        Raises
        ------
        UnsupportedSlideError
            If some of them are not in its folder.
        SourceError
            If one is no regular file, the same as another, or no TIFF.
        LimitError
            If there are too many.
        """
        found = iter(self.folder.open_all([name for name in names if name is not None]))
        files = [(self._path, self._file) if name is None else next(found) for name in names]
        self._read(files)

    def _read(self, files: Sequence[tuple[Path, BinaryIO]]) -> None:
        with _told():
            self._read_all(files)

    def _read_all(self, files: Sequence[tuple[Path, BinaryIO]]) -> None:
        self.files: tuple[TiffFile | TextFile, ...] = ()
        self.directories: tuple[Directory, ...] = ()
        totals = Totals()
        for number, (path, file) in enumerate(files):
            is_alone, place = len(files) == 1, Place(number=number, start=self.byte_count)
            if is_tiff(file):
                one = TiffFile(path, file, place, is_alone=is_alone)
                self.files += (one,)
                self.directories += tuple(one.directories(totals))
            else:
                self.files += (TextFile(path, file, place),)
        if len({stamp[:2] for stamp in self.stamps}) < len(files):
            raise SourceError("two files of the set are the same file")

    @property
    def byte_count(self) -> int:
        """Bytes of all files together."""
        return sum(file.byte_count for file in self.files)

    @property
    def stamps(self) -> list[Stamp]:
        """What tells one state of each file from another."""
        return [file.stamp for file in self.files]


@contextmanager
def open_tiff(path: Path) -> Iterator[Tiff]:
    """Yield a TIFF, opened once and for reading only.

    Raises
    ------
    UnsupportedSlideError
        If it is a slide format that is not TIFF; the message names it.
    SourceError
        If it is not a TIFF, or a damaged one.
    OSError
        If it cannot be read; without the file's name, which may identify a patient.
    """
    with ExitStack() as stack:
        file = stack.enter_context(open_file(path))
        check_first_bytes(file, path.suffix)
        yield Tiff(path, file, Folder(path.absolute().parent, stack))


@contextmanager
def first_directory(path: Path) -> Iterator[tuple[Directory | TextFile, Folder]]:
    """Yield the first directory of a TIFF, without reading any other, and the folder it is in.

    Of an index, the index.

    Raises
    ------
    SourceError, LimitError, UnsupportedSlideError, OSError
        As `open_tiff`.
    """
    with ExitStack() as stack:
        file = stack.enter_context(open_file(path))
        check_first_bytes(file, path.suffix)
        folder = Folder(path.absolute().parent, stack)
        if not is_tiff(file):
            yield TextFile(path, file), folder
            return
        with _told():
            directory = next(TiffFile(path, file).directories(Totals()))
        yield directory, folder


def description_of(path: Path, file: BinaryIO) -> SourceText:
    """Return the description in the first directory of an open TIFF; of another file, its text.

    Raises
    ------
    SourceError, LimitError
        As `open_tiff`.
    """
    with _told():
        if not is_tiff(file):
            return TextFile(path, file).text()
        directory = next(TiffFile(path, file).directories(Totals()))
        return directory.text(IMAGE_DESCRIPTION) or SourceText("")


@contextmanager
def _told() -> Iterator[None]:
    """Tell what goes wrong with files without their names, and what does not fit into memory."""
    try:
        yield
        return
    except OSError as error:
        failed: Exception = OSError(error.errno, error.strerror)
    except MemoryError:
        failed = LimitError("the TIFF structure cannot be read in the memory at hand")
    raise failed
