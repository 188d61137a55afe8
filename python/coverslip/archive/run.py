"""One run over many slides: hands them out, keeps the ledger, and takes what comes back."""

import os
import secrets
import shutil
import signal
import threading
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from types import FrameType

from coverslip import commit
from coverslip.archive.claim import claimed
from coverslip.archive.discovery import Candidate, discover
from coverslip.archive.ledger import Ledger, Outputs, Registered, State, open_ledger
from coverslip.archive.making import Making
from coverslip.archive.workers import Outcome, Task, convert_task, process_pool
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.vault import vault_beside
from coverslip.errors import CoverslipError

_AHEAD = 2
"""Slides in flight for each worker: one at work, one waiting."""
_MOST_DEATHS = 2
"""A slide with which a worker died is tried once more."""
_STOP_AT_ONCE = 2
"""Told to stop so often, a run no longer waits for the slides in hand."""
_POLL_S = 0.2


class StoppedError(CoverslipError, RuntimeError):
    """The run ended before all slides had their turn; running it again goes on."""


def convert_many(
    paths: Iterable[str | PathLike[str]] | str | PathLike[str],
    out_dir: str | PathLike[str],
    *,
    policy: Policy | None = None,
    custody: Custody | None = None,
    executor: Executor | None = None,
    jobs: int | None = None,
    verify: bool = True,
    sync: bool = True,
    overwrite: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Iterator[Outcome]:
    """Convert many slides; yield what became of each as it ends.

    A ledger in the vault remembers it. Running this again leaves out what is done and unchanged,
    and tries the rest. A slide that fails never stops the others.

    Parameters
    ----------
    paths
        Slides, folders, lists (``*.txt``) and patterns; see `coverslip.archive.discovery`.
    out_dir
        Folder for the studies.
    policy, custody
        As for `coverslip.convert`. The ledger lies in the custody's vault, by default
        ``OUT.vault`` beside the output, under `public` too; it holds the paths of the slides.
        Where `keeps_links` says no, those that are done lose theirs.
    executor
        Who does the work, any `concurrent.futures.Executor`; a pool of processes by default.
        Elsewhere the same folders must be reachable under the same names.
    jobs
        Processes of the pool, or slides that the executor works on at a time; by default as many
        as there are cores.
    verify, sync
        As for `coverslip.convert`.
    overwrite
        Whether what is done is converted again too; it is replaced when the new is complete.
    include, exclude
        Patterns for what is found in folders.

    Raises
    ------
    PolicyError
        If another run has the ledger, there is nothing at a path, or a row of the metadata names
        several slides.
    StoppedError
        If the disk is full; the slides that had no turn are waiting in the ledger.
    """
    given = [paths] if isinstance(paths, str | PathLike) else list(paths)
    chosen = [Path(fspath(path)) for path in given]
    out, custody = Path(fspath(out_dir)), custody or Custody()
    vault = vault_of(custody, out)
    found = discover(chosen, include=include, exclude=exclude, without=(out, vault))
    for trouble in found.troubles():
        warnings.warn(trouble, stacklevel=2)
    if not found.slides:
        return
    with open_run(
        found.slides,
        out,
        policy or Policy(),
        custody,
        executor=executor,
        jobs=jobs,
        verify=verify,
        sync=sync,
        overwrite=overwrite,
    ) as run:
        yield from run.convert()


def vault_of(custody: Custody, out: Path) -> Path:
    """Return the folder that holds the ledger."""
    return custody.vault or vault_beside(out)


def keeps_links(custody: Custody, policy: Policy) -> bool:
    """Tell whether the ledger may say which study a slide became.

    Under `public` nobody keeps that who does not ask for a vault, and beside an encrypted vault
    it would stand in clear.
    """
    is_asked_for = policy.profile is not Profile.PUBLIC or custody.vault is not None
    return is_asked_for and custody.recipient is None


@contextmanager
def open_run(
    candidates: Sequence[Candidate],
    out: Path,
    policy: Policy,
    custody: Custody,
    *,
    executor: Executor | None = None,
    jobs: int | None = None,
    verify: bool = True,
    sync: bool = True,
    overwrite: bool = False,
) -> Iterator["Run"]:
    """Yield a run over slides that were found; its ledger is locked, and it stops on signals.

    Raises
    ------
    PolicyError
        If another run has the ledger, or a row of the metadata names several of the slides.
    """
    vault, links = vault_of(custody, out), keeps_links(custody, policy)
    if custody.metadata is not None:
        custody.metadata.assign(candidate.path.absolute() for candidate in candidates)
    # A worker may have another working directory.
    out = out.absolute()
    if custody.vault is not None:
        custody = replace(custody, vault=custody.vault.absolute())
    with open_ledger(vault, out, keeps_links=links) as ledger, claimed(out, ledger.token):
        if out.is_dir():
            commit.sweep(out)
        for record in list(ledger.superseded()):
            if record.outputs is not None and record.stale is not None:  # killed before this
                _remove(record.stale, record.outputs, out)
                ledger.forget_stale(record.number)
        if not links:
            ledger.forget_links()
        making = Making(policy=policy, custody=custody, verify=verify, salt=ledger.salt)
        registered = ledger.register(candidates, making.of, out, again=overwrite)
        run = Run(
            ledger=ledger,
            out=out,
            policy=policy,
            custody=custody,
            executor=executor,
            verify=verify,
            sync=sync,
            jobs=jobs or core_count(),
            overwrite=overwrite,
            registered=registered,
            missing=sum(not study.are_in(out) for study in ledger.unlinked()),
        )
        with run.stopping_on_signals():
            yield run


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(kw_only=True)
class Run:
    """The state of one run."""

    ledger: Ledger
    out: Path
    policy: Policy
    custody: Custody
    executor: Executor | None
    verify: bool
    sync: bool
    jobs: int
    overwrite: bool
    registered: Registered
    """What there is to do."""
    missing: int
    """Studies that are not in the output any more, and of which is not known what they were of."""
    stops: int = 0
    """How often it was told to stop."""
    pool: ProcessPoolExecutor | None = None
    in_flight: dict[Future[Outcome], int] = field(default_factory=dict)
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    deaths: Counter[int] = field(default_factory=Counter)
    """How many workers each slide has lost in this run."""

    @property
    def numbers(self) -> Sequence[int]:
        """Those of the slides that are to be converted."""
        return self.registered.numbers

    def convert(self) -> Iterator[Outcome]:
        """Yield the outcome of each slide.

        Raises
        ------
        StoppedError
            If the disk is full.
        KeyboardInterrupt
            If it was told to stop by a signal, when nothing is in work any more.
        """
        waiting, suspects = deque(self.numbers), deque[int]()
        is_full = False
        try:
            while (waiting or suspects or self.in_flight) and self.stops < _STOP_AT_ONCE:
                if not (self.stops or is_full):
                    self._hand_out(waiting, suspects)
                if not self.in_flight:
                    break
                for number, outcome in self._ended(suspects):
                    is_full = is_full or outcome.disk_is_full
                    yield self._noted(number, outcome)
        finally:
            self._end()
        if is_full:
            raise StoppedError(
                "the disk is full", hint="make room and run it again; what is done stays done"
            )
        if self.stops:
            raise KeyboardInterrupt

    def _hand_out(self, waiting: deque[int], suspects: deque[int]) -> None:
        """Submit slides; those that were in work when a worker died, one at a time."""
        if suspects:
            if not self.in_flight:
                self._submit(suspects.popleft())
            return
        while waiting and len(self.in_flight) < _AHEAD * self.jobs:
            self._submit(waiting.popleft())

    def _submit(self, number: int) -> None:
        executor = self.executor
        if executor is None:
            if self.pool is None:
                self.pool = process_pool(self.jobs)
            executor = self.pool
        record = self.ledger.start(number, self.policy.digest())
        task = Task(
            number=number,
            path=record.path,
            stamp=(record.byte_count, record.mtime_ns),
            out=self.out,
            policy=self.policy,
            custody=replace(self.custody, seed=record.seed),
            # Whoever was cut off may have been cut off behind the last rename; and under names
            # that last a slide replaces itself.
            overwrite=self.overwrite or record.attempts > 1 or record.stale is not None,
            verify=self.verify,
            sync=self.sync,
            mark=None if self.executor is None else self._mark_of(number),
        )
        self.in_flight[executor.submit(convert_task, task)] = number

    def _mark_of(self, number: int) -> Path:
        return commit.mark_path(self.out, f"{self.token}-{number}")

    def _ended(self, suspects: deque[int]) -> Iterator[tuple[int, Outcome]]:
        """Yield what ended; a slide whose worker died comes again, or fails."""
        done, _ = wait(self.in_flight, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            number = self.in_flight.pop(future)
            try:
                yield number, future.result()
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:  # noqa: BLE001 (whatever an executor raises)
                if isinstance(error, BrokenProcessPool):
                    self.pool = None
                if self.stops or isinstance(error, CancelledError):
                    continue  # it stays running in the ledger: what was cut off, see `_end`
                self.deaths[number] += 1
                if self.deaths[number] < _MOST_DEATHS:
                    suspects.append(number)
                else:
                    reason = "the process that converted it died, twice"
                    state, count = State.FAILED, self.ledger.record(number).byte_count
                    yield (
                        number,
                        Outcome(
                            number=number, state=state, seconds=0.0, byte_count=count, reason=reason
                        ),
                    )

    def _noted(self, number: int, outcome: Outcome) -> Outcome:
        """Enter an outcome; what an earlier state of the slide left goes when the new is there."""
        if self.executor is not None:
            self._mark_of(number).unlink(missing_ok=True)
        if outcome.outputs is None:
            reason = outcome.reason or "it failed"
            self.ledger.fail(number, outcome.state, reason, outcome.hint)
            return outcome
        # Before its link to the slide may be forgotten; killed in between, it is made once more.
        stale = self.ledger.record(number).stale
        if stale is not None:
            _remove(stale, outcome.outputs, self.out)
            self.ledger.forget_stale(number)
        self.ledger.finish(number, outcome.outputs, outcome.seconds, outcome.quick_digest)
        return outcome

    @contextmanager
    def stopping_on_signals(self) -> Iterator[None]:
        """Stop when told to: after the slides in hand, and at once when told again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(_: int, __: FrameType | None) -> None:
            self.stops += 1

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self) -> None:
        """Leave nothing in work: what has not begun waits, what has ended meanwhile is noted.

        What may have got its names without our knowing stays running in the ledger: the next run
        takes it for cut off, and converts it under the same names.
        """
        cancelled = {future for future in self.in_flight if future.cancel()}
        if self.pool is not None:
            processes = list(getattr(self.pool, "_processes", None) or {})
            if self.stops >= _STOP_AT_ONCE:
                for pid in processes:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGTERM)
            self.pool.shutdown(wait=True, cancel_futures=True)
        for future, number in self.in_flight.items():
            with suppress(CoverslipError):
                if future not in cancelled:
                    self._note_if_ended(number, future)
                elif self.executor is None:  # others call a slide cancelled while it is at work
                    self.ledger.wait(number)
        self.in_flight.clear()
        if self.out.is_dir():
            commit.sweep(self.out)

    def _note_if_ended(self, number: int, future: Future[Outcome]) -> None:
        if future.done() and not future.cancelled() and future.exception() is None:
            self._noted(number, future.result())


def _remove(stale: Outputs, kept: Outputs, out: Path) -> None:
    """Remove what an earlier state of a slide left, but for what the new one replaced."""
    new = set(kept.paths(out))
    for path in stale.paths(out):
        if path in new:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with suppress(OSError):
        (out / stale.study).rmdir()
