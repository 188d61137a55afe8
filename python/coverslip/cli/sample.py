"""``coverslip sample``."""

import sys
from pathlib import Path
from typing import Literal

import typer

from coverslip.deid.policy import byte_count_of
from coverslip.errors import CoverslipError
from coverslip.sample import write_sample


def run(
    file: Path, *, size: str | None, compression: Literal["jpeg", "jpeg2000"], seed: int
) -> None:
    """Write a sample slide and say what to do with it."""
    byte_count = None if size is None else _byte_count(size)
    if file.exists():
        raise CoverslipError("the file exists", hint="choose another name")
    report = write_sample(file, byte_count=byte_count, compression=compression, seed=seed)
    sys.stderr.write(
        f"wrote a slide of {report.width} x {report.length} pixels in {report.level_count} levels, "
        f"{report.byte_count / 1e6:.1f} MB, with {len(report.identifiers)} invented identifiers\n"
    )
    sys.stdout.write(f"{file}\n")


def _byte_count(size: str) -> int:
    byte_count = byte_count_of(size)
    if byte_count is None:
        raise typer.BadParameter("sizes look like 200MB", param_hint="--size")
    return byte_count
