"""Where slides are set aside whose pixels a person has to look at.

It lies beside the output and never in it: whoever shares an output must not share these by
oversight.
"""

import re
import shutil
from pathlib import Path

from coverslip.commit import sweep
from coverslip.errors import QuarantineError

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


def quarantine_beside(out: Path) -> Path:
    """Return the quarantine of an output folder."""
    out = out.resolve()
    return out.with_name(f"{out.name}.quarantine")


def require_quarantine(out: Path) -> Path:
    """Return the quarantine of an output, made for its owner only if it does not exist.

    Raises
    ------
    QuarantineError
        If others than its owner may enter it, or it is a link.
    OSError
        If it cannot be made.
    """
    folder = quarantine_beside(out)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_mode & 0o077:
        raise QuarantineError("others than its owner may enter the quarantine")
    return folder


def release_from_quarantine(out: Path, study_instance_uid: str) -> None:
    """Remove what was set aside, now that its slide was converted.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    study = quarantine_beside(out) / study_instance_uid
    # The name may come from a ledger, which is a file: nothing else than a study goes.
    if _UID.fullmatch(study_instance_uid) and study.is_dir() and not study.is_symlink():
        shutil.rmtree(study)


def remove_if_empty(out: Path) -> None:
    """Remove the quarantine of an output if nothing is in it, and nobody is about to set aside."""
    folder = quarantine_beside(out)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def sweep_with_quarantine(out: Path) -> None:
    """Remove what conversions that were killed left in an output and its quarantine."""
    for folder in (out, quarantine_beside(out)):
        if folder.is_dir():
            sweep(folder)
