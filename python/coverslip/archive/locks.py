"""The lock of a run: it is the operating system's, and goes with its owner, however that ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from coverslip.errors import PolicyError

_LOCK = "run.lock"
_TRIES, _BETWEEN_S = 20, 0.05
"""Whoever asks whether a run is alive holds its lock for a moment."""


@contextmanager
def locked(vault: Path) -> Iterator[None]:
    """Hold the lock of a vault.

    Raises
    ------
    PolicyError
        If another run has it.
    """
    descriptor = os.open(vault / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if not _take(descriptor):
            owner = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip()
            raise PolicyError(
                f"another run is at work on this output ({owner})",
                hint="wait for it, or stop it",
            )
        os.ftruncate(descriptor, 0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        os.pwrite(descriptor, f"process {os.getpid()} since {since}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_BETWEEN_S)
        else:
            return True
    return False


def is_run_alive(vault: Path) -> bool:
    """Return whether a run is at work with the ledger in a vault."""
    try:
        descriptor = os.open(vault / _LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
