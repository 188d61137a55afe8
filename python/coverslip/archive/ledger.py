"""Remembers what became of each slide, in the vault: it holds the paths of the sources."""

import fcntl
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from coverslip.archive.discovery import Candidate
from coverslip.deid.vault import require_private
from coverslip.errors import PolicyError

FILE_NAME = "ledger.sqlite"
_LOCK = "run.lock"

_TABLES = """
CREATE TABLE IF NOT EXISTS slide (
    number INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE,
    byte_count INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT, hint TEXT, attempts INTEGER NOT NULL DEFAULT 0,
    seed BLOB, policy_sha256 TEXT, seconds REAL, updated TEXT NOT NULL,
    outputs TEXT, stale TEXT
);
"""


class State(StrEnum):
    """Where a slide is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What a slide left in the output folder; only names of ours."""

    study: str
    series: tuple[str, ...]
    certificate: str
    sha256: tuple[str | None, ...] = ()
    """Of the instances, if they were read back."""
    byte_count: int = 0
    frames: int = 0

    def to_json(self) -> str:
        """Return what `from_json` takes."""
        fields = (self.study, self.series, self.certificate, self.sha256)
        return json.dumps((*fields, self.byte_count, self.frames))

    @classmethod
    def from_json(cls, text: str) -> "Outputs":
        """Return what `to_json` was called on."""
        study, series, certificate, sha256, byte_count, frames = json.loads(text)
        return cls(
            study=study,
            series=tuple(series),
            certificate=certificate,
            sha256=tuple(sha256),
            byte_count=byte_count,
            frames=frames,
        )

    def are_in(self, out: Path) -> bool:
        """Tell whether they are there; the certificate comes last."""
        return (out / self.study / self.certificate).is_file()

    def paths(self, out: Path) -> Iterator[Path]:
        """Yield certificate and folders, in the order in which they may go."""
        yield out / self.study / self.certificate
        for series in self.series:
            yield out / self.study / series


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideRecord:
    """A row of the ledger."""

    number: int
    path: Path = field(repr=False)
    byte_count: int
    mtime_ns: int
    state: State
    reason: str | None
    hint: str | None
    attempts: int
    policy_sha256: str | None
    seconds: float | None
    updated: str
    outputs: Outputs | None
    stale: Outputs | None
    """What an earlier state of the slide left, to be removed once the new is there."""
    seed: bytes | None = field(repr=False)
    """What random names are made of, until the slide is done."""


_COLUMNS = (
    "number, path, byte_count, mtime_ns, state, reason, hint, attempts, policy_sha256, seconds, "
    "updated, outputs, stale, seed"
)


def _record(row: tuple[object, ...]) -> SlideRecord:
    names = [name.strip() for name in _COLUMNS.split(",")]
    values = dict(zip(names, row, strict=True))
    for name in ("outputs", "stale"):
        text = values[name]
        values[name] = Outputs.from_json(text) if isinstance(text, str) else None
    values["path"] = Path(os.fsdecode(values["path"]))  # type: ignore[arg-type] # a BLOB
    values["state"] = State(str(values["state"]))
    return SlideRecord(**values)  # type: ignore[arg-type] # the table's own types


class Ledger:
    """An open ledger; made by `open_ledger`. Each change is on the disk when its call returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def register(self, candidates: Iterable[Candidate], policy_sha256: str, out: Path) -> list[int]:
        """Enter slides, and return the numbers of those that are to be converted, in order.

        A slide that is done is left out if neither it nor the policy has changed and its
        certificate is there.
        """
        numbers = []
        with self._change():
            for candidate in candidates:
                record = self._by_path(candidate.path)
                if record is None:
                    numbers.append(self._enter(candidate))
                elif not _is_done(record, candidate, policy_sha256, out):
                    self._renew(record, candidate, policy_sha256)
                    numbers.append(record.number)
        return numbers

    def _by_path(self, path: Path) -> SlideRecord | None:
        query = f"SELECT {_COLUMNS} FROM slide WHERE path = ?"  # noqa: S608 (a constant)
        row = self._connection.execute(query, (os.fsencode(path.absolute()),)).fetchone()
        return None if row is None else _record(row)

    def _enter(self, candidate: Candidate) -> int:
        cursor = self._connection.execute(
            "INSERT INTO slide (path, byte_count, mtime_ns, state, seed, updated)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                os.fsencode(candidate.path.absolute()),
                candidate.byte_count,
                candidate.mtime_ns,
                State.WAITING,
                secrets.token_bytes(32),
                _now(),
            ),
        )
        return int(cursor.lastrowid or 0)

    def _renew(self, record: SlideRecord, candidate: Candidate, policy_sha256: str) -> None:
        """Set a slide to waiting; one that may have got names keeps them."""
        same = (candidate.byte_count, candidate.mtime_ns) == (record.byte_count, record.mtime_ns)
        keeps = record.seed is not None and same and record.policy_sha256 == policy_sha256
        stale = record.outputs or record.stale
        self._connection.execute(
            "UPDATE slide SET byte_count = ?, mtime_ns = ?, state = ?, reason = NULL, hint = NULL,"
            " attempts = ?, seed = ?, outputs = NULL, stale = ?, updated = ? WHERE number = ?",
            (
                candidate.byte_count,
                candidate.mtime_ns,
                State.WAITING,
                record.attempts if keeps else 0,
                record.seed if keeps else secrets.token_bytes(32),
                None if stale is None else stale.to_json(),
                _now(),
                record.number,
            ),
        )

    def start(self, number: int, policy_sha256: str) -> SlideRecord:
        """Note that a slide is being converted, and return its row."""
        with self._change():
            self._connection.execute(
                "UPDATE slide SET state = ?, attempts = attempts + 1, policy_sha256 = ?,"
                " updated = ? WHERE number = ?",
                (State.RUNNING, policy_sha256, _now(), number),
            )
        return self.record(number)

    def finish(self, number: int, outputs: Outputs, seconds: float) -> None:
        """Note that a slide is done; what its names were made of is forgotten."""
        with self._change():
            self._connection.execute(
                "UPDATE slide SET state = ?, outputs = ?, seconds = ?, seed = NULL, updated = ?"
                " WHERE number = ?",
                (State.DONE, outputs.to_json(), seconds, _now(), number),
            )

    def forget_stale(self, number: int) -> None:
        """Note that what an earlier state of a slide left is gone."""
        with self._change():
            self._connection.execute("UPDATE slide SET stale = NULL WHERE number = ?", (number,))

    def fail(
        self, number: int, state: State, reason: str, hint: str | None, *, keeps_seed: bool = False
    ) -> None:
        """Note why a slide was not converted.

        Only a first attempt that tells why it failed has left nothing. Behind any other there may
        be one that was cut off after its last rename: what its names were made of is kept, as it
        is where the failure itself may have come behind the rename.
        """
        with self._change():
            self._connection.execute(
                "UPDATE slide SET state = ?, reason = ?, hint = ?, updated = ?,"
                " seed = CASE WHEN attempts > 1 OR ? THEN seed END WHERE number = ?",
                (state, reason, hint, _now(), keeps_seed, number),
            )

    def wait(self, number: int) -> None:
        """Note that a slide was not begun after all."""
        with self._change():
            self._connection.execute(
                "UPDATE slide SET state = ?, attempts = attempts - 1 WHERE number = ?",
                (State.WAITING, number),
            )

    def record(self, number: int) -> SlideRecord:
        """Return the row of a slide."""
        query = f"SELECT {_COLUMNS} FROM slide WHERE number = ?"  # noqa: S608 (a constant)
        with _told():
            return _record(self._connection.execute(query, (number,)).fetchone())

    def records(self) -> Iterator[SlideRecord]:
        """Yield all rows, in order."""
        query = f"SELECT {_COLUMNS} FROM slide ORDER BY number"  # noqa: S608 (a constant)
        with _told():
            yield from map(_record, self._connection.execute(query))

    @contextmanager
    def _change(self) -> Iterator[None]:
        with _told(), self._connection:
            yield


def _is_done(record: SlideRecord, candidate: Candidate, policy_sha256: str, out: Path) -> bool:
    same = (candidate.byte_count, candidate.mtime_ns) == (record.byte_count, record.mtime_ns)
    is_there = record.outputs is not None and record.outputs.are_in(out)
    is_same_policy = record.policy_sha256 == policy_sha256
    return record.state is State.DONE and same and is_there and is_same_policy


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def open_ledger(vault: Path, out: Path) -> Iterator[Ledger]:
    """Yield the ledger in a vault, locked against other runs.

    The lock is the operating system's: it goes with its owner, however that ends.

    Raises
    ------
    PolicyError
        If another run has it, or the vault is not fit to hold it.
    """
    require_private(vault, out)
    with _locked(vault), _connected(vault / FILE_NAME) as connection:
        with _told():
            connection.executescript(_TABLES)
        yield Ledger(connection)


def read_ledger(vault: Path) -> list[SlideRecord]:
    """Return all rows of the ledger in a vault, while a run may be at work.

    Raises
    ------
    PolicyError
        If there is none.
    """
    path = vault / FILE_NAME
    if not path.is_file():
        raise PolicyError("there is no ledger in the vault", hint="name the vault with --vault")
    with _connected(path) as connection:
        return list(Ledger(connection).records())


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    with _told():
        connection = sqlite3.connect(path, timeout=60)
    with closing(connection):
        with _told():
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may lose the last changes, never their order: what was done is then
            # found cut off, and done once more under the same names.
            connection.execute("PRAGMA synchronous = NORMAL")
        yield connection


@contextmanager
def _locked(vault: Path) -> Iterator[None]:
    descriptor = os.open(vault / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip()
            raise PolicyError(
                f"another run is at work on this output ({owner})",
                hint="wait for it, or stop it",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} since {_now()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "no code")
        raise PolicyError(
            f"the ledger cannot be read or written ({name})",
            hint="make room and run it again" if name == "SQLITE_FULL" else None,
        ) from None
