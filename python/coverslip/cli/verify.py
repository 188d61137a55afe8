"""``coverslip verify``."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coverslip.cli import say_error
from coverslip.errors import CoverslipError
from coverslip.verification.check import OnProgress, verify
from coverslip.verification.report import EXIT_UNCHECKED, VerifyReport

_SHOWN = 20
"""More lines than anyone reads; the JSON has them all."""


def run(
    out: Path, *, source: Path | None, terms: Path | None, show_progress: bool, as_json: bool
) -> int:
    """Check finished files and say what was found; return the exit status."""
    try:
        with _progress(show=show_progress) as on_progress:
            report = verify(out, source, terms, on_progress=on_progress)
    except (CoverslipError, OSError) as error:
        say_error(error)
        return EXIT_UNCHECKED
    if as_json:
        sys.stdout.write(json.dumps(report.to_dict(), indent=2) + "\n")
    else:
        sys.stdout.write(_text(report))
    return report.exit_status


def _text(report: VerifyReport) -> str:
    searched = (
        f"{report.terms} terms in {len(report.encodings)} encodings, "
        "in every byte, name and attribute"
    )
    lines = [
        f"checked          {report.files} files with {report.byte_count / 1e6:.1f} MB, "
        f"{report.instances} instances with {report.frames} frames",
        f"looked for       {searched if report.terms else 'no terms'}",
    ]
    if report.frames_equal is not None:
        lines.append(f"compared         {report.frames_equal} frames are their tiles")
    lines += _list("found", [str(survivor) for survivor in report.found], "nothing")
    lines += _list("could not check", list(report.unchecked), "-")
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
