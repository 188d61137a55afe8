"""Opens the files of a slide: regular ones, and of a set only those of one folder."""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from coverslip.errors import LimitError, SourceError, UnsupportedSlideError
from coverslip.limits import LIMITS

_MAX_NAME = 255
"""Bytes that a name may have on the file systems there are."""
_SEPARATORS = "/\\\0"
"""The first two of one system or the other, whichever wrote the set."""


def open_file(path: Path) -> BinaryIO:
    """Return a file that is opened for reading.

    Raises
    ------
    SourceError
        If it is no regular file.
    OSError
        If it cannot be read; without its name, which may identify a patient.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISREG(mode):
            return path.open("rb")
        failed: Exception = SourceError("the slide is not a regular file")
    except OSError as error:
        failed = OSError(error.errno, error.strerror)
    raise failed


def is_plain(name: str) -> bool:
    """Tell whether a name is one of a file in the same folder, on whatever system."""
    try:
        is_short = len(os.fsencode(name)) <= _MAX_NAME
    except UnicodeEncodeError:  # half a character
        return False
    is_bare = not any(separator in name for separator in _SEPARATORS)
    return is_short and is_bare and name not in ("", ".", "..")


class Folder:
    """The folder of a slide, from which the other files of a set are taken.

    Parameters
    ----------
    path
        The folder.
    stack
        Closes what is opened.
    """

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path, self._stack = path, stack

    def open_all(self, names: Sequence[str]) -> list[tuple[Path, BinaryIO]]:
        """Return files of the folder, opened for reading.

        Raises
        ------
        UnsupportedSlideError
            If some of them are not there.
        SourceError
            If one is named with a folder, or is a link or another thing that is no regular file.
        LimitError
            If there are too many.
        """
        if len(names) >= LIMITS.set_files:
            raise LimitError(
                f"the set has {len(names) + 1} files, more than the limit "
                f"set_files = {LIMITS.set_files}"
            )
        if not all(map(is_plain, names)):
            raise SourceError("a file of the set is not named as one of the same folder")
        found = [(self._path / name, self._opened(name)) for name in names]
        missing = sum(file is None for _, file in found)
        if missing:
            raise UnsupportedSlideError(
                f"{missing} of the {len(names) + 1} files of the set are not in its folder",
                hint="copy the whole set into one folder, its files named as they were",
            )
        return [(path, file) for path, file in found if file is not None]

    def has(self, name: str) -> bool:
        """Tell whether there is a file of this name in the folder, without opening it."""
        try:
            return is_plain(name) and stat.S_ISREG((self._path / name).lstat().st_mode)
        except OSError:
            return False

    def _opened(self, name: str) -> BinaryIO | None:
        """Return a file, `None` if it is not there; no link is followed, and no pipe waited for."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path / name, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
                raise SourceError("a file of the set is not a regular file") from None
            failed = OSError(error.errno, error.strerror)
        else:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return self._stack.enter_context(os.fdopen(descriptor, "rb"))
            os.close(descriptor)
            raise SourceError("a file of the set is not a regular file")
        raise failed
