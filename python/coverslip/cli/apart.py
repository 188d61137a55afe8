"""Has a command that reads files of strangers work in a process of its own, and tells how it ended.

What a limit of the system stops in compiled code, and what such code does to itself, ends the
process without a word. So one waits that does nothing else: it says which limit that was, removes
what was half-written, and ends with a status of ours.
"""

import ctypes
import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from coverslip.cli import EXIT_FAILED, say_error
from coverslip.errors import CoverslipError, LimitError

_PR_SET_PDEATHSIG = 1
_FOR_US = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_OF_MEMORY = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL}
_AFTER_A_BAR = "\r\x1b[K\x1b[?25h"
"""Clears the line, and shows the cursor again, which a bar of progress hides."""
_is_allowed = False


def allow() -> None:
    """Let commands leave this process: it is the program, and nobody else's."""
    global _is_allowed
    _is_allowed = True


def go_apart(out: Path | None = None, *, died: int = EXIT_FAILED) -> None:
    """Go on in a new process; this one waits for it, ends as it did, and does not return.

    It has to be called before anything starts threads. Where the system cannot tell who sent a
    signal, all goes on in this process.

    Parameters
    ----------
    out
        Where a slide is written: what the process leaves half-written there is removed.
    died
        The exit status if the process dies.
    """
    if not _is_allowed or not hasattr(signal, "sigwaitinfo"):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # else the collector writes to each page that both have
    was_there = out is None or out.exists()
    taken = {*_FOR_US, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, taken)
    parent, pid = os.getpid(), os.fork()
    if not pid:
        _end_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    for number in signal.sigpending() & _FOR_US:  # perhaps from before it was there
        os.kill(pid, number)
    code = os.waitstatus_to_exitcode(_ended(pid, taken))
    if code and out is not None:  # a signal may come between any two steps
        _clean(out, was_there=was_there)
    if code < 0:
        _tell(-code)
        code = died
    sys.stderr.flush()
    os._exit(code)  # taking an interpreter down that did nothing costs as much as the fork


def _ended(pid: int, taken: set[signal.Signals]) -> int:
    """Return the status of a process; what others send to this one is sent on."""
    while True:
        told = signal.sigwaitinfo(taken)
        if told.si_signo != signal.SIGCHLD:
            # What comes from the terminal it gets itself.
            if told.si_code <= 0:
                os.kill(pid, told.si_signo)
            continue
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status


def _end_with(parent: int) -> None:
    """Let this process be killed when the one that waits for it is."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _clean(out: Path, *, was_there: bool) -> None:
    """Remove what a process was writing that did not end well."""
    from coverslip.commit import sweep

    if out.is_dir():
        sweep(out)
    if not was_there:
        with suppress(OSError):
            out.rmdir()


def _tell(number: int) -> None:
    """Say why a process died of a signal."""
    if sys.stderr.isatty():
        sys.stderr.write(_AFTER_A_BAR)
    say_error(_why(number))


def _why(number: int) -> CoverslipError:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number == signal.SIGPROF:
        return LimitError(
            "it takes longer than the limits cpu_seconds and cpu_seconds_per_gigabyte leave it, in "
            "code that does not return"
        )
    if number in _OF_MEMORY:
        return LimitError(
            f"the process that read it died ({name}): the slide is damaged on purpose or by "
            "chance, or needs more memory than the limit memory_bytes leaves"
        )
    hint = "the system does so when memory is short" if number == signal.SIGKILL else None
    return CoverslipError(f"the process that was at work was ended ({name})", hint=hint)
