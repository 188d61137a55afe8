"""Encrypts what goes into a vault to a recipient, so that who writes it cannot read it again.

The format is age (https://age-encryption.org/v1), by pyrage, which is the extra ``age``.
"""

import importlib
import os
from pathlib import Path
from typing import Any

from coverslip.errors import PolicyError

MIN_PASSPHRASE = 12
_MAX_BYTES = 1 << 16  # a file of identities has some hundred


def check_recipient(recipient: str) -> None:
    """Raise unless a text is a recipient to whom can be encrypted here.

    Raises
    ------
    PolicyError
        If it is none, or pyrage is not installed.
    """
    _recipient(recipient)


def encrypted(document: bytes, recipient: str) -> bytes:
    """Return a document that only the recipient's identity opens."""
    return bytes(_pyrage().encrypt(document, [_recipient(recipient)]))


def decrypted(document: bytes, identities: tuple[str, ...]) -> bytes:
    """Return what a document holds.

    Raises
    ------
    PolicyError
        If none of the identities opens it.
    """
    pyrage = _pyrage()
    try:
        keys = [pyrage.x25519.Identity.from_str(text) for text in identities]
        return bytes(pyrage.decrypt(document, keys))
    except (pyrage.IdentityError, pyrage.DecryptError):
        raise PolicyError("the identity does not open this vault") from None


def new_identity() -> tuple[str, str]:
    """Return a new identity and its recipient."""
    identity = _pyrage().x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def locked(identity: str, passphrase: str) -> bytes:
    """Return an identity that only the passphrase opens; scrypt takes a second on purpose."""
    return bytes(_pyrage().passphrase.encrypt(identity.encode("ascii"), passphrase))


def unlocked(data: bytes, passphrase: str) -> str:
    """Return the identity in what `locked` made.

    Raises
    ------
    PolicyError
        If the passphrase does not open it.
    """
    pyrage = _pyrage()
    try:
        return bytes(pyrage.passphrase.decrypt(data, passphrase)).decode("ascii")
    except pyrage.DecryptError:
        raise PolicyError("the passphrase does not open this vault") from None


def check_passphrase(passphrase: str) -> str:
    """Return a passphrase without white space around it.

    Raises
    ------
    PolicyError
        If it is too short.
    """
    passphrase = passphrase.strip()
    if len(passphrase) < MIN_PASSPHRASE:
        raise PolicyError(f"a passphrase has at least {MIN_PASSPHRASE} characters")
    return passphrase


def read_passphrase(path: Path) -> str:
    """Return the passphrase in a file, which is its first line.

    Raises
    ------
    PolicyError
        If others may read the file, or it holds none that is long enough.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise PolicyError("others than its owner may read the passphrase", hint="chmod 600 it")
        line = file.read(_MAX_BYTES).partition(b"\n")[0]
    try:
        return check_passphrase(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise PolicyError("the passphrase is not UTF-8") from None


def read_identities(path: Path) -> tuple[str, ...]:
    """Return the identities in a file that age-keygen wrote.

    Raises
    ------
    PolicyError
        If it holds none.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        lines = file.read(_MAX_BYTES).decode("utf-8", "replace").split("\n")
    found = tuple(line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-1"))
    if not found:
        raise PolicyError("the file holds no identity", hint="age-keygen -o FILE makes one")
    return found


def _recipient(text: str) -> Any:  # noqa: ANN401 (pyrage is optional, so are its types)
    pyrage = _pyrage()
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise PolicyError(
            "this is no recipient", hint="recipients look like age1..., see age-keygen"
        ) from None


def _pyrage() -> Any:  # noqa: ANN401
    try:
        return importlib.import_module("pyrage")
    except ImportError:
        raise PolicyError(
            "pyrage is not installed", hint="install it with pip install 'coverslip[age]'"
        ) from None
