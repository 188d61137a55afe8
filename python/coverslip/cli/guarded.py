"""The limits of memory and time under which a command reads what it was given."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coverslip import guard, limits
from coverslip.sets import files_of


@contextmanager
def guarded(*paths: Path) -> Iterator[None]:
    """Limit the memory of this process for good, and the time of the block by these files' sizes.

    Raises
    ------
    LimitError
        If the block takes more.
    """
    guard.confine(memory_bytes=limits.process_memory())
    byte_count = sum(byte_count_of(path) for path in paths)
    with guard.limited(cpu_seconds=limits.slide_seconds(byte_count)):
        yield


def byte_count_of(path: Path) -> int:
    """Return the bytes of a slide, or of all files in a folder; none of what cannot be read."""
    total = 0
    is_folder = path.is_dir() and not path.is_symlink()
    for file in path.rglob("*") if is_folder else files_of(path):
        with suppress(OSError):
            total += file.stat(follow_symlinks=not is_folder).st_size
    return total
