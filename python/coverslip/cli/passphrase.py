"""Where a passphrase comes from: a file, a prompt, or the environment; never the command line."""

import getpass
import os
from dataclasses import replace
from pathlib import Path

from coverslip.deid.custody import Custody
from coverslip.deid.originals import identities_of
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.sealing import check_passphrase, read_identities, read_passphrase
from coverslip.deid.vault import open_vault, vault_beside
from coverslip.errors import PolicyError, given

VARIABLE = "COVERSLIP_VAULT_PASSPHRASE"
PROMPT = Path("-")


def passphrase_from(file: Path | None, *, is_new: bool) -> str | None:
    """Return the passphrase of a file, of a prompt for ``-``, or of the environment.

    Raises
    ------
    PolicyError
        If it is too short, or the two that were typed differ.
    """
    if file == PROMPT:
        typed = check_passphrase(getpass.getpass("Passphrase of the vault: "))
        if is_new and getpass.getpass("Once more: ").strip() != typed:
            raise PolicyError("the passphrases differ")
        return typed
    if file is not None:
        with given("the passphrase"):
            return read_passphrase(file)
    text = os.environ.get(VARIABLE)
    return None if text is None else check_passphrase(text)


def locked_custody(custody: Custody, out: Path, policy: Policy, file: Path | None) -> Custody:
    """Return a custody whose vault a passphrase opens; the same one if none was given.

    Raises
    ------
    PolicyError
        If there is no vault to encrypt, or its passphrase is another one.
    """
    folder = custody.vault
    if folder is None and policy.profile is not Profile.PUBLIC:
        folder = vault_beside(out)
    if folder is None:
        if file is not None:
            raise PolicyError("there is no vault to encrypt", hint="name one with --vault")
        return custody
    passphrase = passphrase_from(file, is_new=not folder.exists())
    if passphrase is None:
        return custody
    if custody.recipient is not None:
        raise PolicyError("a vault has a recipient or a passphrase, not both")
    with open_vault(folder, out) as vault:
        return replace(custody, recipient=vault.lock(passphrase))


def identities_from(vault: Path, identity: Path | None, passphrase: Path | None) -> tuple[str, ...]:
    """Return what opens a vault: what an identity's file holds, or what a passphrase opens."""
    if identity is not None:
        with given("the identity"):
            return read_identities(identity)
    text = passphrase_from(passphrase, is_new=False)
    return () if text is None else identities_of(vault, text)
