"""A run's presence in its output, seen by workers wherever they are.

Workers of a cluster outlive the run that gave them slides, and cannot always be told to leave one.
So a slide is worked on only while the run's private folder is there. It goes when the run ends,
and where the run was killed, the next one sweeps it away as it does those of slides.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from coverslip.commit import PRIVATE, OutputExistsError, lock_of, make_folders, take
from coverslip.errors import PolicyError

_OPEN = "open"


class Recalled(BaseException):
    """The slide in hand is not wanted any more: what was written of it is to be removed.

    No `Exception`, since whoever handles those takes them for the slide's.
    """


@dataclass(frozen=True, slots=True)
class Lease:
    """The private folder of a run; workers get it with each slide."""

    folder: Path

    def begin(self, number: int) -> bool:
        """Begin a slide, and return whether somebody has begun it before and was lost.

        Raises
        ------
        Recalled
            If no slide is to be begun any more.
        """
        if not (self.folder / _OPEN).exists():
            raise Recalled
        try:
            self._mark(number).touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            return True
        except FileNotFoundError:
            raise Recalled from None
        return False

    def require(self) -> None:
        """Raise if the run is over.

        Raises
        ------
        Recalled
            If its folder is gone; a file system that does not answer well says nothing.
        """
        try:
            self.folder.stat()
        except FileNotFoundError:
            raise Recalled from None
        except OSError:
            return

    def forget(self, number: int) -> None:
        """Note that what became of a slide is known."""
        with suppress(OSError):
            self._mark(number).unlink()

    def close(self) -> None:
        """Let no slide be begun any more; removing works on a full disk, too."""
        with suppress(OSError):
            (self.folder / _OPEN).unlink()

    def end(self) -> None:
        """Recall the slides in hand."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _mark(self, number: int) -> Path:
        return self.folder / str(number)


def lease_in(out: Path) -> Lease:
    """Return a lease that nobody holds: nothing is begun under it."""
    return Lease(out / f"{PRIVATE}{secrets.token_hex(8)}")


@contextmanager
def leased(out: Path) -> Iterator[Lease]:
    """Yield a lease in a folder, which is made, and removed again if it holds nothing then.

    Raises
    ------
    PolicyError
        If nothing can be written there: said once, and not of each slide.
    """
    made: list[Path] = []
    lease = lease_in(out)
    lock = lock_of(lease.folder)
    descriptor: int | None = None
    try:
        try:
            make_folders(out, made)
            descriptor = take(lock)
            lease.folder.mkdir()
            (lease.folder / _OPEN).touch()
        except OutputExistsError:
            raise
        except OSError as error:
            raise PolicyError(
                f"the output cannot be written: {error.strerror or type(error).__name__}",
                hint="name another folder with -o",
            ) from None
        yield lease
    finally:
        if descriptor is not None:
            lease.end()
            lock.unlink(missing_ok=True)
            os.close(descriptor)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
