"""``coverslip sample``."""

import re
import sys
from pathlib import Path
from typing import Literal

import typer

from coverslip.errors import CoverslipError
from coverslip.sample import write_sample

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


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
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]B)?", size.strip().upper())
    if match is None:
        raise typer.BadParameter("sizes look like 200MB", param_hint="--size")
    return int(float(match[1]) * _UNITS[match[2] or ""])
