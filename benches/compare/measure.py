"""Runs one command and tells what it took: time, and memory, CPU and bytes of all its processes.

It is run as a small program of its own, since a process starts with the peak memory of the one
that started it. Linux only; nothing but the standard library is imported.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
BETWEEN_SAMPLES_S = 0.02
SAMPLES_A_SEARCH = 10
"""A search for new processes reads all of ``/proc``, so it is not done each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float
    """User and system time of the process and all those it waited for."""
    peak_mb: float
    """Resident memory: of the largest process, or the largest sum over the tree that was seen."""
    read_mb: float
    """Bytes that system calls read; what is read through a mapping is not in it."""
    written_mb: float
    disk_read_mb: float
    """Bytes that came from the disk."""


class RunFailedError(Exception):
    """The command did not end well; its output may hold source values and is not kept."""


def of_command(command: list[str], *, timeout_s: float = 3600) -> Cost:
    """Run a command and return what it took.

    Raises
    ------
    RunFailedError
        With exit status or signal.
    """
    request = json.dumps({"command": command, "timeout_s": timeout_s})
    done = subprocess.run(
        [sys.executable, "-I", __file__, request], stdout=subprocess.PIPE, text=True, check=True
    )
    answer = json.loads(done.stdout)
    if "failed" in answer:
        raise RunFailedError(answer["failed"])
    return Cost(**answer)


def io_of(pid: int | str) -> dict[str, int]:
    """Return what a process and those it waited for read and wrote."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


class _Sampler(threading.Thread):
    """Adds up the memory of a process and its descendants until it is told to stop."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._pids = {root}
        self._ended = threading.Event()
        self.peak = 0

    def run(self) -> None:
        number = 0
        while not self._ended.wait(BETWEEN_SAMPLES_S):
            if number % SAMPLES_A_SEARCH == 0:
                self._pids |= _descendants(self._pids)
            number += 1
            self.peak = max(self.peak, sum(map(_resident, self._pids)))

    def end(self) -> None:
        self._ended.set()
        self.join()


def _descendants(pids: set[int]) -> set[int]:
    parents = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
                parents[int(entry.name)] = int(words[1])
    found: set[int] = set()
    fresh = pids
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def _run(command: list[str], timeout_s: float) -> dict[str, object]:
    start = time.perf_counter()
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return {"failed": os.strerror(error.errno or 0)}
    sampler = _Sampler(process.pid)
    sampler.start()
    alarm = threading.Timer(timeout_s, os.killpg, (process.pid, 9))
    alarm.start()
    # Left a zombie for a moment, the process still tells what it and its children read and wrote.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    wall = time.perf_counter() - start
    alarm.cancel()
    sampler.end()
    io = io_of(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if wall >= timeout_s:
        return {"failed": f"not done after {timeout_s:.0f} s"}
    if process.returncode != 0:
        what = "signal" if process.returncode < 0 else "exit status"
        return {"failed": f"{what} {abs(process.returncode)}"}
    return asdict(
        Cost(
            wall_s=wall,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_mb=max(sampler.peak, usage.ru_maxrss * 1024) / 1e6,
            read_mb=io["rchar"] / 1e6,
            written_mb=io["wchar"] / 1e6,
            disk_read_mb=io["read_bytes"] / 1e6,
        )
    )


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    json.dump(_run(request["command"], request["timeout_s"]), sys.stdout)
