"""What a vault holds of slides, read again by who may open it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coverslip.deid.sealing import decrypted, unlocked
from coverslip.deid.vault import FILE_NAME, lock_of, told
from coverslip.errors import PolicyError


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFinding:
    """One row of the vault; printing it shows no original."""

    place: str
    kind: str
    text: str | None = field(repr=False)
    """``None`` where what was found is no text."""
    fate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSlide:
    """What a vault holds of one slide; printing it shows no original."""

    slide_pseudonym: str
    source_path: str = field(repr=False)
    findings: tuple[KeptFinding, ...] = field(repr=False)


def read_vault(folder: Path, identities: tuple[str, ...] = ()) -> tuple[KeptSlide, ...]:
    """Return what a vault holds of each slide; of one that was sealed twice, the later.

    Parameters
    ----------
    folder
        Where the vault is.
    identities
        What opens an encrypted one.

    Raises
    ------
    PolicyError
        If there is no vault in the folder, or it cannot be read or opened.
    """
    with _reading(folder) as db:
        slides = db.execute("SELECT slide_pseudonym, source_path, id FROM slide ORDER BY id")
        kept = {
            pseudonym: KeptSlide(
                slide_pseudonym=pseudonym,
                source_path=source,
                findings=tuple(_kept(db, number)),
            )
            for pseudonym, source, number in slides
        }
    documents = open_documents(folder, identities)
    return tuple((kept | {d["slide_pseudonym"]: _kept_of(d) for d in documents}).values())


def open_documents(folder: Path, identities: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """Return the documents of an encrypted vault in the order of writing; of others, none.

    Raises
    ------
    PolicyError
        If there is no vault in the folder, or it cannot be read or opened.
    """
    with _reading(folder) as db:
        has_sealed = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sealed'").fetchone()
        rows = db.execute("SELECT document FROM sealed ORDER BY id") if has_sealed else ()
        sealed = [bytes(document) for (document,) in rows]
    if sealed and not identities:
        raise PolicyError(
            "the vault is encrypted",
            hint="open it with the identity's file, --identity FILE, or with --passphrase FILE",
        )
    return tuple(json.loads(decrypted(document, identities)) for document in sealed)


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / FILE_NAME
    if not path.is_file():
        raise PolicyError("there is no vault in this folder", hint="see --vault of convert")
    with told(), closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        yield db


def _kept_of(document: dict[str, Any]) -> KeptSlide:
    return KeptSlide(
        slide_pseudonym=document["slide_pseudonym"],
        source_path=document["source_path"],
        findings=tuple(
            KeptFinding(place=f["place"], kind=f["kind"], text=f["value"], fate=f["fate"])
            for f in document["findings"]
        ),
    )


def _kept(connection: sqlite3.Connection, slide: int) -> Iterator[KeptFinding]:
    rows = connection.execute(
        "SELECT place, kind, value, fate FROM finding WHERE slide = ? ORDER BY rowid", (slide,)
    )
    for place, kind, value, fate in rows:
        yield KeptFinding(place=place, kind=kind, text=value, fate=fate)


def identities_of(folder: Path, passphrase: str) -> tuple[str, ...]:
    """Return what opens a vault, by the passphrase that it was locked with.

    Raises
    ------
    PolicyError
        If there is no such vault in the folder, or the passphrase does not open it.
    """
    with _reading(folder) as db:
        lock = lock_of(db)
    if lock is None:
        raise PolicyError(
            "no passphrase opens this vault", hint="see --vault-passphrase of convert"
        )
    return (unlocked(lock[1], passphrase),)
