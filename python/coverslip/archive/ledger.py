"""Remembers what became of each slide, in the vault: it holds the paths of the sources.

Where nobody shall keep what a study was made of, a slide that is done loses its link to it: its
row has digests of path and state, and the study stands in a table of its own, in the order of the
random UIDs.
"""

import hashlib
import json
import os
import secrets
import sqlite3
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from coverslip.archive.database import (
    check_schema,
    connect_to_read,
    connected,
    prepare,
    real_path,
    told,
)
from coverslip.archive.discovery import Candidate
from coverslip.archive.locks import locked
from coverslip.archive.making import UNVERIFIED, difference, quick_digest
from coverslip.archive.records import (
    COLUMNS,
    NEW_COLUMNS,
    UNLINKED_BYTE_COUNT,
    SlideRecord,
    record_of,
)
from coverslip.archive.records import Outputs as Outputs
from coverslip.archive.records import State as State
from coverslip.deid.vault import require_private
from coverslip.errors import PolicyError, UsageError

FILE_NAME = "ledger.sqlite"
_NOWHERE = b""
"""In the place of the path of a slide that is done where links are not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What a run has to do."""

    numbers: "array[int]"
    """Of the slides that are to be converted, in their order."""
    found: int
    byte_count: int
    """Of the slides that are to be converted."""
    again: Counter[str] = field(default_factory=Counter)
    """How many of those that were done are to be converted again for which reason."""
    left: int = 0
    """How many of those leave what they were before, since which studies it is is not known."""


class Ledger:
    """An open ledger; made by `open_ledger`. Each change is on the disk when its call returns.

    Parameters
    ----------
    connection
        To its data base.
    keeps_links
        Whether it remembers which study a slide became.
    """

    def __init__(self, connection: sqlite3.Connection, *, keeps_links: bool = True) -> None:
        self._connection = connection
        self.keeps_links = keeps_links
        with told():
            names = {row[1] for row in connection.execute("PRAGMA table_info(slide)")}
            self._has_unlinked = bool(list(connection.execute("PRAGMA table_info(unlinked)")))
        self._has_places = "real" in names
        self._columns = ", ".join(
            f"NULL AS {name}" if name in NEW_COLUMNS - names else name for name in COLUMNS
        )

    @property
    def token(self) -> str:
        """A random name of this ledger."""
        return str(self._about("token"))

    @property
    def salt(self) -> bytes:
        """What makes digests of this ledger differ from those of others."""
        return bytes(self._about("salt"))  # type: ignore[call-overload, no-any-return] # a BLOB

    def _about(self, column: str) -> object:
        query = f"SELECT {column} FROM about"  # noqa: S608 (a constant)
        with told():
            row = self._connection.execute(query).fetchone() if self._has_places else None
        return b"" if row is None else row[0]

    def register(
        self,
        candidates: Iterable[Candidate],
        made_with: Callable[[Path], str],
        out: Path,
        *,
        again: bool = False,
    ) -> Registered:
        """Enter slides, and return those that are to be converted, in order.

        A slide that is done is left out if nothing that decides over its outputs has changed,
        and they are there; with ``again`` none is left out. What was never converted and is no
        longer there is noted as gone.

        Parameters
        ----------
        candidates
            The slides.
        made_with
            Tells for the path of a slide what decides over its outputs, see `Making`.
        out
            Where the outputs are.
        again
            Whether what is done is converted again too.
        """
        numbers, reasons = array("q"), Counter[str]()
        found = byte_count = left = 0
        with self._change():
            self._note_gone()
            for candidate in candidates:
                found += 1
                now = made_with(candidate.path.absolute())
                record = self._by_place(candidate.path)
                if record is None:
                    numbers.append(self._enter(candidate, now))
                else:
                    reason = "on demand" if again else self._why_again(record, candidate, now, out)
                    if reason is None:
                        continue
                    if record.state is State.DONE:
                        reasons[reason] += 1
                    left += record.is_unlinked
                    self._renew(record, candidate, now)
                    numbers.append(record.number)
                byte_count += candidate.byte_count
        return Registered(
            numbers=numbers, found=found, byte_count=byte_count, again=reasons, left=left
        )

    def is_done(self, candidate: Candidate, made_with: str, out: Path) -> bool:
        """Return whether a run would leave a slide out."""
        record = self._by_place(candidate.path)
        return record is not None and self._why_again(record, candidate, made_with, out) is None

    def _why_again(
        self, record: SlideRecord, candidate: Candidate, made_with: str, out: Path
    ) -> str | None:
        """Return why a slide is to be converted once more, ``None`` if it is done and unchanged."""
        outputs = record.outputs
        if record.state is not State.DONE or (outputs is None and not record.is_unlinked):
            return "unfinished"
        stamp = candidate.byte_count, candidate.mtime_ns
        if record.is_unlinked:
            stamp = self._stamp(*stamp)
        if stamp != (record.byte_count, record.mtime_ns):
            return "of another state of the slide"
        reason = _difference(record, made_with)
        if reason is None and outputs is not None and not outputs.are_in(out):
            reason = "and are incomplete"
        if reason is None and record.quick_digest is not None:
            try:
                quick = quick_digest(candidate.path)
            except OSError:
                return "of another state of the slide"
            if record.is_unlinked:
                quick = self._digest(quick.encode()).hex()
            reason = None if record.quick_digest == quick else "of another state of the slide"
        return reason

    def _by_place(self, path: Path) -> SlideRecord | None:
        """Return the row of the file that a path leads to, however it is spelled."""
        if self._has_places:
            real = real_path(path)
            return self._one("real IN (?, ?)", real, self._digest(real))
        return self._one("path = ?", os.fsencode(path.absolute()))

    def _digest(self, text: bytes) -> bytes:
        """Return what tells a text from others and does not tell it; no path begins with NUL."""
        return b"\0" + hashlib.sha256(self.salt + text).digest()

    def _stamp(self, byte_count: int, mtime_ns: int) -> tuple[int, int]:
        """Return what stands in a row in the place of a slide's size and time."""
        digest = self._digest(b"%d %d" % (byte_count, mtime_ns))
        return UNLINKED_BYTE_COUNT, int.from_bytes(digest[1:9], signed=True)

    def forget_links(self) -> None:
        """Forget which study became of which slide, of those that are done."""
        for record in list(self.records(State.DONE)):
            if record.outputs is not None:
                self._unlink(record, record.outputs, record.quick_digest)

    def _unlink(self, record: SlideRecord, outputs: Outputs, quick: str | None) -> None:
        """Note that a slide is done, and forget which study it became, and where it is."""
        with self._change():
            self._connection.execute(
                "INSERT OR REPLACE INTO unlinked VALUES (?, ?, ?)",
                (outputs.study, outputs.certificate, outputs.to_json()),
            )
            self._connection.execute(
                "UPDATE slide SET path = ?, real = ?, byte_count = ?, mtime_ns = ?, state = ?,"
                " quick_digest = ?, updated = ?, seed = NULL, outputs = NULL, stale = NULL,"
                " seconds = NULL WHERE number = ?",
                (
                    _NOWHERE,
                    self._digest(real_path(record.path)),
                    *self._stamp(record.byte_count, record.mtime_ns),
                    State.DONE,
                    None if quick is None else self._digest(quick.encode()).hex(),
                    _now()[:10],
                    record.number,
                ),
            )

    def unlinked(self) -> Iterator[Outputs]:
        """Yield the studies of which is not known what they were made of, by their UIDs."""
        if self._has_unlinked:
            with told():
                rows = self._connection.execute("SELECT outputs FROM unlinked ORDER BY uid")
                yield from (Outputs.from_json(text) for (text,) in rows)

    def _enter(self, candidate: Candidate, made_with: str) -> int:
        cursor = self._connection.execute(
            "INSERT INTO slide (path, real, byte_count, mtime_ns, state, made_with, seed, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                os.fsencode(candidate.path.absolute()),
                real_path(candidate.path),
                candidate.byte_count,
                candidate.mtime_ns,
                State.WAITING,
                made_with,
                secrets.token_bytes(32),
                _now(),
            ),
        )
        return int(cursor.lastrowid or 0)

    def _renew(self, record: SlideRecord, candidate: Candidate, made_with: str) -> None:
        """Set a slide to waiting; one that may have got names keeps them.

        One that may meet what it was before, whose names are not known, counts as tried.
        """
        same = (candidate.byte_count, candidate.mtime_ns) == (record.byte_count, record.mtime_ns)
        differs = _difference(record, made_with) not in (None, UNVERIFIED)
        keeps = record.seed is not None and same and not differs
        stale = record.outputs or record.stale
        self._connection.execute(
            "UPDATE slide SET path = ?, real = ?, byte_count = ?, mtime_ns = ?, state = ?,"
            " reason = NULL, hint = NULL, attempts = ?, seed = ?, made_with = ?, outputs = NULL,"
            " stale = ?, updated = ? WHERE number = ?",
            (
                os.fsencode(candidate.path.absolute()),
                real_path(candidate.path),
                candidate.byte_count,
                candidate.mtime_ns,
                State.WAITING,
                record.attempts if keeps else int(record.is_unlinked),
                record.seed if keeps else secrets.token_bytes(32),
                made_with,
                None if stale is None else stale.to_json(),
                _now(),
                record.number,
            ),
        )

    def _note_gone(self) -> None:
        """Note which of the slides that are not done are no longer there."""
        for record in list(self._some("state NOT IN (?, ?)", State.DONE, State.GONE)):
            try:
                record.path.stat()
            except (FileNotFoundError, NotADirectoryError):
                before = f"{record.state}: {record.reason}" if record.reason else record.state
                self._connection.execute(
                    "UPDATE slide SET state = ?, reason = ?, hint = NULL, updated = ?"
                    " WHERE number = ?",
                    (
                        State.GONE,
                        f"the slide is no longer there; it was {before}",
                        _now(),
                        record.number,
                    ),
                )
            except OSError:
                continue  # whether it is there cannot be known

    def start(self, number: int, policy_sha256: str) -> SlideRecord:
        """Note that a slide is being converted, and return its row."""
        with self._change():
            self._connection.execute(
                "UPDATE slide SET state = ?, attempts = attempts + 1, policy_sha256 = ?,"
                " updated = ? WHERE number = ?",
                (State.RUNNING, policy_sha256, _now(), number),
            )
        return self.record(number)

    def finish(
        self, number: int, outputs: Outputs, seconds: float, quick: str | None = None
    ) -> None:
        """Note that a slide is done; what its names were made of is forgotten."""
        if not self.keeps_links:
            self._unlink(self.record(number), outputs, quick)
            return
        with self._change():
            self._connection.execute(
                "UPDATE slide SET state = ?, outputs = ?, seconds = ?, quick_digest = ?,"
                " seed = NULL, updated = ? WHERE number = ?",
                (State.DONE, outputs.to_json(), seconds, quick, _now(), number),
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
        record = self._one("number = ?", number)
        if record is None:
            raise PolicyError("the ledger has lost a slide", hint="has another program changed it?")
        return record

    def records(self, *states: State) -> Iterator[SlideRecord]:
        """Yield the rows, in order; those in some states if any are given."""
        marks = ", ".join("?" * len(states))
        return self._some(f"state IN ({marks})", *states) if states else self._some("TRUE")

    def superseded(self) -> Iterator[SlideRecord]:
        """Yield the rows of slides of which an earlier state still lies in the output."""
        return self._some("stale IS NOT NULL")

    def counts(self) -> Counter[State]:
        """Return how many slides are in which state."""
        with told():
            rows = self._connection.execute("SELECT state, COUNT(*) FROM slide GROUP BY state")
            return Counter({State(state): count for state, count in rows})

    def _one(self, condition: str, *values: object) -> SlideRecord | None:
        return next(self._some(condition, *values), None)

    def _some(self, condition: str, *values: object) -> Iterator[SlideRecord]:
        query = f"SELECT {self._columns} FROM slide WHERE {condition} ORDER BY number"  # noqa: S608
        with told():
            yield from map(record_of, self._connection.execute(query, values))

    @contextmanager
    def _change(self) -> Iterator[None]:
        with told(), self._connection:
            yield


def _difference(record: SlideRecord, made_with: str) -> str | None:
    """Return why what a slide was made with will not do now, in words."""
    # Of what the first version wrote nothing but the policy is known.
    before = record.made_with or json.dumps({"policy": record.policy_sha256})
    return difference(before, made_with)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def open_ledger(vault: Path, out: Path, *, keeps_links: bool = True) -> Iterator[Ledger]:
    """Yield the ledger in a vault, locked against other runs; see `Ledger`.

    The lock is the operating system's: it goes with its owner, however that ends.

    Raises
    ------
    PolicyError
        If another run has it, the vault is not fit to hold it, or another version of coverslip
        wrote it.
    """
    require_private(vault, out)
    with locked(vault), connected(vault / FILE_NAME) as connection:
        with told():
            prepare(connection)
        yield Ledger(connection, keeps_links=keeps_links)


@contextmanager
def reading(vault: Path) -> Iterator[Ledger]:
    """Yield the ledger in a vault to be read, while a run may be at work.

    Raises
    ------
    UsageError
        If there is none.
    PolicyError
        If it cannot be read.
    """
    path = vault / FILE_NAME
    if not path.is_file():
        raise UsageError("there is no ledger in the vault", hint="name the vault with --vault")
    with told(), closing(connect_to_read(path)) as connection:
        check_schema(connection)
        yield Ledger(connection)


def read_ledger(vault: Path) -> list[SlideRecord]:
    """Return all rows of the ledger in a vault, while a run may be at work.

    Raises
    ------
    UsageError
        If there is none.
    PolicyError
        If it cannot be read.
    """
    with reading(vault) as ledger:
        return list(ledger.records())


def read_unlinked(vault: Path) -> list[Outputs]:
    """Return the studies in the ledger of a vault of which is not known what they were made of."""
    with reading(vault) as ledger:
        return list(ledger.unlinked())
