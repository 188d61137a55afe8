"""``coverslip report``."""

import sys
from pathlib import Path

from coverslip.deid.vault import read_vault
from coverslip.errors import CoverslipError, PolicyError
from coverslip.report.collect import Original, collect
from coverslip.report.page import write_report

_NAME = "report.html"


def run(out: Path, *, page: Path | None, vault: Path | None, overwrite: bool) -> None:
    """Write the page about an output and say where it is."""
    path = page or (Path(_NAME) if vault is None else vault / _NAME)
    if vault is not None and path.resolve().is_relative_to(out.resolve()):
        raise PolicyError(
            "a page with originals may not lie in the output",
            hint="leave -o out: the page goes into the vault",
        )
    if path.exists() and not overwrite:
        raise CoverslipError("the page exists", hint="replace it with --overwrite")
    collected = collect(out)
    originals = None if vault is None else _originals(vault)
    byte_count = write_report(collected, path, originals=originals, overwrite=overwrite)
    sys.stderr.write(
        f"wrote a page of {byte_count / 1e6:.1f} MB about {len(collected.slides)} slides\n"
    )
    if collected.unreadable:
        sys.stderr.write(f"note: {len(collected.unreadable)} certificates cannot be used\n")
    sys.stdout.write(f"{path}\n")


def _originals(vault: Path) -> dict[str, Original]:
    return {
        slide.slide_pseudonym: Original(
            source_path=slide.source_path,
            findings=tuple((row.place, row.kind, row.text, row.fate) for row in slide.findings),
        )
        for slide in read_vault(vault)
    }
