"""Makes the files of a slide appear all together, or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coverslip.errors import CoverslipError


class OutputExistsError(CoverslipError, FileExistsError):
    """What was to be written is already there."""


class Staging:
    """A private folder beside the output, whose one study is renamed into place when whole.

    One rename of one folder is atomic in POSIX file systems, so whatever dies, and whenever,
    leaves either a whole slide or none under a final name.
    """

    def __init__(self, out: Path, study_instance_uid: str) -> None:
        self._out = out
        self._private = out / f".coverslip-{secrets.token_hex(8)}"
        self._final = out / study_instance_uid
        self.study = self._private / study_instance_uid

    def create(self) -> None:
        """Make the private folder.

        Raises
        ------
        OutputExistsError
            If the study is already there.
        """
        if self._final.exists():
            raise OutputExistsError(
                "the output already holds this study", hint="choose another output folder"
            )
        self._private.mkdir(mode=0o700)
        self.study.mkdir()

    def spool(self, number: int) -> Path:
        """Return where frames may wait until they are written; not part of the study."""
        return self._private / f"frames-{number}"

    def commit(self) -> Path:
        """Give the study its final name and return it, when all of it is on the disk.

        Files were made for their owner only. They get the rights that the user's umask gives,
        read off the study's folder, since it was made under it.
        """
        mode = self.study.stat().st_mode & 0o666
        folders = [self.study]
        for path in self.study.rglob("*"):
            if path.is_dir():
                folders.append(path)
            else:
                path.chmod(mode)
                _sync(path)
        for folder in folders:
            _sync(folder)
        self.study.rename(self._final)
        _sync(self._out)
        self._private.rmdir()
        return self._final

    def discard(self) -> None:
        """Remove everything that was not committed."""
        shutil.rmtree(self._private, ignore_errors=True)


@contextmanager
def staging(out: Path, study_instance_uid: str) -> Iterator[Staging]:
    """Yield a `Staging` below ``out``, and leave nothing behind if the block fails.

    Folders above the study that had to be made are removed again as well.

    Raises
    ------
    OutputExistsError
        If ``out`` is a file, or holds the study already.
    """
    made: list[Path] = []
    stage = Staging(out, study_instance_uid)
    try:
        _make_folders(out, made)
        stage.create()
        yield stage
    except BaseException:
        stage.discard()
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make a folder with its parents, and note each before it is made.

    So whatever interrupts this, the caller knows what to remove.
    """
    missing = []
    at = folder
    while not at.exists():
        missing.append(at)
        at = at.parent
    if not at.is_dir():
        raise OutputExistsError("the output is a file", hint="name a folder with -o")
    for path in reversed(missing):
        made.append(path)
        path.mkdir(exist_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
