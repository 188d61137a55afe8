"""The files that a run was given, in their order, each once."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from coverslip.archive.database import temporary, told
from coverslip.archive.states import stamp_of

_TABLE = """
CREATE TABLE candidate (
    number INTEGER PRIMARY KEY, path BLOB NOT NULL, real BLOB NOT NULL UNIQUE,
    byte_count INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
)
"""

_WHAT = "the list of slides, a temporary file,"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A slide that is to be converted, and what tells one state of it from another."""

    path: Path = field(repr=False)
    """Of a set, that of its first file."""
    byte_count: int
    mtime_ns: int


class Candidates:
    """Any number of candidates in the same little memory.

    They lie in a file without a name, where the system has its temporary ones, which goes when
    they are closed, however that comes about.
    """

    def __init__(self) -> None:
        self._count = 0
        with told(_WHAT):
            self._connection = temporary()
            self._connection.execute(_TABLE)

    def add(self, files: Sequence[Path]) -> None:
        """Add a slide by its files, the first one first, if it is not among them, however spelled.

        One that is not there fails when its turn comes.
        """
        path = files[0]
        real = hashlib.blake2b(os.fsencode(os.path.realpath(path)), digest_size=16).digest()
        try:
            stamp = stamp_of(files)
        except OSError:
            stamp = 0, 0
        query = (
            "INSERT OR IGNORE INTO candidate (path, real, byte_count, mtime_ns) VALUES (?, ?, ?, ?)"
        )
        with told(_WHAT):
            done = self._connection.execute(query, (os.fsencode(path), real, *stamp))
        self._count += done.rowcount

    def __iter__(self) -> Iterator[Candidate]:
        query = "SELECT path, byte_count, mtime_ns FROM candidate ORDER BY number"
        with told(_WHAT):
            for path, byte_count, mtime_ns in self._connection.execute(query):
                yield Candidate(
                    path=Path(os.fsdecode(path)), byte_count=byte_count, mtime_ns=mtime_ns
                )

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Remove what holds them."""
        self._connection.close()
