"""UIDs and pseudonyms."""

import secrets
import uuid
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without the letters that are mistaken for digits (I, L, O) and without U."""

PSEUDONYM_BITS = 60


class PseudonymKind(StrEnum):
    """Whom or what a pseudonym stands for: its first letter."""

    PATIENT = "P"
    CONTAINER = "C"
    SPECIMEN = "S"


class Identity(Protocol):
    """Gives what stands in the place of identifiers."""

    def uid(self) -> str:
        """Return a UID that was never given before."""

    def pseudonym(self, kind: PseudonymKind) -> str:
        """Return a code of at most 16 characters that was never given before."""


class RandomIdentity:
    """An `Identity` that draws everything by chance and remembers nothing.

    Parameters
    ----------
    random_bytes
        Returns as many unpredictable bytes as it is asked for.
    """

    def __init__(self, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._random_bytes = random_bytes

    def uid(self) -> str:
        """Return a UID made of a random UUID (PS3.5 B.2)."""
        return f"2.25.{uuid.UUID(bytes=self._random_bytes(16), version=4).int}"

    def pseudonym(self, kind: PseudonymKind) -> str:
        """Return kind, hyphen, 60 random bits in 12 characters, check character."""
        number = int.from_bytes(self._random_bytes(8)) >> (64 - PSEUDONYM_BITS)
        body = "".join(
            CROCKFORD[number >> shift & 0x1F] for shift in range(PSEUDONYM_BITS - 5, -1, -5)
        )
        return f"{kind}-{body}{check_character(body)}"


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
