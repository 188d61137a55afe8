"""Identities that last: the same pseudonyms and UIDs for the same patient, case and slide."""

import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coverslip.deid.policy import Link, Policy
from coverslip.deid.uids import (
    PseudonymKind,
    UidPurpose,
    pseudonym_of,
    uid_of,
    weeks_of,
)
from coverslip.errors import PolicyError
from coverslip.model import OperatorText, Slide

KEY_BYTES = 32
KEY_VARIABLE = "COVERSLIP_KEY"

Draw = Callable[[str, str], bytes]
"""Returns 16 bytes for a kind and the name of a unit, the same for the same."""


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that pseudonyms are derived from; printing it shows nothing."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise PolicyError(f"a key has {KEY_BYTES} bytes")

    @property
    def key_id(self) -> str:
        """Eight hexadecimal digits that tell keys apart and reveal nothing of them."""
        return hmac.digest(self.secret, b"key-id", "sha256").hex()[:8]

    def draw(self, policy: Policy) -> Draw:
        """Return what derives bytes from this key, for a profile and a project.

        The profile is part of it: what identifies and what does not shall share no UID.
        """
        domain = f"coverslip 1\0{policy.profile}\0{policy.project}"

        def derive(kind: str, unit: str) -> bytes:
            message = f"{domain}\0{kind}\0{unit}".encode()
            return hmac.digest(self.secret, message, "sha256")[:16]

        return derive


def new_key(path: Path) -> Key:
    """Write a new key into a new file that only its owner may read, and return it.

    Raises
    ------
    FileExistsError
        If there is something of that name, a symbolic link included.
    """
    key = Key(secrets.token_bytes(KEY_BYTES))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as file:
        file.write(key.secret.hex() + "\n")
        file.flush()
        os.fsync(descriptor)
    return key


def read_key(path: Path) -> Key:
    """Return the key in a file that `new_key` wrote.

    Raises
    ------
    PolicyError
        If others may read the file, or it holds no key.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise PolicyError(
                "others than its owner may read the key", hint="chmod 600 the key file"
            )
        text = file.read(2 * KEY_BYTES + 2).decode("ascii", "replace").strip()
    key = _key_of_text(text)
    if key is None:
        raise PolicyError("the file holds no key", hint="make one with coverslip key new FILE")
    return key


def take_key_from_environment() -> Key | None:
    """Return the key in the variable `KEY_VARIABLE`, and take the variable away.

    The processes that are started from here on, decoders of hostile data among them, would
    otherwise inherit it.

    Raises
    ------
    PolicyError
        If the variable holds no key, nothing at all included: who sets it wants to have one.
    """
    text = os.environ.pop(KEY_VARIABLE, None)
    if text is None:
        return None
    key = _key_of_text(text.strip())
    if key is None:
        raise PolicyError(
            f"the environment variable {KEY_VARIABLE} holds no key",
            hint=f"it is the text of a key file: {2 * KEY_BYTES} hexadecimal digits",
        )
    return key


def _key_of_text(text: str) -> Key | None:
    is_key = re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", text)
    return Key(bytes.fromhex(text)) if is_key else None


KeySource = Key | bytes | Callable[[], Key | bytes]
"""A key, its 32 bytes, or what returns either: a secret store, for example."""


def key_of(source: KeySource) -> Key:
    """Return the key that something is or gives.

    Raises
    ------
    PolicyError
        If it is no key; what else it is, is not said.
    """
    given = source() if callable(source) else source
    if isinstance(given, Key):
        return given
    if isinstance(given, bytes | bytearray):
        return Key(bytes(given))
    raise PolicyError(f"a key is {KEY_BYTES} bytes, or what returns them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a slide is of, as far as the operator told, and which scan it is."""

    scan: str
    """Fingerprint of the file's content, see `fingerprint`."""
    patient: OperatorText | None = None
    case: OperatorText | None = None
    study: OperatorText | None = None
    """The Study Instance UID that it has already."""
    container: OperatorText | None = None
    specimen: OperatorText | None = None
    device: OperatorText | None = None

    def unit(self, *levels: str) -> str:
        """Return the name of the first of some levels that is known, or that of the scan.

        The level is part of the name: a case that is numbered like a patient is another unit.
        """
        for level in levels:
            text = getattr(self, level)
            if text is not None:
                return f"{level}\0{normalised(text.reveal())}"
        return f"scan\0{self.scan}"


def normalised(text: str) -> str:
    """Return a text without what people write now so, now so: case, spaces, separators."""
    upper = unicodedata.normalize("NFKC", text).upper()
    return re.sub(r"[\s_./\\-]+", "-", upper.strip()).strip("-")


def fingerprint(slide: Slide) -> str:
    """Return a digest of the lengths of all tiles and of all texts of a slide.

    It is that of the same file on any machine and under any name, and costs no reading. Two scans
    never have all tiles of the same lengths. It is never written: only keyed or sealed.
    """
    digest = hashlib.sha256()
    for level in slide.levels:
        digest.update(f"{level.image_width} {level.image_length}\0".encode())
        for plane in level.focal_planes:
            digest.update(plane.tiles.byte_counts.astype("<u8").tobytes())
    for item in slide.metadata.items:
        text = item.text.reveal().encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(8) + text)
    return digest.hexdigest()


class LinkedIdentity:
    """An `Identity` that gives the same to whatever the policy links.

    Parameters
    ----------
    draw
        Where bytes come from: a key, or a vault that remembers them.
    subject
        What the slide is of.
    link
        Whose slides share a Patient ID, and a study.
    """

    def __init__(self, draw: Draw, subject: Subject, link: Link) -> None:
        self._draw = draw
        self._subject = subject
        patient, study = {
            Link.PATIENT: (("patient", "case", "study"), ("study", "case")),
            # One study has one patient, so both are named by the same.
            Link.CASE: (("study", "case"), ("study", "case")),
            Link.SLIDE: (("container",), ("container",)),
        }[link]
        self._patient = subject.unit(*patient)
        self._study = subject.unit(*study)

    def uid(self, purpose: UidPurpose, number: int = 0, *more: int) -> str:
        """Return the UID of what the purpose names; that of a picture belongs to the scan."""
        numbers = " ".join(map(str, (number, *more)))
        return uid_of(self._draw(f"uid {purpose} {numbers}", self._unit(purpose)))

    def pseudonym(self, kind: PseudonymKind) -> str:
        """Return the pseudonym of what the kind stands for."""
        return pseudonym_of(kind, self._draw(f"pseudonym {kind}", self.unit_of(kind)))

    def shift_weeks(self) -> int:
        """Return the weeks by which all dates of the patient go back."""
        return weeks_of(self._draw("weeks", self._patient))

    def unit_of(self, kind: PseudonymKind) -> str:
        """Return the name of what a pseudonym stands for; it holds the original."""
        subject = self._subject
        return {
            PseudonymKind.PATIENT: self._patient,
            PseudonymKind.CASE: subject.unit("case"),
            PseudonymKind.CONTAINER: subject.unit("container"),
            PseudonymKind.SPECIMEN: subject.unit("specimen", "container"),
            PseudonymKind.DEVICE: subject.unit("device"),
        }[kind]

    def _unit(self, purpose: UidPurpose) -> str:
        if purpose is UidPurpose.STUDY:
            return self._study
        if purpose is UidPurpose.SPECIMEN:
            return self.unit_of(PseudonymKind.SPECIMEN)
        return self._subject.unit()
