"""Makes the files of a slide appear all together, or not at all."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

from coverslip.errors import CoverslipError, NoRoomError
from coverslip.guard import Threads

PRIVATE = ".coverslip-"
"""How the names of private folders in the output begin."""
_LOCK = ".lock"
_PLENTY = 100
"""With so many times the room that a slide takes, nobody asks what others take."""


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
        self._disk = Threads(1)
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
        self._lock = take(lock_of(self._private))
        self._private.mkdir(mode=0o700)
        self.study.mkdir()

    def _is_of_other_slides(self) -> bool:
        """Return whether the study is there but nothing of this slide in it."""
        return bool(self._entries) and not any(
            (self._final / name).exists() for name in self._entries
        )

    def require_room(self, byte_count: int) -> None:
        """Raise before writing if the disk cannot hold so many bytes more.

        Those that others here have said they will write, and have not yet, are not free. What is
        said lies in the lock's file, and counts as long as its owner lives.

        Raises
        ------
        NoRoomError
            If it cannot.
        """
        if self._lock is None:
            raise AssertionError("there is no private folder yet")
        with _alone(self._out):
            free = shutil.disk_usage(self._out).free
            if free < _PLENTY * byte_count:
                own = lock_of(self._private)
                free -= sum(_outstanding(lock) for lock in _locks(self._out) if lock != own)
            if free < byte_count:
                needed, left = -(-byte_count // 1_000_000), max(free, 0) // 1_000_000
                raise NoRoomError(
                    f"the output has no room: {needed} MB are needed and {left} MB are free",
                    hint="make room, then convert it again",
                )
            said = str(_written(self._private) + byte_count).encode()
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, said, 0)

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

    def withdraw(self, path: Path) -> None:
        """Remove a file that was finished, since it will be written anew."""
        on_disk = self._finished.pop(path, None)
        if on_disk is not None:
            on_disk.result()
        path.unlink()

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
        undo: list[tuple[Path, Path]] = []
        try:
            if self._final.exists():
                self._join(undo)
                self._sync(self._final)
            else:
                _move(self.study, self._final, undo)
            self._sync(self._out)
        except BaseException:
            for source, target in reversed(undo):
                target.rename(source)
            raise
        self.discard()
        return self._final

    def _join(self, undo: list[tuple[Path, Path]]) -> None:
        """Move a slide into a study that is there, and what it replaces out of it.

        Folders go before files, so the certificate comes last, and its predecessor leaves first.
        """
        replaced = self._private / "replaced"
        replaced.mkdir()
        names = [path.name for path in sorted(self.study.iterdir(), key=Path.is_file)]
        for name in reversed(names):
            if (self._final / name).exists():
                if not self._overwrite:
                    raise OutputExistsError("the output already holds this slide")
                _move(self._final / name, replaced / name, undo)
        for name in names:
            _move(self.study / name, self._final / name, undo)

    def discard(self) -> None:
        """Remove everything that was not committed."""
        if self._lock is None:
            return
        self._disk.shutdown(cancel_futures=True)
        shutil.rmtree(self._private, ignore_errors=True)
        lock_of(self._private).unlink(missing_ok=True)
        # A signal in between must not have it closed twice: that number may be another file's.
        lock, self._lock = self._lock, None
        os.close(lock)


def sweep(out: Path) -> None:
    """Remove the private folders of conversions that were killed.

    Whoever is alive holds a lock of the operating system on a file beside the folder.
    """
    for lock in _locks(out):
        try:
            descriptor = take(lock)
        except OSError:
            continue  # its owner is at work, or has just ended
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _locks(out: Path) -> list[Path]:
    """Return what lies beside private folders; nothing of an output that cannot be read."""
    try:
        names = os.listdir(out)  # noqa: PTH208 (there may be 50,000 studies)
    except OSError:
        return []
    return [out / name for name in names if name.startswith(PRIVATE) and name.endswith(_LOCK)]


def lock_of(private: Path) -> Path:
    """Return the file beside a private folder whose lock its owner holds."""
    return private.with_name(private.name + _LOCK)


def take(lock: Path) -> int:
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


def _outstanding(lock: Path) -> int:
    """Return how much the owner of a lock is still to write; nothing if there is no owner."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(descriptor, 20, 0)
        if not said.isdigit():
            return 0
        return max(int(said) - _written(lock.with_suffix("")), 0)
    finally:
        os.close(descriptor)
    return 0


def _written(private: Path) -> int:
    """Return how many bytes lie in a private folder."""
    total = 0
    for path in private.rglob("*"):
        with suppress(OSError):  # it was renamed, or is gone
            stat = path.lstat()
            total += stat.st_size if S_ISREG(stat.st_mode) else 0
    return total


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Let nobody else in at the same time, where the file system can lock a folder."""
    descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
        make_folders(out, made)
        stage.create()
        yield stage
    except BaseException:
        stage.discard()
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise


def make_folders(folder: Path, made: list[Path]) -> None:
    """Make a folder with its parents, and note each before it is made.

    So whatever interrupts this, the caller knows what to remove.

    Raises
    ------
    OutputExistsError
        If there is something else in the place of a folder.
    """
    missing = []
    at = folder
    while not at.exists():
        if at.is_symlink():
            raise OutputExistsError(
                "the output is a link that leads nowhere", hint="name a folder with -o"
            )
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
