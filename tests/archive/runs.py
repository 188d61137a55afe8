"""Runs over folders of small slides, and what must hold when one has ended."""

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import coverslip
from coverslip.archive.claim import MARK
from coverslip.archive.ledger import Outputs, State, read_ledger, read_unlinked
from tests.synth import FORMATS

NAMES = ("svs-jpeg-rgb", "generic-jpeg", "ndpi-stitched", "scn", "philips", "huron", "qptiff")

T = TypeVar("T")


def build_slides(folder: Path, count: int) -> list[Path]:
    """Put slides of several formats into folders of their own, the same ones after seven."""
    paths: list[Path] = []
    for number in range(count):
        below = folder / f"case {number}"
        below.mkdir(parents=True)
        if number < len(NAMES):
            paths.append(FORMATS[NAMES[number]](below).path)
        else:
            original = paths[number % len(NAMES)]
            paths.append(Path(shutil.copy(original, below / original.name)))
    return paths


def studies_in(vault: Path) -> list[Outputs]:
    """Return the studies that a ledger knows, of whichever slide."""
    linked = [record.outputs for record in read_ledger(vault) if record.outputs is not None]
    return [*linked, *read_unlinked(vault)]


def start(
    slides: Path, out: Path, *options: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Begin a run as a program, in a process group of its own, as a terminal would."""
    command = [sys.executable, "-m", "coverslip", "convert", str(slides), "-o", str(out)]
    return subprocess.Popen(
        [*command, *options],
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever started the tests with nohup ignores it, and so would the run.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


@contextmanager
def ended(run: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End a run with the block, and what it started, halted or not."""
    try:
        yield run
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()


TOLD = ("stopping when the slides in hand are done", "stopping now: ", "")
"""What a run says of the first signal and of the second; of the third nothing."""


def tell(run: subprocess.Popen[str], number: int, times: int = 1) -> str:
    """Send signals, each when the run has said that it took the last; return what it said."""
    said = ""
    for words in TOLD[:times]:
        run.send_signal(number)
        said += _heard(run, words)
    return said


def _heard(run: subprocess.Popen[str], words: str, *, within_s: float = 60) -> str:
    """Read the errors of a run until some words were there; `communicate` returns the rest."""
    said, deadline = b"", time.monotonic() + within_s
    with selectors.DefaultSelector() as selector:
        selector.register(run.stderr, selectors.EVENT_READ)
        while words.encode() not in said:
            assert selector.select(deadline - time.monotonic()), "the run says nothing"
            more = os.read(run.stderr.fileno(), 1 << 16)
            assert more, "the run ended"
            said += more
    return said.decode()


def workers_of(pid: int) -> list[int]:
    """Return the processes that a process started."""
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def halted(pids: Callable[[], list[int]]) -> list[int]:
    """Wait until some of these processes have halted, as `halting` makes them; return those."""
    return _awaited(lambda: [pid for pid in pids() if _status_of(pid).get("State", "")[:1] == "T"])


def await_pending(pid: int, number: int) -> None:
    """Wait until a signal was sent to a process that has halted."""
    _awaited(lambda: int(_status_of(pid)["ShdPnd"], 16) >> (number - 1) & 1)


def _awaited(ask: Callable[[], T], *, within_s: float = 60) -> T:
    deadline = time.monotonic() + within_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.01)
    return answer


def _status_of(pid: int) -> dict[str, str]:
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}


def assert_ledger_and_disk_agree(out: Path, count: int, *, check: bool = True) -> None:
    """Hold that each slide is there once, whole, and that there is nothing else."""
    records = read_ledger(out.with_name(f"{out.name}.vault"))
    assert [record.state for record in records] == [State.DONE] * count
    vault = out.with_name(f"{out.name}.vault")
    listed = {(one.study, one.certificate) for one in studies_in(vault)}
    assert len(listed) == count
    on_disk = {(path.parent.name, path.name) for path in out.rglob("*.certificate.json")}
    assert on_disk == listed
    assert {path.name for path in out.iterdir()} == {MARK, *(study for study, _ in listed)}
    for uid, name in listed:
        certificate = json.loads((out / uid / name).read_text())
        instances = {item["sop_instance_uid"] for item in certificate["instances"]}
        assert {path.stem for path in (out / uid).rglob("*.dcm")} == instances
    for record in records:
        assert record.stale is None
        assert record.seed is None
        if check and record.outputs is not None:
            assert_clean(out / record.outputs.study, record.path)
    if check and any(record.outputs is None for record in records):
        assert_clean(out, None)  # of which slides these are is not kept


def assert_clean(out: Path, source: Path | None) -> None:
    """Hold that an independent check finds nothing."""
    report = coverslip.verify(out, source=source)
    assert (report.found, report.unchecked) == ((), ())
