"""The vault: originals, and what stands for them. It never lies in the output."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from coverslip.deid.identity import Draw
from coverslip.deid.policy import Policy
from coverslip.errors import PolicyError
from coverslip.model import OperatorText, SealedFinding

FILE_NAME = "vault.sqlite"

_TABLES = """
CREATE TABLE IF NOT EXISTS draw (
    profile TEXT NOT NULL, project TEXT NOT NULL, kind TEXT NOT NULL, unit TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (profile, project, kind, unit)
);
CREATE TABLE IF NOT EXISTS pseudonym (
    kind TEXT NOT NULL, original TEXT NOT NULL, pseudonym TEXT NOT NULL,
    first_seen TEXT NOT NULL, key_id TEXT, project TEXT NOT NULL,
    PRIMARY KEY (kind, original, pseudonym)
);
CREATE TABLE IF NOT EXISTS slide (
    id INTEGER PRIMARY KEY, written TEXT NOT NULL, source_path TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL, slide_pseudonym TEXT NOT NULL, policy_sha256 TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS finding (
    slide INTEGER NOT NULL REFERENCES slide (id), place TEXT NOT NULL, key TEXT,
    kind TEXT NOT NULL, value TEXT, fate TEXT NOT NULL, attribute TEXT
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedAudit:
    """What is kept about one slide; printing it shows no original."""

    source: Path = field(repr=False)
    study_instance_uid: str
    slide_pseudonym: str
    policy: Policy
    key_id: str | None
    findings: tuple[SealedFinding, ...] = field(repr=False)
    pseudonyms: tuple[tuple[str, OperatorText, str], ...] = field(repr=False)
    """Kind, what the operator gave, what stands for it."""


class Vault:
    """An open vault; made by `open_vault`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def draw(self, policy: Policy) -> Draw:
        """Return what draws random bytes and remembers them, for a profile and a project."""

        def remember(kind: str, unit: str) -> bytes:
            row = (str(policy.profile), policy.project, kind, unit)
            with _told(), self._connection:
                # Whoever comes second takes what the first one drew.
                self._connection.execute(
                    "INSERT OR IGNORE INTO draw VALUES (?, ?, ?, ?, ?)",
                    (*row, secrets.token_bytes(16)),
                )
                found = self._connection.execute(
                    "SELECT bytes FROM draw WHERE (profile, project, kind, unit) = (?, ?, ?, ?)",
                    row,
                ).fetchone()
            return bytes(found[0])

        return remember

    def seal(self, audit: SealedAudit) -> None:
        """Keep what is known of one slide, all of it or nothing."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        source = os.fsencode(audit.source.absolute()).decode("utf-8", "replace")
        ours = (audit.study_instance_uid, audit.slide_pseudonym, audit.policy.digest())
        with _told(), self._connection:
            slide = self._connection.execute(
                "INSERT INTO slide VALUES (NULL, ?, ?, ?, ?, ?)", (now, source, *ours)
            ).lastrowid
            self._connection.executemany(
                "INSERT INTO finding VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(slide, *_row(sealed)) for sealed in audit.findings],
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO pseudonym VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (kind, original.reveal(), code, now, audit.key_id, audit.policy.project)
                    for kind, original, code in audit.pseudonyms
                ],
            )


def _row(sealed: SealedFinding) -> tuple[str | None, ...]:
    finding = sealed.finding
    text = None
    if sealed.text is not None:
        text = sealed.text.reveal().encode("utf-8", "backslashreplace").decode()
    return (finding.place, finding.key, finding.kind, text, finding.fate, finding.attribute)


def vault_beside(out: Path) -> Path:
    """Return where the vault of an output folder is unless the operator says it."""
    out = out.resolve()
    return out.with_name(f"{out.name}.vault")


def require_private(folder: Path, out: Path) -> None:
    """Make the folder of a vault for its owner only, if it does not exist.

    Raises
    ------
    PolicyError
        If it lies in the output or the output in it, or others than the owner may enter it.
    """
    folder, out = folder.resolve(), out.resolve()
    if folder.is_relative_to(out) or out.is_relative_to(folder):
        raise PolicyError(
            "the vault and the output may not lie in one another",
            hint="name another folder with --vault",
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        raise PolicyError("others than its owner may enter the vault", hint="chmod 700 the vault")


@contextmanager
def open_vault(folder: Path, out: Path) -> Iterator[Vault]:
    """Yield the vault in a folder, which is made for its owner only if it does not exist.

    Parameters
    ----------
    folder
        Where the vault is.
    out
        Where the output goes: what is shared must not hold the originals.

    Raises
    ------
    PolicyError
        If one folder lies in the other, or others than the owner may enter the vault.
    OSError
        If it cannot be made.
    """
    require_private(folder, out)
    path = folder / FILE_NAME
    # SQLite gives its journals the rights of the file, so the file comes first.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    with _told():
        connection = sqlite3.connect(path, timeout=60)
    with closing(connection):
        with _told():
            connection.executescript(_TABLES)
        yield Vault(connection)


@contextmanager
def _told() -> Iterator[None]:
    """Turn an error of the data base, whose message is not ours, into one of ours."""
    try:
        yield
    except sqlite3.Error:
        raise PolicyError("the vault cannot be read or written") from None
