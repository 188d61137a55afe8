"""``coverslip verify``."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coverslip.archive.ledger import read_ledger, read_unlinked
from coverslip.cli import say_error
from coverslip.cli.guarded import guarded
from coverslip.cli.passphrase import identities_from
from coverslip.deid.metadata import MetadataTable, read_metadata
from coverslip.deid.originals import read_vault
from coverslip.errors import CoverslipError, UsageError, given
from coverslip.verification.check import OnProgress, verify
from coverslip.verification.many import Converted, verify_many
from coverslip.verification.report import EXIT_UNCHECKED, VerifyReport

_CERTIFICATE = ".certificate.json"
_SHOWN = 20
"""More lines than anyone reads; the JSON has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What finished files are checked against."""

    source: Path | None = None
    terms: Path | None = None
    metadata: Path | None = None
    """The table of what the operator knows."""
    vault: Path | None = None
    """Where the paths of the slides are."""
    identifiers: Path | None = None
    """The vault whose originals are looked for, of the slides that are in the output."""
    identity: Path | None = None
    passphrase: Path | None = None
    """What opens it."""
    fast: bool = False


def run(out: Path, against: Against, *, show_progress: bool, as_json: bool) -> int:
    """Check finished files and say what was found; return the exit status."""
    if against.terms is not None:
        with given("the list of terms"):
            against.terms.open("rb").close()
    _require_sense(against)
    try:
        with guarded(out, *([] if against.source is None else [against.source])):
            report = _checked(out, against, show_progress=show_progress)
    except (CoverslipError, OSError) as error:
        say_error(error)
        return EXIT_UNCHECKED
    if as_json:
        sys.stdout.write(json.dumps(report.to_dict(), indent=2) + "\n")
    else:
        sys.stdout.write(_text(report, fast=against.fast))
    return report.exit_status


def _require_sense(against: Against) -> None:
    """Raise `UsageError` for options that contradict each other."""
    if against.vault is not None and against.source is not None:
        raise UsageError("the vault tells the slides", hint="give --source or --vault")
    if against.vault is not None and (against.fast or against.identifiers is not None):
        raise UsageError("--fast and --identifiers look at no slide, which --vault does")
    if against.metadata is not None and against.vault is None and against.source is None:
        raise UsageError("a row of the metadata is found by its slide", hint="name it: --source")


def _checked(out: Path, against: Against, *, show_progress: bool) -> VerifyReport:
    table = None if against.metadata is None else read_metadata(against.metadata)
    if against.vault is not None:
        return _of_vault(out, against, table, show_progress=show_progress)
    given = () if against.source is None else _given(table, against.source)
    kept = () if against.identifiers is None else tuple(_kept(out, against, against.identifiers))
    with _progress(show=show_progress) as on_progress:
        return verify(
            out,
            against.source,
            against.terms,
            given=given,
            kept=kept,
            fast=against.fast,
            on_progress=on_progress,
        )


def _kept(out: Path, against: Against, vault: Path) -> Iterator[str]:
    """Yield what a vault keeps of the slides whose certificates are in the output.

    Raises
    ------
    UsageError
        If it keeps nothing of them: then there would be nothing to look for.
    """
    identities = identities_from(vault, against.identity, against.passphrase)
    names = {path.name.removesuffix(_CERTIFICATE) for path in out.rglob(f"*{_CERTIFICATE}")}
    slides = [kept for kept in read_vault(vault, identities) if kept.slide_pseudonym in names]
    if not slides:
        raise UsageError("the vault keeps nothing of the slides in the output")
    for slide in slides:
        yield from Path(slide.source_path).parts[1:]
        yield Path(slide.source_path).stem
        yield from (finding.text for finding in slide.findings if finding.text is not None)


def _given(table: MetadataTable | None, source: Path) -> tuple[str, ...]:
    """Return what the operator knows of a slide."""
    row = None if table is None else table.row_for(source)
    return () if row is None else tuple(text.reveal() for text in row.texts())


def _of_vault(
    out: Path, against: Against, table: MetadataTable | None, *, show_progress: bool
) -> VerifyReport:
    """Check what each slide of a ledger left."""
    if against.vault is None:  # the caller has it
        raise AssertionError("no vault")
    if read_unlinked(against.vault):
        raise UsageError(
            "the vault does not keep which study came from which slide",
            hint="check them without --vault, or each against its slide with --source",
        )
    root = out.absolute()
    slides = [
        Converted(
            number=record.number,
            source=record.path,
            paths=tuple(record.outputs.paths(root)),
            given=_given(table, record.path),
        )
        for record in read_ledger(against.vault)
        if record.outputs is not None
    ]
    with _progress(show=show_progress) as on_progress:
        return verify_many(root, slides, against.terms, on_progress=lambda _: on_progress)


def _text(report: VerifyReport, *, fast: bool) -> str:
    where = "header, name and certificate" if fast else "byte, name and attribute"
    searched = f"{report.terms} terms in {len(report.encodings)} encodings, in every {where}"
    lines = [
        f"checked          {report.files} files with {report.byte_count / 1e6:.1f} MB, "
        f"{report.instances} instances with {report.frames} frames",
        f"looked for       {searched if report.terms else 'no terms'}",
    ]
    if report.frames_equal is not None:
        lines.append(
            f"compared         {report.frames_equal} frames are their tiles, or have their pixels"
        )
    lines += _list("found", [str(survivor) for survivor in report.found], "nothing")
    lines += _list("could not check", list(report.unchecked), "-")
    if report.in_doubt:
        lines += _list("to be looked at", list(report.in_doubt), "-")
    lines += _list("not looked at", list(report.out_of_scope), "-")
    return "\n".join(lines) + "\n"


def _list(title: str, items: list[str], nothing: str) -> list[str]:
    """Return a row of the table, one line for each item."""
    shown = items[:_SHOWN] or [nothing]
    if len(items) > _SHOWN:
        shown.append(f"and {len(items) - _SHOWN} more")
    titles = [title, *[""] * (len(shown) - 1)]
    return [f"{name:<17}{item}" for name, item in zip(titles, shown, strict=True)]


@contextmanager
def _progress(*, show: bool) -> Iterator[OnProgress | None]:
    """Yield what draws the progress on a terminal; elsewhere nothing is drawn."""
    if not show or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("checking", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
