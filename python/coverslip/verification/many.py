"""Checks an output of many slides, each against the slide that it came from."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from coverslip.errors import CoverslipError
from coverslip.verification.check import OnProgress, verify
from coverslip.verification.files import is_mark
from coverslip.verification.report import Survivor, VerifyReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A slide, and what it left in the output; printing it shows no path."""

    number: int
    source: Path = field(repr=False)
    paths: tuple[Path, ...]
    given: tuple[str, ...] = field(default=(), repr=False)
    """What the operator knows of it."""


def verify_many(
    out: Path,
    slides: Sequence[Converted],
    terms: Path | None = None,
    *,
    on_progress: Callable[[int], OnProgress | None] = lambda _: None,
) -> VerifyReport:
    """Check what each of many slides left in a folder, and that nothing else is there.

    A slide that cannot be opened any more, or whose output is gone, is told as unchecked.

    Parameters
    ----------
    out
        The output folder.
    slides
        What it should hold.
    terms
        A text file with more terms, one a line.
    on_progress
        Called with the number of a slide before it is checked; returns what `verify` calls.
    """
    reports = []
    for slide in slides:
        try:
            report = verify(
                slide.paths, slide.source, terms, given=slide.given,
                on_progress=on_progress(slide.number),
            )  # fmt: skip
        except (CoverslipError, OSError):
            reports.append(_unchecked(f"slide {slide.number}: it or its output cannot be read"))
            continue
        reports.append(_of(slide.number, report))
    strays = tuple(_strays(out, {path for slide in slides for path in slide.paths}))
    return replace(_sum(reports), found=(*_sum(reports).found, *strays))


def _unchecked(what: str) -> VerifyReport:
    return VerifyReport(
        files=0, instances=0, frames=0, frames_equal=0, byte_count=0, terms=0, encodings=(),
        found=(), unchecked=(what,), in_doubt=(), out_of_scope=(),
    )  # fmt: skip


def _of(number: int, report: VerifyReport) -> VerifyReport:
    """Return a report whose lines tell the slide that they are about."""
    mark = f"slide {number}: "
    return replace(
        report,
        found=tuple(replace(one, file=mark + one.file) for one in report.found),
        unchecked=tuple(mark + what for what in report.unchecked),
        in_doubt=tuple(mark + what for what in report.in_doubt),
    )


def _sum(reports: Iterable[VerifyReport]) -> VerifyReport:
    """Return one report of all; lines on what is not looked at are told once."""
    reports = [*reports, replace(_unchecked(""), unchecked=())]
    encodings = max((report.encodings for report in reports), key=len)
    return VerifyReport(
        files=sum(report.files for report in reports),
        instances=sum(report.instances for report in reports),
        frames=sum(report.frames for report in reports),
        frames_equal=sum(report.frames_equal or 0 for report in reports),
        byte_count=sum(report.byte_count for report in reports),
        terms=sum(report.terms for report in reports),
        encodings=encodings,
        found=tuple(one for report in reports for one in report.found),
        unchecked=tuple(what for report in reports for what in report.unchecked),
        in_doubt=tuple(what for report in reports for what in report.in_doubt),
        out_of_scope=tuple(dict.fromkeys(w for report in reports for w in report.out_of_scope)),
    )


def _strays(out: Path, known: set[Path]) -> Iterator[Survivor]:
    """Yield what none of the slides left; by number, since its name may identify."""
    studies = {path.parent for path in known}
    entries = sorted(out.iterdir()) if out.is_dir() else []
    inside = [child for entry in entries if entry in studies for child in sorted(entry.iterdir())]
    others = [entry for entry in entries if entry not in studies and not is_mark(out, entry)]
    for number, entry in enumerate([*others, *inside], start=1):
        if os.fspath(entry) not in map(os.fspath, known):
            yield Survivor(
                file=f"entry {number}", place="folder", what="it was left by no slide of the vault"
            )
