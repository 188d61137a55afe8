"""Checks that the workers of a cluster see the same folders as the coordinator, before they begin.

Slides are not sent to workers, only their paths: a worker that sees another disk under the same
name would fail every slide, or write studies where nobody looks for them.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from coverslip import _core
from coverslip.archive.states import stamp_of
from coverslip.commit import PRIVATE
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy, Profile
from coverslip.errors import PolicyError
from coverslip.quarantine import quarantine_beside
from coverslip.sets import files_of

_SHARE = "workers must see slides, output and vault under the same names: mount a file system that "
_HINT = _SHARE + "all machines share, and give absolute paths"
_ANSWER = ".answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a worker is to find."""

    version: str
    slide: Path | None = field(repr=False)
    byte_count: int
    tokens: tuple[tuple[str, Path, str], ...] = field(repr=False)
    """Of each folder what it is, a file in it, and what that holds."""


def missing_of(sight: Sight) -> str | None:
    """Return what this process does not find of it, in words; it is called on a worker."""
    if _core.__version__ != sight.version:
        return f"has coverslip {_core.__version__}, not {sight.version}"
    for what, path, text in sight.tokens:
        try:
            if path.read_text("ascii") != text:
                return f"sees another {what}"
            answer = path.with_name(f"{path.stem}-{secrets.token_hex(8)}{_ANSWER}")
            answer.touch(exist_ok=False)
            answer.unlink()
        except FileNotFoundError:
            return f"does not see the {what}"
        except OSError as error:
            return f"cannot use the {what}: {error.strerror}"
    try:
        if sight.slide is not None and stamp_of(files_of(sight.slide))[0] != sight.byte_count:
            return "sees another file in the place of a slide"
    except OSError as error:
        return f"does not see the slides: {error.strerror}"
    return None


def require_shared(
    ask_all: Callable[[Callable[[Sight], str | None], Sight], Mapping[str, object]],
    *,
    out: Path,
    vault: Path,
    custody: Custody,
    policy: Policy,
    slides: Sequence[tuple[Path, int]],
) -> None:
    """Raise if a worker does not see what it will need.

    Parameters
    ----------
    ask_all
        Calls a function on each worker; returns results, or errors, by their addresses: ``run`` of
        a client of Dask Distributed.
    out, vault
        Where studies go, and where the ledger is; workers need the latter only where originals
        are kept.
    custody, policy
        Of the run; they tell whether originals are kept.
    slides
        Those to be converted, with their byte counts; the first stands for all.

    Raises
    ------
    PolicyError
        If there is no worker, or one does not see everything; which one is not said, since its
        address is the cluster's own affair, but how many.
    """
    folders = [("output", out)]
    if custody.vault is not None or policy.profile is not Profile.PUBLIC:
        folders.append(("vault", vault))
    if policy.profile is Profile.PUBLIC:
        folders.append(("quarantine", quarantine_beside(out)))
    slide, byte_count = slides[0] if slides else (None, 0)
    with _tokens(folders) as tokens:
        sight = Sight(
            version=_core.__version__,
            slide=None if slide is None else slide.absolute(),
            byte_count=byte_count,
            tokens=tokens,
        )
        found = ask_all(missing_of, sight)
    if not found:
        raise PolicyError("the scheduler has no workers", hint="start some: dask worker ADDRESS")
    bad = [_told(value) for value in found.values() if value is not None]
    if bad:
        raise PolicyError(f"{len(bad)} of {len(found)} workers: one {bad[0]}", hint=_HINT)


def _told(value: object) -> str:
    """Return what a worker said; whatever else went wrong there may quote a path."""
    if isinstance(value, str):
        return value
    return f"cannot run coverslip ({type(value).__name__})"


@contextmanager
def _tokens(folders: Sequence[tuple[str, Path]]) -> Iterator[tuple[tuple[str, Path, str], ...]]:
    """Yield a file with a random text in each folder; what was made for it goes again."""
    made: list[Path] = []
    tokens = []
    try:
        for what, folder in folders:
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True)
                made.append(folder)
            path = folder.absolute() / f"{PRIVATE}{secrets.token_hex(8)}.lock"
            text = secrets.token_hex(16)
            with path.open("x", encoding="ascii") as file:
                made.append(path)
                file.write(text)
            tokens.append((what, path, text))
        yield tuple(tokens)
    finally:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
