"""Converts one slide somewhere else: in a process of this machine, or on another one."""

import ctypes
import errno
import gc
import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from coverslip import _core, limits
from coverslip.archive.lease import Lease, Recalled
from coverslip.archive.records import Outputs, State
from coverslip.archive.states import quick_digest, stamp_of
from coverslip.commit import OutputExistsError
from coverslip.conversion import Result, convert
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from coverslip.errors import CoverslipError, LimitError, QuarantineError
from coverslip.guard import confine, limited
from coverslip.instances import Progress
from coverslip.sets import files_of

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_S = 0.5
_A_COPY = "it may be a copy of another slide: leave it out with --exclude"
_FULL = {errno.ENOSPC, errno.EDQUOT}


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
    lease: Lease
    """By which a worker sees that the run goes on, and whether another one, which was lost, had
    begun this very task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one slide; it holds no source value.

    One that was recalled is waiting, or running if it may have got its name before.
    """

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
    quick_digest: str | None = field(default=None, repr=False)
    """Of the slide, see `coverslip.archive.making`; for the ledger only."""
    set_aside: str | None = None
    """Name of the study in the quarantine, if the slide became one."""
    may_be_there: bool = False
    """Whether what failed may have got its name before."""


class _Watch:
    """Looks on while a slide is worked on: that the run wants it still, and how far it is."""

    def __init__(self, task: Task) -> None:
        self._task, self._next = task, 0.0
        self._levels: dict[int, int] = {}
        self.is_committing = False

    def __call__(self, progress: Progress) -> None:
        self.is_committing = progress.stage == "commit"
        done = _bytes_of(progress, self._task.verify)
        self._levels[progress.level] = max(done, self._levels.get(progress.level, 0))
        if self.is_committing or time.monotonic() >= self._next:
            self._next = time.monotonic() + _LOOK_EVERY_S
            self._task.lease.require()
            _listeners[-1](min(sum(self._levels.values()), self._task.stamp[0]))


_MADE = (0.0, 0.6)
_PARTS = {
    **dict.fromkeys(("cut", "decode", "compose"), _MADE),
    "write": (0.0, 0.5),
    "verify": (0.5, 0.5),
}
"""Where a stage begins on the way through a level, and how long it is; about, for showing."""
_listeners: list[Callable[[int], object]] = [lambda _: None]
"""The last one is told how many bytes of the slide in hand are done."""


def _bytes_of(progress: Progress, verify: bool) -> int:  # noqa: FBT001 (both of the task)
    """Return how many bytes of a level are done; with numbers of tiles only there are none."""
    begin, part = _PARTS.get(progress.stage, (0.0, 0.0))
    if progress.stage == "write" and not verify:
        part = 1.0
    byte_count = progress.byte_count or progress.total
    return int(byte_count * (begin + part * progress.done / max(progress.total, 1)))


def convert_task(task: Task) -> Outcome:
    """Convert a slide and return what became of it; whatever goes wrong is part of that."""
    start, watch = time.monotonic(), _Watch(task)

    def ended(state: State, **more: Any) -> Outcome:  # noqa: ANN401 (fields of Outcome)
        return Outcome(
            number=task.number,
            state=state,
            seconds=time.monotonic() - start,
            byte_count=task.stamp[0],
            **more,
        )

    try:
        is_repeated = task.lease.begin(task.number)
        files = files_of(task.path)
        stamp = stamp_of(files)
        if stamp != task.stamp:
            return ended(State.FAILED, reason="the slide changed since the run began")
        quick = quick_digest(files)
        with limited(cpu_seconds=limits.slide_seconds(stamp[0])):
            result = convert(
                task.path,
                task.out,
                policy=task.policy,
                custody=task.custody,
                overwrite=task.overwrite or is_repeated,
                verify=task.verify,
                sync=task.sync,
                on_progress=watch,
            )
    except Recalled:
        return ended(State.RUNNING if watch.is_committing else State.WAITING)
    except QuarantineError as error:
        aside = None if error.study_path is None else error.study_path.name
        return ended(State.QUARANTINED, reason=str(error), hint=error.hint, set_aside=aside)
    except OutputExistsError as error:
        return ended(State.FAILED, reason=str(error), hint=_A_COPY)
    except CoverslipError as error:
        # The disk may refuse to say that a name is gone again, and time may run out behind it.
        more = {"may_be_there": watch.is_committing and isinstance(error, LimitError)}
        return ended(State.FAILED, reason=str(error), hint=error.hint, **more)
    except OSError as error:
        reason, more = error.strerror or type(error).__name__, {"may_be_there": watch.is_committing}
        return ended(State.FAILED, reason=reason, disk_is_full=error.errno in _FULL, **more)
    except Exception as error:  # noqa: BLE001 (its message may quote the slide)
        reason, more = type(error).__name__, {"may_be_there": watch.is_committing}
        return ended(State.FAILED, reason=f"{reason}: a defect of coverslip", **more)
    outputs = _outputs(result)
    return ended(State.DONE, outputs=outputs, notes=result.notes, quick_digest=quick)


def _outputs(result: Result) -> Outputs:
    series = dict.fromkeys(instance.path.parent.name for instance in result.instances)
    certificate = result.certificate_path
    files = [(i.path.relative_to(result.study_path), i.byte_count) for i in result.instances]
    routes = {name: int(getattr(result.frames, name)) for name in _ROUTES}
    return Outputs(
        study=result.study_path.name,
        series=tuple(series),
        certificate=certificate.name,
        digests=tuple(instance.blake3 for instance in result.instances),
        byte_count=sum(instance.byte_count for instance in result.instances),
        frames=sum(routes.values()),
        files=(
            *((path.as_posix(), byte_count) for path, byte_count in files),
            (certificate.name, certificate.stat().st_size),
        ),
        certificate_sha256=hashlib.sha256(certificate.read_bytes()).hexdigest(),
        routes={name: count for name, count in routes.items() if count},
        doubt=result.doubt,
    )


_ROUTES = ("copied", "stitched", "retiled", "pixel", "recoded", "blank", "picture")


class _Duty:
    """What a process does when it is told to end: it leaves the slide in hand, or ends at once."""

    def __init__(self) -> None:
        self.is_idle, self.has_task, self.is_over = True, False, False

    def end(self, *_: object) -> None:
        """Handle the signal; a second one does not disturb the rolling back."""
        is_first, self.is_over = not self.is_over, True
        if self.is_idle:
            os._exit(0)
        if is_first and self.has_task:
            raise Recalled


def serve(source: int, target: int) -> None:
    """Do what comes over a pipe, until nothing comes any more; a process of `pool.Pool`."""
    for descriptor in (source, target):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 (takes no names)
    duty = _Duty()
    # Whoever gave the work may be gone, or recalled a slide that was just done.
    with (
        Connection(source, writable=False) as tasks,
        Connection(target, readable=False) as results,
        suppress(EOFError, ConnectionError, Recalled),
    ):
        _prepare(duty, *tasks.recv())
        _listeners.append(lambda byte_count: results.send((False, byte_count)))
        while not duty.is_over:
            duty.is_idle = True
            function, arguments, named = tasks.recv()
            duty.is_idle, duty.has_task = False, True
            result = function(*arguments, **named)
            duty.has_task = False
            results.send((True, result))
            gc.collect()  # what is left of a slide may be large, and has few objects
            if not gc.get_freeze_count():
                gc.freeze()  # what was imported need not be looked through for each slide


def _prepare(duty: _Duty, parent: int, changed: dict[str, int]) -> None:
    """Prepare this process: Ctrl-C is the coordinator's, and an orphan has nothing more to do."""
    for name, value in changed.items():
        if not limits.set_limit(name, value):
            _core.set_limit(name, value)
    confine(memory_bytes=limits.process_memory())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, duty.end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP, signal.SIGTERM})
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with, args=(parent, os.getppid), daemon=True).start()


def _end_with(parent: int, parent_now: Callable[[], int]) -> None:
    while parent_now() == parent:
        time.sleep(_LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGKILL)
