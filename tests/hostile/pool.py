"""Forked processes that do jobs under limits; one that dies or hangs is named and replaced."""

import os
import pickle
import resource
import select
import signal
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

MEMORY = 3 << 29
"""Address space that a process may take beyond what it began with: more than a slide needs by what
threads keep for themselves, since a process lives long here."""
CPU_S = 5.0
"""Most that a job may take of a core; time of the clock says little on a busy machine."""
WALL_S = 120.0


@dataclass
class Outcome:
    """What became of a job."""

    job: object
    answer: str
    cpu_s: float


@dataclass
class _Process:
    pid: int
    requests: int
    answers: int
    job: object = None
    since: float = 0.0
    cpu_before: float = 0.0
    is_idle: bool = True


def run(
    work: Callable[[int], Callable[[Any], str]], jobs: Iterable[object], count: int
) -> Iterator[Outcome]:
    """Yield what became of each job, in any order.

    Parameters
    ----------
    work
        Called in each process once, with the process's number; returns what does a job.
    jobs
        Whatever `pickle` takes.
    count
        How many processes.
    """
    processes = [_start(work, number) for number in range(count)]
    waiting = iter(jobs)
    try:
        while True:
            for process in processes:
                if process.is_idle and (job := next(waiting, None)) is not None:
                    _give(process, job)
            busy = {process.answers: process for process in processes if not process.is_idle}
            if not busy:
                return
            ready, _, _ = select.select(list(busy), [], [], 0.5)
            for number, process in enumerate(processes):
                if process.is_idle:
                    continue
                if process.answers in ready:
                    outcome = _answer(process)
                elif _is_late(process):
                    outcome = Outcome(process.job, "WRONG hangs", CPU_S)
                else:
                    continue
                if not process.is_idle:
                    _end(process)
                    processes[number] = _start(work, number)
                yield outcome
    finally:
        for process in processes:
            _end(process)


def _start(work: Callable[[int], Callable[[Any], str]], number: int) -> _Process:
    requests_read, requests = os.pipe()
    answers, answers_write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(requests_read)
        os.close(answers_write)
        return _Process(pid, requests, answers)
    try:
        os.close(requests)
        os.close(answers)
        _serve(work, number, requests_read, answers_write)
    finally:
        os._exit(0)


def _serve(work: Callable[[int], Callable[[Any], str]], number: int, read: int, write: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    do = work(number)
    limit = _address_space() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(read, "rb") as requests, os.fdopen(write, "wb") as answers:
        while header := requests.read(8):
            job = pickle.loads(requests.read(struct.unpack("<Q", header)[0]))  # noqa: S301 (ours)
            begin = time.process_time()
            try:
                answer = do(job)
            except BaseException as error:  # noqa: BLE001 (whatever it is has to be told)
                answer = f"WRONG {_where(error)}"
            spent = time.process_time() - begin
            if spent > CPU_S:
                answer = f"WRONG {spent:.1f} s: {answer}"
            data = pickle.dumps((answer, spent))
            answers.write(struct.pack("<Q", len(data)) + data)
            answers.flush()


def _where(error: BaseException) -> str:
    """Return the kind of an exception and its innermost lines."""
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} {code.co_name}")  # noqa: PTH119
        trace = trace.tb_next
    return f"{type(error).__name__} {error} at {' > '.join(places[-4:])}"


def _address_space() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[0]) * resource.getpagesize()


def _cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of its children that have ended."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _give(process: _Process, job: object) -> None:
    data = pickle.dumps(job)
    process.job, process.since, process.is_idle = job, time.monotonic(), False
    process.cpu_before = _cpu_s(process.pid)
    os.write(process.requests, struct.pack("<Q", len(data)) + data)


def _is_late(process: _Process) -> bool:
    if time.monotonic() - process.since > WALL_S:
        return True
    return _cpu_s(process.pid) - process.cpu_before > 4 * CPU_S


def _answer(process: _Process) -> Outcome:
    header = os.read(process.answers, 8)
    if len(header) < 8:
        _, status = os.waitpid(process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        process.pid = 0
        return Outcome(process.job, f"WRONG dies with {code}", 0.0)
    data = b""
    (size,) = struct.unpack("<Q", header)
    while len(data) < size:
        data += os.read(process.answers, size - len(data))
    process.is_idle = True
    answer, spent = pickle.loads(data)  # noqa: S301 (ours)
    return Outcome(process.job, answer, spent)


def _end(process: _Process) -> None:
    os.close(process.requests)
    os.close(process.answers)
    if process.pid:
        os.kill(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)
