"""``coverslip vault``."""

import json
import os
import sys
from pathlib import Path

from coverslip.cli.passphrase import identities_from
from coverslip.deid.originals import open_documents
from coverslip.errors import CoverslipError


def open_to(vault: Path, file: Path, identity: Path | None, passphrase: Path | None) -> None:
    """Write the documents of an encrypted vault into a new file and say how many there are."""
    documents = open_documents(vault, identities_from(vault, identity, passphrase))
    if not documents:
        raise CoverslipError("the vault is not encrypted", hint="read it with any SQLite program")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(json.dumps(document) + "\n" for document in documents)
    sys.stderr.write(f"wrote originals of {len(documents)} slides; do not share them\n")
    sys.stdout.write(f"{file}\n")
