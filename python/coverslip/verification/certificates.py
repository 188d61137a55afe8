"""Checks certificates against their schema, their place and the instances that they list."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coverslip import _core
from coverslip.verification import schema
from coverslip.verification.parts import Part

ENDING = ".certificate.json"
_OF_THE_SCAN = ("VOLUME", "THUMBNAIL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the instances beside certificates."""

    instances: Mapping[str, Path]
    """By SOP Instance UID."""
    parts: Mapping[Path, Part]
    """Of those that are parts of a level."""
    is_identified: Mapping[str, bool]
    """Whether identity is in a study, by its UID."""
    in_doubt: Collection[str]
    """SOP Instance UIDs of those that say that their pixels may identify."""
    hashes: bool
    """Whether digests are compared."""


@dataclass(slots=True)
class Certificate:
    """A certificate and what is wrong with it."""

    problems: list[str] = field(default_factory=list)
    attested: frozenset[str] = frozenset()
    """SOP Instance UIDs of instances for whose pixels somebody vouches."""


def read(path: Path, known: Known) -> Certificate:
    """Check a certificate.

    Raises
    ------
    NotImplementedError
        If its schema has what is not checked.
    """
    try:
        certificate = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        return Certificate(["it is not JSON"])
    broken = list(schema.problems_of(certificate, schema.certificate_schema()))
    if broken:
        return Certificate(broken)
    attested: frozenset[str] = frozenset()
    if certificate["policy"]["options"]["pixels_attested"] is not None:
        attested = frozenset(r["sop_instance_uid"] for r in certificate["instances"])
    problems = [
        *_place(path, certificate, known),
        *_instances(certificate, known),
        *_doubts(certificate, known),
    ]
    return Certificate(problems, attested)


def _place(path: Path, certificate: dict[str, Any], known: Known) -> Iterator[str]:
    study = certificate["study_instance_uid"]
    if path.name != f"{certificate['slide_pseudonym']}{ENDING}":
        yield "its name is not the container identifier"
    if path.parent.name != study:
        yield "it lies in the folder of another study"
    is_care = certificate["policy"]["profile"] == "care"
    if known.is_identified.get(study, is_care) != is_care:
        yield "its profile is not what the instances say of their identity"


def _instances(certificate: dict[str, Any], known: Known) -> Iterator[str]:
    for record in certificate["instances"]:
        instance = known.instances.get(record["sop_instance_uid"])
        if instance is None:
            yield "it lists an instance that is not there"
            continue
        digest = record["blake3"] if known.hashes else None
        if digest is not None and _core.blake3_of_file(instance) != digest:
            yield "an instance is not the one that it lists"
        part = known.parts.get(instance)
        said = tuple(record.get(f"in_concatenation_{name}") for name in ("number", "total_number"))
        if said != ((None, None) if part is None else (part.number, part.total)):
            yield "an instance is another part of its level than it lists"


def _doubts(certificate: dict[str, Any], known: Known) -> Iterator[str]:
    """Check that instances of the scan say that they may identify where that is not excluded."""
    is_doubtful = schema.is_in_doubt(certificate)
    for record in certificate["instances"]:
        uid, role = record["sop_instance_uid"], record["image_type"][2]
        if uid not in known.instances or role not in _OF_THE_SCAN:
            continue
        if is_doubtful and uid not in known.in_doubt:
            yield "its pixels may identify, and an instance says that they do not"
        elif not is_doubtful and uid in known.in_doubt:
            yield "an instance says that its pixels may identify, and nothing was found in them"
