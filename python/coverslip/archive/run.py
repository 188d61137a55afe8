"""One run over many slides: hands them out, keeps the ledger, and takes what comes back."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from coverslip.archive.lease import Lease
from coverslip.archive.ledger import Ledger
from coverslip.archive.pool import Pool
from coverslip.archive.records import State
from coverslip.archive.registering import Registered
from coverslip.archive.stopping import Interrupted, StoppedError, taking_signals
from coverslip.archive.workers import Outcome, Task, convert_task
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from coverslip.errors import CoverslipError
from coverslip.quarantine import release_from_quarantine, sweep_with_quarantine

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
    strays: int
    """Studies in the quarantine that no slide is known to have become."""
    lease: Lease
    on_stop: Callable[[int, int], object] = lambda *_: None
    """Called when the run was told to stop, with the signal and how often there was one."""
    on_bytes: Callable[[int], object] = lambda _: None
    """Called now and then with how many bytes are done of slides in hand, where that is known."""
    signals: list[int] = field(default_factory=list)
    """Which told it to stop."""
    pool: Pool | None = None
    in_flight: dict[Future[Outcome], int] = field(default_factory=dict)
    waiting: Iterator[int] = field(default_factory=lambda: iter(()))
    """The slides that had no turn yet."""
    unbegun: int = 0
    """How many these are."""
    suspects: deque[int] = field(default_factory=deque)
    """Slides in work when a worker died."""
    deaths: Counter[int] = field(default_factory=Counter)
    """How many workers each slide has lost in this run."""
    told: int = 0
    """Of the signals, those that it has acted on."""
    is_closed: bool = False
    """Whether no slide is begun any more."""

    @property
    def slides(self) -> int:
        """How many slides are to be converted."""
        return len(self.registered.turns)

    def convert(self) -> Iterator[Outcome]:
        """Yield the outcome of each slide.

        Raises
        ------
        StoppedError
            If the disk is full, or the executor gave slides up.
        Interrupted
            If it was told to stop by a signal, when nothing is in work any more.
        """
        self.waiting, self.unbegun = iter(self.registered.turns), self.slides
        left, is_full = self.slides, False
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
        return bool(self.in_flight or (not self.is_closed and (self.unbegun or self.suspects)))

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
        while self.unbegun and len(self.in_flight) < _AHEAD * self.jobs:
            self.unbegun -= 1
            self._submit(next(self.waiting))

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
            self._note_failed(number, outcome)
            return True
        self._release(self.ledger.record(number).set_aside, outcome.outputs.study)
        # Before its link to the slide may be forgotten; killed in between, it is made once more.
        stale = self.ledger.record(number).stale
        if stale is not None:
            stale.remove_but(outcome.outputs, self.out)
            self.ledger.forget_stale(number)
        self.ledger.finish(number, outcome.outputs, outcome.seconds, outcome.quick_digest)
        return True

    def _note_failed(self, number: int, outcome: Outcome) -> None:
        """Enter why a slide was not converted; what is set aside takes the place of what was."""
        before = self.ledger.record(number).set_aside
        self.ledger.fail(
            number,
            outcome.state,
            outcome.reason or "it failed",
            outcome.hint,
            keeps_seed=outcome.may_be_there,
            set_aside=outcome.set_aside,
        )
        if outcome.set_aside not in (None, before):
            self._release(before)

    def _release(self, *studies: str | None) -> None:
        """Remove what was set aside; where that cannot be, the next run tells that it is there."""
        for study in studies:
            if study is not None:
                with suppress(OSError):
                    release_from_quarantine(self.out, study)

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
        sweep_with_quarantine(self.out)

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
