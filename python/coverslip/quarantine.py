"""Where slides are set aside whose pixels a person has to look at.

It lies beside the output and never in it: whoever shares an output must not share these by
oversight.
"""

import re
import shutil
from pathlib import Path

from coverslip.commit import sweep
from coverslip.errors import PolicyError

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


def quarantine_beside(out: Path) -> Path:
    """Return the quarantine of an output folder."""
    out = out.resolve()
    return out.parent / f"{out.name}.quarantine"


def require_quarantine(out: Path) -> Path:
    """Return the quarantine of an output, made for its owner only if it does not exist.

    Raises
    ------
    PolicyError
        If that cannot be, others than its owner may enter it, or it is a link.
    """
    folder = quarantine_beside(out)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_private = not folder.is_symlink() and not folder.stat().st_mode & 0o077
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PolicyError(f"OUT.quarantine cannot be made: {reason}") from None
    if not is_private:
        raise PolicyError("others than its owner may enter OUT.quarantine")
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


def is_set_aside(out: Path, study_instance_uid: str | None) -> bool:
    """Tell whether a study is in the quarantine of an output."""
    return study_instance_uid is not None and (quarantine_beside(out) / study_instance_uid).is_dir()


def studies_in_quarantine(out: Path) -> set[str]:
    """Return the names of what is set aside; none where that cannot be seen."""
    try:
        return {path.name for path in quarantine_beside(out).iterdir() if _UID.fullmatch(path.name)}
    except OSError:
        return set()


def sweep_with_quarantine(out: Path) -> None:
    """Remove what conversions that were killed left in an output and its quarantine."""
    for folder in (out, quarantine_beside(out)):
        if folder.is_dir():
            sweep(folder)
