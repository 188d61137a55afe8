"""The data base that the ledger is: its tables, those of the first version, and what it tells."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from coverslip.archive.records import ADDED_COLUMNS, COLUMNS, NEW_COLUMNS
from coverslip.errors import PolicyError

_SCHEMA = 2
"""In the file's user_version; the first version left it 0."""

_ABOUT = "CREATE TABLE about (id INTEGER PRIMARY KEY CHECK (id = 1), token TEXT, salt BLOB)"
_SLIDES = """
CREATE TABLE slide (
    number INTEGER PRIMARY KEY, path BLOB NOT NULL, real BLOB UNIQUE,
    byte_count INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT, hint TEXT, attempts INTEGER NOT NULL DEFAULT 0,
    seed BLOB, policy_sha256 TEXT, made_with TEXT, quick_digest TEXT, seconds REAL,
    updated TEXT NOT NULL, outputs TEXT, stale TEXT, set_aside TEXT
)
"""
_UNLINKED = """
CREATE TABLE unlinked (
    uid TEXT NOT NULL, certificate TEXT NOT NULL, outputs TEXT NOT NULL,
    PRIMARY KEY (uid, certificate)
) WITHOUT ROWID
"""
"""Studies of which nobody keeps what they were made of."""
_BY_CONTENT = "CREATE INDEX IF NOT EXISTS slide_by_content ON slide (byte_count, mtime_ns)"
"""A slide that was moved is known again by it; earlier versions do without."""
_HAS_SLIDES = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'slide'"
_PAGE = 100
_CANNOT_WRITE = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY")


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a data base that is made for its owner only."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    with told():
        connection = sqlite3.connect(path, timeout=60)
    with closing(connection):
        with told():
            connection.execute("PRAGMA journal_mode = WAL")
            # What is forgotten shall not stand in pages that are free.
            connection.execute("PRAGMA secure_delete = ON")
            # A power cut may lose the last changes, never their order: what was done is then
            # found cut off, and done once more under the same names.
            connection.execute("PRAGMA synchronous = NORMAL")
        yield connection


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or those of the first version into those of this one."""
    (has_slides,) = connection.execute(_HAS_SLIDES).fetchone()
    if has_slides:
        check_schema(connection)
        if connection.execute("PRAGMA user_version").fetchone()[0] == _SCHEMA:
            connection.execute(_BY_CONTENT)
            there = {row[1] for row in connection.execute("PRAGMA table_info(slide)")}
            for name in ADDED_COLUMNS - there:
                connection.execute(f"ALTER TABLE slide ADD COLUMN {name} TEXT")
            return
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        if has_slides:
            connection.execute("ALTER TABLE slide RENAME TO slide_1")
        connection.execute(_SLIDES)
        connection.execute(_ABOUT)
        connection.execute(_UNLINKED)
        about = (secrets.token_hex(16), secrets.token_bytes(16))
        connection.execute("INSERT INTO about VALUES (1, ?, ?)", about)
        if has_slides:
            names = ", ".join(name for name in COLUMNS if name not in NEW_COLUMNS)
            connection.execute(f"INSERT INTO slide ({names}) SELECT {names} FROM slide_1")  # noqa: S608
            connection.execute("DROP TABLE slide_1")
            # The first version took another spelling of a path for another slide: the first counts.
            for number, path in connection.execute("SELECT number, path FROM slide").fetchall():
                real = real_path(Path(os.fsdecode(path)))
                connection.execute(
                    "UPDATE OR IGNORE slide SET real = ? WHERE number = ?", (real, number)
                )
        connection.execute(_BY_CONTENT)
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")


def check_schema(connection: sqlite3.Connection) -> None:
    """Raise for tables that neither this version nor the first one wrote."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    names = {row[1] for row in connection.execute("PRAGMA table_info(slide)")}
    needed = set(COLUMNS) - (ADDED_COLUMNS if version == _SCHEMA else NEW_COLUMNS)
    if version not in (0, _SCHEMA) or not needed <= names:
        raise PolicyError(
            f"the ledger was written by another version of coverslip (schema {version}, not "
            f"{_SCHEMA})",
            hint="use that version, or another output and vault",
        )


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Return a connection that changes nothing; where nothing can be written, to what is there."""
    uri = path.resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=60)
    try:
        connection.execute(_HAS_SLIDES).fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        log = path.with_name(f"{path.name}-wal")
        is_whole = not log.exists() or log.stat().st_size == 0
        if getattr(error, "sqlite_errorname", "") not in _CANNOT_WRITE or not is_whole:
            raise
        connection = sqlite3.connect(f"{uri}?immutable=1", uri=True)
    return connection


def real_path(path: Path) -> bytes:
    """Return where a path leads, by which a slide is told from others."""
    return os.fsencode(os.path.realpath(path))


def in_pages(
    connection: sqlite3.Connection, query: str, *values: object
) -> Iterator[tuple[Any, ...]]:
    """Yield rows, some of them at a time, so that what they are of may be changed meanwhile.

    Parameters
    ----------
    connection
        To the data base.
    query
        Its first column is its order, a number, and its last two places are what that exceeds and
        how many rows there may be.
    values
        For the places before.
    """
    after = -1
    while rows := connection.execute(query, (*values, after, _PAGE)).fetchall():
        yield from rows
        after = rows[-1][0]


def temporary() -> sqlite3.Connection:
    """Return a connection to a data base of its own, in a file without a name that goes with it."""
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA temp_store = FILE")
    return connection


@contextmanager
def told(what: str = "the ledger") -> Iterator[None]:
    """Turn an error of a data base, whose message is not ours, into one of ours."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "no code")
        raise PolicyError(
            f"{what} cannot be read or written ({name})",
            hint="make room and run it again" if name == "SQLITE_FULL" else None,
        ) from None
