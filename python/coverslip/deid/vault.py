"""The vault: originals, and what stands for them. It never lies in the output.

Here it is written; `coverslip.deid.originals` reads it.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from coverslip.deid.identity import Draw
from coverslip.deid.origins import Origin
from coverslip.deid.policy import Policy
from coverslip.deid.sealing import (
    check_recipient,
    encrypted,
    locked,
    new_identity,
    unlocked,
)
from coverslip.errors import PolicyError, UsageError
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
    kind TEXT NOT NULL, value TEXT, fate TEXT NOT NULL, attribute TEXT,
    format TEXT, ifd INTEGER, tag INTEGER, byte_offset INTEGER, byte_count INTEGER,
    encoding TEXT, rule TEXT, pieces INTEGER, looked_at INTEGER, among INTEGER
);
CREATE TABLE IF NOT EXISTS sealed (
    id INTEGER PRIMARY KEY, written TEXT NOT NULL, study_instance_uid TEXT NOT NULL,
    slide_pseudonym TEXT NOT NULL, recipient TEXT NOT NULL, document BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS lock (
    id INTEGER PRIMARY KEY CHECK (id = 1), recipient TEXT NOT NULL, identity BLOB NOT NULL
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
    format: str
    findings: tuple[tuple[SealedFinding, Origin], ...] = field(repr=False)
    pseudonyms: tuple[tuple[str, OperatorText, str], ...] = field(repr=False)
    """Kind, what the operator gave, what stands for it."""


class Vault:
    """An open vault; made by `open_vault`.

    With a recipient, what it keeps of a slide is one encrypted document, and only who has the
    recipient's identity can read it again.
    """

    def __init__(self, connection: sqlite3.Connection, recipient: str | None = None) -> None:
        self._connection = connection
        self._recipient = recipient

    def lock(self, passphrase: str) -> str:
        """Let a passphrase open the vault, and return whom it is encrypted to from now on.

        The identity lies in the vault itself, encrypted with the passphrase, so that this is
        needed to read and not to write.

        Raises
        ------
        PolicyError
            If another passphrase was set, or the vault is encrypted to a recipient of its own.
        """
        known = lock_of(self._connection)
        if known is None:
            if self._recipient is not None:
                raise UsageError("the vault is encrypted to a recipient, not with a passphrase")
            identity, recipient = new_identity()
            _recipient_of(self._connection, recipient)
            with told(), self._connection:
                # Whoever comes second finds the lock of the first one.
                self._connection.execute(
                    "INSERT OR IGNORE INTO lock VALUES (1, ?, ?)",
                    (recipient, locked(identity, passphrase)),
                )
            known = lock_of(self._connection)
            if known is None:  # what was inserted is there
                raise AssertionError("the vault has no lock")
            if known[0] == recipient:
                return recipient
        unlocked(known[1], passphrase)
        return known[0]

    def draw(self, policy: Policy) -> Draw:
        """Return what draws random bytes and remembers them, for a profile and a project.

        Raises
        ------
        PolicyError
            If the vault is encrypted: to find what was drawn for a patient, it would have to
            hold the patient's number in clear.
        """
        if self._recipient is not None:
            raise UsageError(
                "an encrypted vault cannot remember random pseudonyms",
                hint="derive them from a key with --key, or link nothing with --link none",
            )

        def remember(kind: str, unit: str) -> bytes:
            row = (str(policy.profile), policy.project, kind, unit)
            with told(), self._connection:
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
        if self._recipient is not None:
            self._encrypt(audit, now, source, self._recipient)
            return
        ours = (audit.study_instance_uid, audit.slide_pseudonym, audit.policy.digest())
        with told(), self._connection:
            slide = self._connection.execute(
                "INSERT INTO slide VALUES (NULL, ?, ?, ?, ?, ?)", (now, source, *ours)
            ).lastrowid
            self._connection.executemany(
                f"INSERT INTO finding (slide, {', '.join(_COLUMNS)}) "  # noqa: S608 (ours)
                f"VALUES (?{', ?' * len(_COLUMNS)})",
                [(slide, *row) for row in _rows(audit)],
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO pseudonym VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (kind, original.reveal(), code, now, audit.key_id, audit.policy.project)
                    for kind, original, code in audit.pseudonyms
                ],
            )

    def _encrypt(self, audit: SealedAudit, now: str, source: str, recipient: str) -> None:
        """Keep what is known of one slide as one document; in clear only what the output tells."""
        document = {
            "written": now,
            "source_path": source,
            "study_instance_uid": audit.study_instance_uid,
            "slide_pseudonym": audit.slide_pseudonym,
            "policy_sha256": audit.policy.digest(),
            "project": audit.policy.project,
            "key_id": audit.key_id,
            "findings": [dict(zip(_COLUMNS, row, strict=True)) for row in _rows(audit)],
            "pseudonyms": [
                {"kind": kind, "original": original.reveal(), "pseudonym": code}
                for kind, original, code in audit.pseudonyms
            ],
        }
        sealed = encrypted(json.dumps(document).encode(), recipient)
        with told(), self._connection:
            self._connection.execute(
                "INSERT INTO sealed VALUES (NULL, ?, ?, ?, ?, ?)",
                (now, audit.study_instance_uid, audit.slide_pseudonym, recipient, sealed),
            )


_COLUMNS = (
    *("place", "key", "kind", "value", "fate", "attribute"),
    *("format", "ifd", "tag", "byte_offset", "byte_count", "encoding", "rule"),
    *("pieces", "looked_at", "among"),
)
"""Of `_rows`, as the documents of an encrypted vault name them."""


def _rows(audit: SealedAudit) -> Iterator[tuple[str | int | None, ...]]:
    """Yield a row for each finding; that of the file's name holds the folders above it as well."""
    source = os.fsencode(audit.source.absolute()).decode("utf-8", "replace")
    for sealed, origin in audit.findings:
        finding = sealed.finding
        text = source if finding.place == "file name" else None
        if sealed.text is not None:
            text = sealed.text.reveal().encode("utf-8", "backslashreplace").decode()
        yield (
            *(finding.place, finding.key, finding.kind, text, finding.fate, finding.attribute),
            *(audit.format, origin.ifd, origin.tag, origin.offset, origin.byte_count),
            *(origin.encoding, sealed.rule),
            *(finding.pieces, finding.looked_at, finding.among),
        )


def _widen(connection: sqlite3.Connection) -> None:
    """Give the findings of an older vault the columns that it does not have."""
    there = {row[1] for row in connection.execute("PRAGMA table_info(finding)")}
    for column in _COLUMNS:
        if column not in there:
            connection.execute(f"ALTER TABLE finding ADD COLUMN {column}")


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
        raise UsageError(
            "the vault and the output may not lie in one another",
            hint="name another folder with --vault",
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        raise UsageError("others than its owner may enter the vault", hint="chmod 700 the vault")


@contextmanager
def open_vault(folder: Path, out: Path, recipient: str | None = None) -> Iterator[Vault]:
    """Yield the vault in a folder, which is made for its owner only if it does not exist.

    Parameters
    ----------
    folder
        Where the vault is.
    out
        Where the output goes: what is shared must not hold the originals.
    recipient
        Whom the originals are encrypted to; a vault that was encrypted once stays so without it.

    Raises
    ------
    PolicyError
        If one folder lies in the other, others than the owner may enter the vault, or it holds
        originals in clear or to another recipient.
    OSError
        If it cannot be made.
    """
    require_private(folder, out)
    path = folder / FILE_NAME
    # SQLite gives its journals the rights of the file, so the file comes first.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    with told():
        connection = sqlite3.connect(path, timeout=60)
    with closing(connection):
        with told():
            connection.executescript(_TABLES)
            _widen(connection)
        yield Vault(connection, _recipient_of(connection, recipient))


def lock_of(connection: sqlite3.Connection) -> tuple[str, bytes] | None:
    """Return the recipient of a vault with a passphrase, and its identity as it is locked."""
    with told():
        has_lock = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'lock'").fetchone()
        row = (
            connection.execute("SELECT recipient, identity FROM lock").fetchone()
            if has_lock
            else None
        )
    return None if row is None else (str(row[0]), bytes(row[1]))


def _recipient_of(connection: sqlite3.Connection, recipient: str | None) -> str | None:
    """Return whom a vault is encrypted to, ``None`` if it is not.

    Raises
    ------
    PolicyError
        If that is another one, or the vault holds originals in clear.
    """
    with told():
        known = connection.execute(
            "SELECT recipient FROM lock UNION ALL SELECT recipient FROM sealed LIMIT 1"
        ).fetchone()
        clear = connection.execute(
            "SELECT 1 FROM slide UNION ALL SELECT 1 FROM draw LIMIT 1"
        ).fetchone()
    if known is not None and recipient not in (None, known[0]):
        raise UsageError("the vault is encrypted to another recipient")
    if clear is not None and recipient is not None:
        raise UsageError(
            "the vault holds originals that are not encrypted", hint="name another with --vault"
        )
    recipient = recipient if known is None else str(known[0])
    if recipient is not None:
        check_recipient(recipient)
    return recipient


@contextmanager
def told() -> Iterator[None]:
    """Turn an error of the data base, whose message is not ours, into one of ours."""
    try:
        yield
    except sqlite3.Error:
        raise PolicyError("the vault cannot be read or written") from None
