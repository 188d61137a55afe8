"""Marks an output as that of one ledger, so that no other one converts the same slides into it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coverslip.commit import PRIVATE
from coverslip.errors import PolicyError

MARK = f"{PRIVATE}ledger"
"""A file in the output that holds 32 random hexadecimal digits and nothing else."""


@contextmanager
def claimed(out: Path, token: str) -> Iterator[None]:
    """Hold that an output is that of the ledger with this token; the mark stays.

    An output that is still empty in the end is removed again. One that cannot be written to is
    left to the slides, which tell why.

    Raises
    ------
    PolicyError
        If it is that of another ledger.
    """
    made = []
    with suppress(OSError):
        for folder in (out, *out.parents):
            if folder.exists():
                break
            made.append(folder)
        out.mkdir(parents=True, exist_ok=True)
    try:
        _mark(out / MARK, token)
        yield
    finally:
        with suppress(OSError):
            if [path.name for path in out.iterdir()] == [MARK]:
                (out / MARK).unlink()
            for folder in made:
                folder.rmdir()


def _mark(path: Path, token: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError:
        return
    try:
        known = os.pread(descriptor, 100, 0).decode("ascii", "replace")
        if known not in ("", token):  # empty if a run was killed between the two calls
            hint = "name that vault with --vault, or take another output"
            if re.fullmatch("[0-9a-f]{32}", known):
                hint += f"; if the vault is lost, remove {MARK} there: all will be converted again"
            raise PolicyError("the output belongs to the ledger of another vault", hint=hint)
        with suppress(OSError):
            os.pwrite(descriptor, token.encode(), 0)
    finally:
        os.close(descriptor)
