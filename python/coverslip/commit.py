"""Makes the files of a slide appear all together, or not at all."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from coverslip.errors import CoverslipError

PRIVATE = ".coverslip-"
"""How the names of private folders in the output begin."""
_LOCK = ".lock"


class OutputExistsError(CoverslipError, FileExistsError):
    """What was to be written is already there."""


class Staging:
    """A private folder beside the output, from which a slide is renamed into place when whole.

    One rename of one folder is atomic in POSIX file systems, so whatever dies, and whenever,
    leaves either a whole slide or none under a final name. A study that holds other slides already
    gets the series one by one and the certificate last: what has one is whole.
    """

    def __init__(
        self,
        out: Path,
        study_instance_uid: str,
        entries: Collection[str] = (),
        *,
        overwrite: bool = False,
        sync: bool = True,
    ) -> None:
        self._out = out
        self._private = out / f"{PRIVATE}{secrets.token_hex(8)}"
        self._lock: int | None = None
        self._disk = ThreadPoolExecutor(1)
        self._finished: dict[Path, Future[None]] = {}
        self._final = out / study_instance_uid
        self._entries = entries
        self._overwrite = overwrite
        self._sync = _sync if sync else _leave
        self.study = self._private / study_instance_uid

    def create(self) -> None:
        """Make the private folder.

        Raises
        ------
        OutputExistsError
            If the slide is already there and may not be replaced, or a link that would lead the
            study elsewhere.
        """
        if self._final.is_symlink():
            raise OutputExistsError("the output has a link in the place of this study")
        if self._final.exists() and not self._overwrite and not self._is_of_other_slides():
            raise OutputExistsError(
                "the output already holds this study",
                hint="choose another output folder, or replace it with --overwrite",
            )
        self._lock = _take(_lock_of(self._private))
        self._private.mkdir(mode=0o700)
        self.study.mkdir()

    def _is_of_other_slides(self) -> bool:
        """Return whether the study is there but nothing of this slide in it."""
        return bool(self._entries) and not any(
            (self._final / name).exists() for name in self._entries
        )

    def spool(self, number: int) -> Path:
        """Return where frames may wait until they are written; not part of the study."""
        return self._private / f"frames-{number}"

    def finish(self, path: Path) -> None:
        """Begin to bring a file that is whole to the disk, while it and others are worked on.

        Files were made for their owner only. They get the rights that the user's umask gives,
        read off the study's folder, since it was made under it.
        """
        path.chmod(self.study.stat().st_mode & 0o666)
        self._finished[path] = self._disk.submit(self._sync, path)

    def commit(self) -> Path:
        """Give the study its final name and return it, when all of it is on the disk."""
        folders = [self.study]
        for path in self.study.rglob("*"):
            if path.is_dir():
                folders.append(path)
            elif path not in self._finished:
                self.finish(path)
        for on_disk in self._finished.values():
            on_disk.result()
        for folder in folders:
            self._sync(folder)
        if self._final.exists():
            self._join()
        else:
            self.study.rename(self._final)
        self._sync(self._out)
        self.discard()
        return self._final

    def _join(self) -> None:
        """Move a slide into a study that is there; what it replaces is put back if that fails.

        Folders go before files, so the certificate comes last, and its predecessor leaves first.
        """
        replaced = self._private / "replaced"
        replaced.mkdir()
        names = [path.name for path in sorted(self.study.iterdir(), key=Path.is_file)]
        undo: list[tuple[Path, Path]] = []
        try:
            for name in reversed(names):
                if (self._final / name).exists():
                    if not self._overwrite:
                        raise OutputExistsError("the output already holds this slide")
                    _move(self._final / name, replaced / name, undo)
            for name in names:
                _move(self.study / name, self._final / name, undo)
        except BaseException:
            for source, target in reversed(undo):
                target.rename(source)
            raise
        self._sync(self._final)

    def discard(self) -> None:
        """Remove everything that was not committed."""
        if self._lock is None:
            return
        self._disk.shutdown(cancel_futures=True)
        shutil.rmtree(self._private, ignore_errors=True)
        _lock_of(self._private).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def sweep(out: Path) -> None:
    """Remove the private folders of conversions that were killed.

    Whoever is alive holds a lock of the operating system on a file beside the folder.
    """
    for lock in out.glob(f"{PRIVATE}*{_LOCK}"):
        try:
            descriptor = _take(lock)
        except OSError:
            continue  # its owner is at work, or has just ended
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def mark_path(out: Path, token: str) -> Path:
    """Return the path of a mark; nobody holds its lock, so `sweep` takes it away."""
    return out / f"{PRIVATE}{token}{_LOCK}"


def mark(path: Path) -> bool:
    """Leave a mark, and return whether it was not there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    return True


def _lock_of(private: Path) -> Path:
    return private.with_name(private.name + _LOCK)


def _take(lock: Path) -> int:
    """Return the descriptor of a lock file that nobody else holds.

    Raises
    ------
    OSError
        If somebody does, or removed it meanwhile.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), lock.lstat()):
            raise FileNotFoundError
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def staging(
    out: Path,
    study_instance_uid: str,
    entries: Collection[str] = (),
    *,
    overwrite: bool = False,
    sync: bool = True,
) -> Iterator[Staging]:
    """Yield a `Staging` below ``out``, and leave nothing behind if the block fails.

    Folders above the study that had to be made are removed again as well.

    Parameters
    ----------
    out
        The output folder.
    study_instance_uid
        Name of the study's folder.
    entries
        What the slide puts into it, as far as that is known: a study that holds none of it holds
        other slides.
    overwrite
        Whether the slide replaces what is there of it, when it is whole.
    sync
        Whether files are on the disk before they get their names.

    Raises
    ------
    OutputExistsError
        If ``out`` is a file, or holds the slide already.
    """
    made: list[Path] = []
    stage = Staging(out, study_instance_uid, entries, overwrite=overwrite, sync=sync)
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


def _move(source: Path, target: Path, undo: list[tuple[Path, Path]]) -> None:
    """Rename, and note how to undo it."""
    source.rename(target)
    undo.append((source, target))


def _sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _leave(path: Path) -> None:
    """Leave it to the system when a file, or the entries of a folder, come to the disk."""
