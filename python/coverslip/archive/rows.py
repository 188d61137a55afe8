"""Reads rows of the ledger, a few at a time, and changes them."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from coverslip.archive.database import in_pages, real_path, told
from coverslip.archive.records import COLUMNS, NEW_COLUMNS, SlideRecord, record_of


class Rows:
    """The rows of slides in an open ledger. Each change is on the disk when its call returns.

    Parameters
    ----------
    connection
        To the ledger's data base.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        with told():
            names = {row[1] for row in connection.execute("PRAGMA table_info(slide)")}
        self.is_of_this_version = "real" in names
        """Whether the tables are not those of the first version."""
        self._columns = ", ".join(
            f"NULL AS {name}" if name in NEW_COLUMNS - names else name for name in COLUMNS
        )

    def about(self, column: str) -> object:
        """Return what the ledger says of itself, nothing in one of the first version."""
        query = f"SELECT {column} FROM about"  # noqa: S608 (a constant)
        with told():
            row = self.connection.execute(query).fetchone() if self.is_of_this_version else None
        return b"" if row is None else row[0]

    def one(self, condition: str, *values: object) -> SlideRecord | None:
        """Return the row for which a condition holds, if there is one."""
        query = f"SELECT {self._columns} FROM slide WHERE {condition}"  # noqa: S608
        with told():
            row = self.connection.execute(f"{query} ORDER BY number LIMIT 1", values).fetchone()
        return None if row is None else record_of(row)

    def some(self, condition: str, *values: object) -> Iterator[SlideRecord]:
        """Yield rows for which a condition holds, in order; they may be changed meanwhile."""
        query = (
            f"SELECT {self._columns} FROM slide WHERE {condition}"  # noqa: S608
            " AND number > ? ORDER BY number LIMIT ?"
        )
        with told():
            yield from map(record_of, in_pages(self.connection, query, *values))

    def by_place(self, path: Path) -> SlideRecord | None:
        """Return the row of the file that a path leads to, however it is spelled."""
        if self.is_of_this_version:
            real = real_path(path)
            return self.one("real IN (?, ?)", real, self.digest(real))
        return self.one("path = ?", os.fsencode(path.absolute()))

    def place_of(self, number: int) -> bytes:
        """Return where the slide of a row is, or the digest of that."""
        query = "SELECT real FROM slide WHERE number = ?"
        with told():
            row = self.connection.execute(query, (number,)).fetchone()
        return b"" if row is None or row[0] is None else bytes(row[0])

    def enter(self, **values: object) -> int:
        """Add a row, and return its number."""
        values["updated"] = now()
        marks = ", ".join("?" * len(values))
        query = f"INSERT INTO slide ({', '.join(values)}) VALUES ({marks})"  # noqa: S608
        with told():
            return self.connection.execute(query, tuple(values.values())).lastrowid or 0

    def set(self, number: int, **values: object) -> None:
        """Change columns of a row, and note when."""
        values.setdefault("updated", now())
        columns = ", ".join(f"{name} = ?" for name in values)
        query = f"UPDATE slide SET {columns} WHERE number = ?"  # noqa: S608
        with told():
            self.connection.execute(query, (*values.values(), number))

    @cached_property
    def salt(self) -> bytes:
        """What makes digests of this ledger differ from those of others."""
        return bytes(self.about("salt"))  # type: ignore[call-overload, no-any-return] # a BLOB

    def digest(self, text: bytes) -> bytes:
        """Return what tells a text from others and does not tell it; no path begins with NUL."""
        return b"\0" + hashlib.sha256(self.salt + text).digest()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Have all changes of a block made, or none."""
        with told(), self.connection:
            yield


def now() -> str:
    """Return the time as rows have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
