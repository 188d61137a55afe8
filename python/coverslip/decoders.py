"""Runs the decoders of hostile data in processes of their own.

Changed streams make some decoders read and write where they must not: those of LZW and JPEG XR in
imagecodecs crash. A process that dies takes nothing with it. Run as a program, this file is such a
process: it reads requests from its input, writes what it decoded to its output, and ends at the
first that it cannot decode.
"""

import contextlib
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from coverslip.codecs import REQUEST, Wanted, decode
from coverslip.errors import LimitError
from coverslip.guard import confine, start

_ANSWER = struct.Struct("<Q")
_HAS_NO_DECODER = (1 << 64) - 1
"""Answer for a codec that this build of imagecodecs has not."""
_PACKAGE = Path(__file__).parents[1]
"""Where such a process finds `coverslip.guard`."""
_LATE_S = 5
"""After its time a process that did not end by itself is ended: it may be stopped, or not read."""


_kept: ContextVar[dict[tuple[int, int], list[subprocess.Popen[bytes]]] | None] = ContextVar(
    "coverslip_kept_decoders", default=None
)
"""Processes that wait, by their limits; ``None`` outside of `kept`."""


class Decoders:
    """Processes that wait for streams: as many as there are threads that ask at the same time.

    Parameters
    ----------
    memory_bytes
        Address space of each.
    seconds
        After which one gives up on a stream.
    """

    def __init__(self, *, memory_bytes: int, seconds: int) -> None:
        self._limits = (memory_bytes, seconds)
        waiting = _kept.get()
        self._are_kept = waiting is not None
        self._idle = [] if waiting is None else waiting.setdefault(self._limits, [])

    def decode(self, data: bytes, wanted: Wanted) -> bytes:
        """Return what a stream holds: no more than ``wanted.most`` bytes.

        Raises
        ------
        ValueError
            If it cannot be decoded.
        LimitError
            If that takes longer than ``seconds``.
        ImportError
            If there is no decoder for it.
        """
        try:
            process = self._idle.pop()
        except IndexError:
            process = _start(*self._limits)
        late = _Late(process, self._limits[1])
        try:
            with late:
                decoded = _ask(process, data, wanted)
        except BaseException as error:
            _end(process)
            if isinstance(error, ValueError) and late.was_ended():
                raise late.error() from None
            raise
        self._idle.append(process)
        return decoded

    def close(self) -> None:
        """End the processes, unless `kept` does so later."""
        if not self._are_kept:
            _end_all(self._idle)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep processes for the next that wants some, until the block ends: each takes 0.1 s to start.

    So the levels of one slide, and the search of them, share those that decode its tiles.
    """
    if _kept.get() is not None:
        yield
        return
    idle: dict[tuple[int, int], list[subprocess.Popen[bytes]]] = {}
    token = _kept.set(idle)
    try:
        yield
    finally:
        _kept.reset(token)
        for processes in idle.values():
            _end_all(processes)


def _start(memory_bytes: int, seconds: int) -> subprocess.Popen[bytes]:
    known = filter(None, (str(_PACKAGE), os.environ.get("PYTHONPATH")))
    return subprocess.Popen(  # noqa: S603 (this interpreter and this very file)
        # Without this folder on its path, and in a session of its own, where no Ctrl-C arrives.
        [sys.executable, "-P", __file__, str(memory_bytes), str(seconds)],
        # numpy starts threads for products of matrices, which nothing here multiplies.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(known), "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end_all(processes: list[subprocess.Popen[bytes]]) -> None:
    while processes:
        _end(processes.pop())


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


class _Late:
    """Ends a process that has not answered in its time, and knows whether that was so."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: int) -> None:
        self._process, self._seconds, self._is_late = process, seconds, False
        self._timer = threading.Timer(seconds + _LATE_S, self._stop)
        self._timer.daemon = True

    def __enter__(self) -> None:
        start(self._timer)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _stop(self) -> None:
        self._is_late = True
        self._process.kill()

    def was_ended(self) -> bool:
        """Return whether it took too long, as we saw it or as it did itself."""
        return self._is_late or self._process.returncode == -signal.SIGALRM

    def error(self) -> LimitError:
        """Return what to say of that."""
        return LimitError(
            f"a tile or strip takes longer to decode than the limit decoder_seconds = "
            f"{self._seconds}"
        )


def _ask(process: subprocess.Popen[bytes], data: bytes, wanted: Wanted) -> bytes:
    requests, answers = process.stdin, process.stdout
    if requests is None or answers is None:
        raise AssertionError("the process has no pipes")
    with contextlib.suppress(BrokenPipeError):
        requests.write(wanted.pack(len(data)))
        requests.write(data)
        requests.flush()
    (byte_count,) = _ANSWER.unpack(_exactly(answers, _ANSWER.size))
    if byte_count == _HAS_NO_DECODER:
        raise ImportError("no decoder")
    if byte_count > wanted.most:
        raise ValueError("more than was wanted")
    return _exactly(answers, byte_count)


def _exactly(file: IO[bytes], byte_count: int) -> bytes:
    data = file.read(byte_count)
    if len(data) != byte_count:
        raise ValueError("the process ended")
    return data


def _serve(memory_bytes: int, seconds: int) -> None:
    """Decode whatever comes, until there is no more or something cannot be decoded."""
    confine(memory_bytes=memory_bytes, file_bytes=0)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while request := requests.read(REQUEST.size):
        byte_count, wanted = Wanted.unpack(request)
        data = requests.read(byte_count)
        signal.alarm(seconds)
        try:
            decoded = decode(data, wanted)
        except ImportError:
            answers.write(_ANSWER.pack(_HAS_NO_DECODER))
        else:
            answers.write(_ANSWER.pack(len(decoded)))
            answers.write(decoded)
        signal.alarm(0)
        answers.flush()


if __name__ == "__main__":
    _serve(*map(int, sys.argv[1:]))
