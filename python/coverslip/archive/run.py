"""One run over many slides: hands them out, keeps the ledger, and takes what comes back."""

import shutil
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path

from coverslip import commit
from coverslip.archive.claim import claimed
from coverslip.archive.discovery import Candidate, discover
from coverslip.archive.lease import Lease, lease_in, leased
from coverslip.archive.ledger import Ledger, Outputs, Registered, State, open_ledger
from coverslip.archive.making import Making
from coverslip.archive.pool import Pool
from coverslip.archive.stopping import Interrupted, StoppedError, taking_signals
from coverslip.archive.workers import Outcome, Task, convert_task
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.vault import vault_beside
from coverslip.errors import CoverslipError
from coverslip.guard import core_count

_AHEAD = 2
"""Slides in flight for each worker: one at work, one waiting."""
_MOST_DEATHS = 2
"""A slide with which a worker died is tried once more."""
_STOP_AT_ONCE, _KILL = 2, 3
"""Told to stop so often, a run recalls the slides in hand; or does not wait for that either."""
_GRACE_S = 5.0
"""How long slides in hand may take to be rolled back."""
_TO_DIE_S = 2.0
_POLL_S = 0.2


_RECALLED = {State.WAITING, State.RUNNING}
_GO_ON = "run it again; what is done stays done"


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
        If another run has the ledger, there is nothing at a path, a row of the metadata names
        several slides, or the output cannot be written.
    StoppedError
        If the disk is full, or the executor gave slides up; those that had no turn are waiting in
        the ledger.
    KeyboardInterrupt
        If SIGINT, SIGTERM or SIGHUP ended it, which the main thread sees to: after the slides in
        hand, and at once when it comes again.
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
        If another run has the ledger, a row of the metadata names several of the slides, or the
        output cannot be written.
    """
    vault, links = vault_of(custody, out), keeps_links(custody, policy)
    if custody.metadata is not None:
        custody.metadata.assign(candidate.path.absolute() for candidate in candidates)
    # A worker may have another working directory.
    out = out.absolute()
    if custody.vault is not None:
        custody = replace(custody, vault=custody.vault.absolute())
    with (
        open_ledger(vault, out, keeps_links=links) as ledger,
        claimed(out, ledger.token),
        ExitStack() as stack,
    ):
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
        yield Run(
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
            # Where there is nothing to do, nothing has to be written either.
            lease=stack.enter_context(leased(out)) if registered.numbers else lease_in(out),
        )


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
    lease: Lease
    on_stop: Callable[[int, int], object] = lambda *_: None
    """Called when the run was told to stop, with the signal and how often there was one."""
    on_bytes: Callable[[int], object] = lambda _: None
    """Called now and then with how many bytes are done of slides in hand, where that is known."""
    signals: list[int] = field(default_factory=list)
    """Which told it to stop."""
    pool: Pool | None = None
    in_flight: dict[Future[Outcome], int] = field(default_factory=dict)
    waiting: deque[int] = field(default_factory=deque)
    suspects: deque[int] = field(default_factory=deque)
    """Slides in work when a worker died."""
    deaths: Counter[int] = field(default_factory=Counter)
    """How many workers each slide has lost in this run."""
    told: int = 0
    """Of the signals, those that it has acted on."""
    is_closed: bool = False
    """Whether no slide is begun any more."""

    @property
    def numbers(self) -> Sequence[int]:
        """Those of the slides that are to be converted."""
        return self.registered.numbers

    def convert(self) -> Iterator[Outcome]:
        """Yield the outcome of each slide.

        Raises
        ------
        StoppedError
            If the disk is full, or the executor gave slides up.
        Interrupted
            If it was told to stop by a signal, when nothing is in work any more.
        """
        self.waiting.extend(self.numbers)
        left, is_full = len(self.numbers), False
        with taking_signals(self.signals):
            try:
                while self._goes_on() and len(self.signals) < _STOP_AT_ONCE:
                    if not (self.signals or self.is_closed):
                        self._hand_out()
                    for number, outcome in self._ended():
                        is_full = is_full or outcome.disk_is_full
                        if self._noted(number, outcome):
                            left -= 1
                            yield outcome
                    self._act_on_signals()
                    if is_full:
                        self._close()
            finally:
                self._end()
        if self.signals:
            raise Interrupted(self.signals[-1], left)
        if is_full:
            raise StoppedError(
                "the disk is full", hint="make room and run it again; what is done stays done"
            )
        if left:
            raise StoppedError(f"{left} slides came to no end", hint=_GO_ON)

    def _goes_on(self) -> bool:
        """Tell whether there is anything to wait for."""
        return bool(self.in_flight or (not self.is_closed and (self.waiting or self.suspects)))

    def _close(self) -> None:
        """Begin no slide any more; those that were handed out and not begun come back.

        A cluster may call a slide cancelled while it is at work: there the lease brings it back.
        """
        self.is_closed = True
        self.lease.close()
        for future, number in list(self.in_flight.items()):
            if self.executor is None and future.cancel():
                del self.in_flight[future]
                with suppress(CoverslipError):
                    self.ledger.wait(number)

    def _hand_out(self) -> None:
        """Submit slides; those that were in work when a worker died, one at a time."""
        if self.suspects:
            if not self.in_flight:
                self._submit(self.suspects.popleft())
            return
        while self.waiting and len(self.in_flight) < _AHEAD * self.jobs:
            self._submit(self.waiting.popleft())

    def _submit(self, number: int) -> None:
        if self.executor is None and self.pool is None:
            self.pool = Pool(self.jobs)
        executor = self.executor or self.pool
        if executor is None:
            raise AssertionError("there is an executor by now")
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
            lease=self.lease,
        )
        try:
            future = executor.submit(convert_task, task)
        except Exception as error:  # noqa: BLE001 (whatever an executor raises; it may quote paths)
            reason = type(error).__name__
            raise StoppedError(f"the executor takes no slides ({reason})", hint=_GO_ON) from None
        self.in_flight[future] = number

    def _ended(self) -> Iterator[tuple[int, Outcome]]:
        """Yield what ended; a slide whose worker died comes again, or fails.

        Raises
        ------
        StoppedError
            If a slide was cancelled, which is never done here: whoever holds them is gone.
        """
        done, _ = wait(self.in_flight, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        if self.pool is not None:
            self.on_bytes(self.pool.byte_count)
        # A set has no order of its own; what ended at once is told in that of the slides.
        for future in sorted(done, key=self.in_flight.__getitem__):
            number = self.in_flight.pop(future)
            if future.cancelled():
                raise StoppedError("the executor gave slides up", hint=_GO_ON)
            error = future.exception()
            if isinstance(error, CancelledError):
                raise StoppedError("the executor gave slides up", hint=_GO_ON)
            if isinstance(error, KeyboardInterrupt):
                raise error
            is_lost = error is not None or future.result().state in _RECALLED
            if not is_lost or self.is_closed:
                # Of a lost slide nobody knows what it left: it stays running in the ledger.
                if error is None:
                    yield number, future.result()
                continue
            self.deaths[number] += 1
            if self.deaths[number] < _MOST_DEATHS:
                self.suspects.append(number)
            else:
                yield number, self._died(number)

    def _died(self, number: int) -> Outcome:
        return Outcome(
            number=number,
            state=State.FAILED,
            seconds=0.0,
            byte_count=self.ledger.record(number).byte_count,
            reason="the process that converted it died, twice",
        )

    def _noted(self, number: int, outcome: Outcome) -> bool:
        """Enter an outcome, and return whether it is one: a slide that was recalled has none.

        What an earlier state of the slide left goes when the new is there.
        """
        self.lease.forget(number)
        if outcome.state is State.WAITING:
            self.ledger.wait(number)
        if outcome.state in _RECALLED:
            return False
        if outcome.outputs is None:
            reason, keeps = outcome.reason or "it failed", outcome.may_be_there
            self.ledger.fail(number, outcome.state, reason, outcome.hint, keeps_seed=keeps)
            return True
        # Before its link to the slide may be forgotten; killed in between, it is made once more.
        stale = self.ledger.record(number).stale
        if stale is not None:
            _remove(stale, outcome.outputs, self.out)
            self.ledger.forget_stale(number)
        self.ledger.finish(number, outcome.outputs, outcome.seconds, outcome.quick_digest)
        return True

    def _act_on_signals(self) -> None:
        """Begin no slide any more once there was one, and say so."""
        if self.told < len(self.signals):
            self.told = len(self.signals)
            self._close()
            self.on_stop(self.signals[-1], self.told)

    def _end(self) -> None:
        """Leave nothing in work: what has not begun waits, what has ended meanwhile is noted.

        What may have got its names without our knowing stays running in the ledger: the next run
        takes it for cut off, and converts it under the same names.
        """
        self._close()
        waits = self.executor is None  # a cluster's slides are recalled when nobody reads on
        while self.in_flight and waits and len(self.signals) < _STOP_AT_ONCE:
            self._note_rest()
        if self.in_flight:
            self._act_on_signals()
            self.lease.end()
            if self.pool is not None:
                self.pool.recall()
            self._note_rest_for(_GRACE_S, lambda: len(self.signals) >= _KILL)
            if self.pool is not None:
                self.pool.kill()
                self._note_rest_for(_TO_DIE_S, lambda: False)
            for future in self.in_flight:
                future.cancel()
        if self.pool is not None:
            self.pool.shutdown(wait=not self.in_flight, cancel_futures=True)
        self.in_flight.clear()
        if self.out.is_dir():
            commit.sweep(self.out)

    def _note_rest_for(self, seconds: float, is_enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while self.in_flight and time.monotonic() < deadline and not is_enough():
            self._note_rest()

    def _note_rest(self) -> None:
        """Note what ends while the run does; why it ends counts more than what is wrong here."""
        with suppress(CoverslipError):
            for number, outcome in self._ended():
                self._noted(number, outcome)
        self._act_on_signals()


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
