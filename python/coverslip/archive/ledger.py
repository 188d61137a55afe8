"""Remembers what became of each slide, in the vault: it holds the paths of the sources."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from coverslip.archive.database import check_schema, connect_to_read, connected, prepare, told
from coverslip.archive.links import Links
from coverslip.archive.locks import locked
from coverslip.archive.records import Outputs as Outputs
from coverslip.archive.records import SlideRecord
from coverslip.archive.records import State as State
from coverslip.archive.rows import Rows
from coverslip.deid.vault import require_private
from coverslip.errors import PolicyError, UsageError

FILE_NAME = "ledger.sqlite"


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
        self.rows = Rows(connection)
        self.links = Links(self.rows, are_kept=keeps_links)

    @property
    def token(self) -> str:
        """A random name of this ledger."""
        return str(self.rows.about("token"))

    @property
    def salt(self) -> bytes:
        """What makes digests of this ledger differ from those of others."""
        return self.rows.salt

    def start(self, number: int, policy_sha256: str) -> SlideRecord:
        """Note that a slide is being converted, and return its row."""
        attempts = self.record(number).attempts + 1
        self._set(number, state=State.RUNNING, attempts=attempts, policy_sha256=policy_sha256)
        return self.record(number)

    def finish(
        self, number: int, outputs: Outputs, seconds: float, quick: str | None = None
    ) -> None:
        """Note that a slide is done; what its names were made of is forgotten."""
        if not self.links.are_kept:
            self.links.cut(self.record(number), outputs, quick)
            return
        self._set(
            number,
            state=State.DONE,
            outputs=outputs.to_json(),
            seconds=seconds,
            quick_digest=quick,
            seed=None,
            set_aside=None,
        )

    def forget_stale(self, number: int) -> None:
        """Note that what an earlier state of a slide left is gone."""
        self._set(number, stale=None)

    def studies_set_aside(self) -> set[str]:
        """Return the studies in the quarantine that slides became."""
        query = "SELECT set_aside FROM slide WHERE set_aside IS NOT NULL"
        with told():
            return {study for (study,) in self.rows.connection.execute(query)}

    def fail(
        self,
        number: int,
        state: State,
        reason: str,
        hint: str | None,
        *,
        keeps_seed: bool = False,
        set_aside: str | None = None,
    ) -> None:
        """Note why a slide was not converted, and which study in the quarantine it became.

        Only a first attempt that tells why it failed has left nothing. Behind any other there may
        be one that was cut off after its last rename: what its names were made of is kept, as it
        is where the failure itself may have come behind the rename.
        """
        record = self.record(number)
        seed = record.seed if keeps_seed or record.attempts > 1 else None
        study = set_aside or record.set_aside
        self._set(number, state=state, reason=reason, hint=hint, seed=seed, set_aside=study)

    def wait(self, number: int) -> None:
        """Note that a slide was not begun after all."""
        self._set(number, state=State.WAITING, attempts=self.record(number).attempts - 1)

    def _set(self, number: int, **values: object) -> None:
        with self.rows.change():
            self.rows.set(number, **values)

    def record(self, number: int) -> SlideRecord:
        """Return the row of a slide."""
        record = self.rows.one("number = ?", number)
        if record is None:
            raise PolicyError("the ledger has lost a slide", hint="has another program changed it?")
        return record

    def records(self, *states: State) -> Iterator[SlideRecord]:
        """Yield the rows, in order; those in some states if any are given."""
        marks = ", ".join("?" * len(states))
        condition = f"state IN ({marks})" if states else "TRUE"
        return self.rows.some(condition, *states)

    def superseded(self) -> Iterator[SlideRecord]:
        """Yield the rows of slides of which an earlier state still lies in the output."""
        return self.rows.some("stale IS NOT NULL")

    def counts(self) -> Counter[State]:
        """Return how many slides are in which state."""
        with told():
            rows = self.rows.connection.execute("SELECT state, COUNT(*) FROM slide GROUP BY state")
            return Counter({State(state): count for state, count in rows})


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
        return list(ledger.links.studies())
