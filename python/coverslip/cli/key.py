"""``coverslip key``."""

import sys
from pathlib import Path

from coverslip.deid.identity import new_key


def new(path: Path) -> None:
    """Write a new key and say by what it is told from others."""
    sys.stderr.write(f"wrote a key with the id {new_key(path).key_id}\n")
