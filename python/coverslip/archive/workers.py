"""Converts one slide somewhere else: in a process of this machine, or on another one."""

import ctypes
import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from coverslip import _core, commit, limits
from coverslip.archive.ledger import Outputs, State
from coverslip.conversion import Result, convert
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from coverslip.errors import CoverslipError, QuarantineError
from coverslip.guard import confine, limited

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One slide to be converted; what a worker gets."""

    number: int
    path: Path = field(repr=False)
    stamp: tuple[int, int] = field(repr=False)
    """Byte count and time of the last change, as the ledger has them."""
    out: Path
    policy: Policy
    custody: Custody
    overwrite: bool
    verify: bool
    sync: bool
    mark: Path | None = None
    """By which a worker sees that another one, which was lost, had begun this very task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one slide; it holds no source value."""

    number: int
    state: State
    seconds: float
    byte_count: int
    """Of the source."""
    outputs: Outputs | None = None
    reason: str | None = None
    hint: str | None = None
    notes: tuple[str, ...] = ()
    disk_is_full: bool = False


def convert_task(task: Task) -> Outcome:
    """Convert a slide and return what became of it; whatever goes wrong is part of that."""
    start = time.monotonic()

    def ended(state: State, **more: Any) -> Outcome:  # noqa: ANN401 (fields of Outcome)
        return Outcome(
            number=task.number,
            state=state,
            seconds=time.monotonic() - start,
            byte_count=task.stamp[0],
            **more,
        )

    try:
        is_repeated = task.mark is not None and not commit.mark(task.mark)
        stat = task.path.stat()
        if (stat.st_size, stat.st_mtime_ns) != task.stamp:
            return ended(State.FAILED, reason="the slide changed since the run began")
        with limited(cpu_seconds=limits.slide_seconds(stat.st_size)):
            result = convert(
                task.path,
                task.out,
                policy=task.policy,
                custody=task.custody,
                overwrite=task.overwrite or is_repeated,
                verify=task.verify,
                sync=task.sync,
            )
    except QuarantineError as error:
        return ended(State.QUARANTINED, reason=str(error), hint=error.hint)
    except CoverslipError as error:
        return ended(State.FAILED, reason=str(error), hint=error.hint)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return ended(State.FAILED, reason=reason, disk_is_full=error.errno in _FULL)
    except Exception as error:  # noqa: BLE001 (its message may quote the slide)
        return ended(State.FAILED, reason=f"{type(error).__name__}: a defect of coverslip")
    return ended(State.DONE, outputs=_outputs(result), notes=result.notes)


_FULL = {errno.ENOSPC, errno.EDQUOT}


def _outputs(result: Result) -> Outputs:
    series = dict.fromkeys(instance.path.parent.name for instance in result.instances)
    return Outputs(
        study=result.study_path.name,
        series=tuple(series),
        certificate=result.certificate_path.name,
        sha256=tuple(instance.sha256 for instance in result.instances),
        byte_count=sum(instance.byte_count for instance in result.instances),
        frames=sum(_frames(instance.frames) for instance in result.instances),
    )


def _frames(counts: object) -> int:
    kinds = ("copied", "stitched", "retiled", "pixel", "blank", "picture")
    return sum(int(getattr(counts, kind)) for kind in kinds)


def process_pool(jobs: int) -> ProcessPoolExecutor:
    """Return processes of this machine that end with this one, whatever ends it."""
    return ProcessPoolExecutor(
        jobs,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(os.getpid(), limits.CHANGED),
    )


def _begin(parent: int, changed: dict[str, int]) -> None:
    """Prepare a worker: Ctrl-C is the coordinator's, and an orphan has nothing more to do."""
    for name, value in changed.items():
        if not limits.set_limit(name, value):
            _core.set_limit(name, value)
    confine(memory_bytes=limits.process_memory())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _roll_back)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with, args=(parent, os.getppid), daemon=True).start()


def _roll_back(*_: object) -> None:
    """Leave the slide in hand: what was written of it is removed on the way out."""
    raise SystemExit


def _end_with(parent: int, parent_now: Callable[[], int]) -> None:
    while parent_now() == parent:
        time.sleep(_LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGKILL)
