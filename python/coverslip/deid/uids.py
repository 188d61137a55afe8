"""UIDs and pseudonyms."""

import hmac
import secrets
import uuid
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without the letters that are mistaken for digits (I, L, O) and without U."""

PSEUDONYM_BITS = 60
MAX_SHIFT_WEEKS = 521


class PseudonymKind(StrEnum):
    """Whom or what a pseudonym stands for: its first letter."""

    PATIENT = "P"
    CASE = "A"
    CONTAINER = "C"
    SPECIMEN = "S"
    DEVICE = "D"


class UidPurpose(StrEnum):
    """What a UID names."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"
    FRAME_OF_REFERENCE = "frame of reference"
    PYRAMID = "pyramid"
    DIMENSION_ORGANIZATION = "dimension organization"
    SPECIMEN = "specimen"
    CONCATENATION = "concatenation"
    PART = "concatenation part"


class Identity(Protocol):
    """Gives what stands in the place of one slide's identifiers; the same whenever asked."""

    def uid(self, purpose: UidPurpose, number: int = 0, *more: int) -> str:
        """Return the UID of a purpose; numbers tell those of one purpose apart."""

    def pseudonym(self, kind: PseudonymKind) -> str:
        """Return a code of at most 16 characters."""

    def shift_weeks(self) -> int:
        """Return by how many weeks the patient's dates go back, from 1 to 521."""


class RandomIdentity:
    """An `Identity` that draws everything by chance; nothing outlives it.

    Parameters
    ----------
    random_bytes
        Returns as many unpredictable bytes as it is asked for.
    """

    def __init__(self, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._random_bytes = random_bytes
        self._uids: dict[tuple[UidPurpose, tuple[int, ...]], str] = {}
        self._pseudonyms: dict[PseudonymKind, str] = {}
        self._weeks: int | None = None

    def uid(self, purpose: UidPurpose, number: int = 0, *more: int) -> str:
        """Return a UID made of a random UUID (PS3.5 B.2)."""
        name = (purpose, (number, *more))
        if name not in self._uids:
            drawn = uuid.UUID(bytes=self._random_bytes(16), version=4)
            self._uids[name] = f"2.25.{drawn.int}"
        return self._uids[name]

    def pseudonym(self, kind: PseudonymKind) -> str:
        """Return kind, hyphen, 60 random bits in 12 characters, check character."""
        if kind not in self._pseudonyms:
            self._pseudonyms[kind] = pseudonym_of(kind, self._random_bytes(8))
        return self._pseudonyms[kind]

    def shift_weeks(self) -> int:
        """Return a random number of weeks."""
        if self._weeks is None:
            self._weeks = weeks_of(self._random_bytes(8))
        return self._weeks


def stream_of(seed: bytes) -> Callable[[int], bytes]:
    """Return what gives bytes that only the seed tells, the same in the same order."""
    count = 0

    def draw(byte_count: int) -> bytes:
        nonlocal count
        count += 1
        return hmac.digest(seed, count.to_bytes(8), "sha256")[:byte_count]

    return draw


def uid_of(drawn: bytes) -> str:
    """Return the UID made of a UUID of version 8, whose bits are ours to choose (RFC 9562)."""
    number = int.from_bytes(drawn[:16])
    number = number & ~(0xF << 76) | 8 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    return f"2.25.{number}"


def pseudonym_of(kind: PseudonymKind, drawn: bytes) -> str:
    """Return kind, hyphen, the first 60 bits in 12 characters, check character."""
    number = int.from_bytes(drawn[:8]) >> (64 - PSEUDONYM_BITS)
    body = "".join(CROCKFORD[number >> shift & 0x1F] for shift in range(PSEUDONYM_BITS - 5, -1, -5))
    return f"{kind}-{body}{check_character(body)}"


def weeks_of(drawn: bytes) -> int:
    """Return from 1 to 521 weeks: up to ten years."""
    return 1 + int.from_bytes(drawn[:8]) % MAX_SHIFT_WEEKS


def check_character(body: str) -> str:
    """Return the check character of a pseudonym's body, in the body's own alphabet.

    It is that of Luhn's method with 32 digits: it finds every single wrong character, and two
    neighbours that changed places unless they are the alphabet's first and last. Crockford's own
    check would need ``*`` and ``=``, which mean something in file names and person names.

    Raises
    ------
    ValueError
        If a character is not in the alphabet.
    """
    total = 0
    for position, character in enumerate(reversed(body)):
        value = CROCKFORD.index(character) * (2 if position % 2 == 0 else 1)
        total += value // 32 + value % 32
    return CROCKFORD[-total % 32]
