"""Tells what becomes of many slides: on a terminal, in a log, or as JSON."""

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Protocol

from coverslip.archive.discovery import Found
from coverslip.archive.records import State
from coverslip.archive.run import Run
from coverslip.archive.workers import Outcome
from coverslip.cli import leave_terminal
from coverslip.cli.shown import name_of


class Shower(Protocol):
    """What is told of a run."""

    def outcome(self, outcome: Outcome) -> None:
        """Tell what became of a slide."""

    def in_hand(self, byte_count: int) -> None:
        """Tell how many bytes are done of slides in hand."""

    def say(self, line: str) -> None:
        """Tell something to people."""

    def end(self) -> None:
        """Tell what became of all."""


def shower(
    work: Run, found: Found, *, as_json: bool, show_progress: bool, show_paths: bool
) -> Shower:
    """Return what fits standard error and the operator's choice."""
    if as_json:
        return _Events(work, found)
    if show_progress and sys.stderr.isatty():
        return _Bar(work, found, show_paths=show_paths)
    return _Lines(work, found, show_paths=show_paths, quiet=not show_progress)


def tell_stop(show: Shower, number: int, times: int) -> None:
    """Say what a signal does."""
    if number == signal.SIGHUP:
        leave_terminal()
    if times == 1:
        show.say(
            "stopping when the slides in hand are done; once more (Ctrl-C) rolls them back; the "
            "same command again goes on"
        )
    elif times == 2:
        show.say("stopping now: the slides in hand are rolled back")


class _Events:
    """A line of JSON on standard output for each thing that happens."""

    def __init__(self, work: Run, found: Found) -> None:
        todo = work.registered
        self._tell(
            {
                "event": "start",
                "slides": work.slides,
                "found": todo.found,
                "byte_count": todo.byte_count,
                "again": dict(todo.again),
                "moved": todo.moved,
                "set_aside": todo.set_aside,
                "studies_missing": work.missing,
                "studies_left": todo.left,
                **passed_of(found),
            }
        )
        self._states: Counter[str] = Counter()

    def outcome(self, outcome: Outcome) -> None:
        self._states[str(outcome.state)] += 1
        told = asdict(outcome)
        del told["quick_digest"]  # whoever has the slide could find it by that
        self._tell({"event": "slide", **told})

    def in_hand(self, byte_count: int) -> None:
        pass

    def say(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    def end(self) -> None:
        self._tell({"event": "end", "slides": dict(self._states)})

    def _tell(self, event: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


class _Lines:
    """A line on standard error for each slide: for logs."""

    def __init__(self, work: Run, found: Found, *, show_paths: bool, quiet: bool) -> None:
        self._work, self._show_paths, self._quiet = work, show_paths, quiet
        self._states: Counter[State] = Counter()
        self._start = time.monotonic()
        self._bytes = 0
        for line in _beginning(work, found):
            self.say(line)

    def outcome(self, outcome: Outcome) -> None:
        self._states[outcome.state] += 1
        self._bytes += outcome.byte_count
        if not self._quiet or is_to_be_told(outcome):
            count = sum(self._states.values())
            line = line_of(outcome, self._work, show_path=self._show_paths)
            self.say(f"[{count}/{self._work.slides}] {line}")

    def in_hand(self, byte_count: int) -> None:
        pass

    def end(self) -> None:
        seconds = time.monotonic() - self._start
        self.say(_sums(self._states, self._bytes, seconds, self._work))

    def say(self, line: str) -> None:
        sys.stderr.write(line + "\n")


class _Bar:
    """A live bar on a terminal; only slides that were not converted get a line."""

    def __init__(self, work: Run, found: Found, *, show_paths: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._work, self._show_paths = work, show_paths
        self._states: Counter[State] = Counter()
        self._start, self._bytes = time.monotonic(), 0
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
            TimeRemainingColumn(), console=self._console, transient=True,
        )  # fmt: skip
        for line in _beginning(work, found):
            self._console.print(line, markup=False)
        self._task = self._bar.add_task(self._text(), total=work.registered.byte_count)
        self._bar.start()

    def _text(self) -> str:
        failed = self._states[State.FAILED] + self._states[State.QUARANTINED]
        text = f"{sum(self._states.values())}/{self._work.slides} slides"
        return f"{text}, {failed} not converted" if failed else text

    def outcome(self, outcome: Outcome) -> None:
        self._states[outcome.state] += 1
        self._bytes += outcome.byte_count
        if is_to_be_told(outcome):
            line = line_of(outcome, self._work, show_path=self._show_paths)
            self._console.print(line, markup=False)
        self._bar.update(self._task, description=self._text())
        if self._work.pool is None:  # nobody tells of slides in hand
            self.in_hand(0)

    def in_hand(self, byte_count: int) -> None:
        self._bar.update(self._task, completed=self._bytes + byte_count)

    def say(self, line: str) -> None:
        self._console.print(line, markup=False)

    def end(self) -> None:
        self._bar.stop()
        seconds = time.monotonic() - self._start
        self.say(_sums(self._states, self._bytes, seconds, self._work))


def _beginning(work: Run, found: Found) -> list[str]:
    """Return what is told before the first slide."""
    todo = work.registered
    done = todo.found - work.slides - todo.set_aside
    lines = [f"{todo.found} slides found, {done} are done already"]
    if todo.set_aside:
        lines.append(
            f"{todo.set_aside} are set aside: look at them, then say who vouches for which of them "
            "with --pixels-attested WHO --include NAME"
        )
    lines += [
        f"{n} were done {reason}: they are converted again" for reason, n in todo.again.items()
    ]
    if todo.moved:
        lines.append(f"note: {todo.moved} that were done lie under another path than before")
    return [*lines, *notes_on(found)]


def notes_on(found: Found) -> list[str]:
    """Return what was passed over, by kind, and what could not be searched."""
    lines = []
    if found.passed_over:
        lines.append(f"note: passed over: {_list(found.passed_over)}")
    return [*lines, *(f"error: {trouble}" for trouble in found.troubles())]


def passed_of(found: Found) -> dict[str, object]:
    """Return the same for JSON."""
    return {
        "passed_over": dict(found.passed_over),
        "unreadable_folders": sum(found.unreadable.values()),
    }


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def is_to_be_told(outcome: Outcome) -> bool:
    """Tell whether somebody has to know of a slide, who does not want to see each."""
    return outcome.outputs is None or outcome.outputs.doubt is not None


def line_of(outcome: Outcome, work: Run, *, show_path: bool) -> str:
    """Return one slide's line; slides are numbers, but on the operator's own terminal."""
    name = name_of(work.ledger.record(outcome.number), show_path=show_path)
    if outcome.outputs is not None:
        warning = "" if outcome.outputs.doubt is None else f"; warning: {outcome.outputs.doubt}"
        return f"{name}: done, {outcome.outputs.study}, {outcome.seconds:.1f} s{warning}"
    aside = "" if outcome.set_aside is None else f"; set aside as study {outcome.set_aside}"
    hint = "" if outcome.hint is None else f" ({outcome.hint})"
    return f"{name}: {outcome.state}: {outcome.reason}{aside}{hint}"


def _sums(states: Counter[State], byte_count: int, seconds: float, work: Run) -> str:
    parts = [f"{states[state]} {state}" for state in State if states[state]]
    rate = byte_count / seconds if seconds else 0.0
    nothing = "nothing was converted" if work.slides else "nothing to do"
    return f"{', '.join(parts) or nothing}; {size_of(byte_count)}, {size_of(rate)}/s"


def size_of(byte_count: float) -> str:
    """Return a number of bytes for people."""
    if byte_count >= 1e9:
        return f"{byte_count / 1e9:.2f} GB"
    return f"{byte_count / 1e6:.1f} MB" if byte_count >= 1e6 else f"{byte_count / 1e3:.0f} kB"
