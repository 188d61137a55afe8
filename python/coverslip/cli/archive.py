"""``coverslip convert`` of many slides, and ``coverslip status``."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from coverslip.archive.discovery import Candidate, discover
from coverslip.archive.ledger import SlideRecord, State, read_ledger
from coverslip.archive.run import Run, core_count, open_run, vault_of
from coverslip.archive.sharing import require_shared
from coverslip.archive.summary import write_summary
from coverslip.archive.workers import Outcome, process_pool
from coverslip.cli.guarded import guarded
from coverslip.cli.shown import shown
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from coverslip.deid.vault import vault_beside
from coverslip.errors import CoverslipError, PolicyError

if TYPE_CHECKING:
    from distributed import Client

EXIT_FAILED, EXIT_QUARANTINED = 1, 3
_SHOWN_REASONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the operator asks for beside the policy."""

    include: Sequence[str]
    exclude: Sequence[str]
    jobs: int | None
    scheduler: str | None
    verify: bool
    sync: bool
    dry_run: bool
    show_paths: bool
    show_progress: bool
    as_json: bool


def run(inputs: Sequence[Path], out: Path, policy: Policy, custody: Custody, choice: Choice) -> int:
    """Convert what there is, tell what becomes of it, and return the exit status."""
    vault = vault_of(custody, out)
    candidates = discover(
        inputs, include=choice.include, exclude=choice.exclude, without=(out, vault)
    )
    if custody.metadata is not None:
        _tell_unused(custody.metadata.unused(c.path.name for c in candidates), choice)
    if choice.dry_run:
        return _dry_run(candidates, vault, policy, choice)
    with ExitStack() as stack:
        client = _client(choice.scheduler, stack)
        executor = None if client is None else _executor(client)
        jobs = choice.jobs or _jobs_of(client)
        work = stack.enter_context(
            open_run(
                candidates,
                out,
                policy,
                custody,
                executor=executor,
                jobs=jobs,
                verify=choice.verify,
                sync=choice.sync,
            )
        )
        if client is not None:
            first = [work.ledger.record(number) for number in work.numbers[:1]]
            require_shared(
                partial(client.run, on_error="return"),
                out=out,
                vault=vault,
                custody=custody,
                policy=policy,
                slides=[(record.path, record.byte_count) for record in first],
            )
        sizes = {number: work.ledger.record(number).byte_count for number in work.numbers}
        show = _shower(work, sum(sizes.values()), len(candidates), choice)
        stack.push(partial(_sum_up, work, vault, policy))
        stack.callback(show.end)
        states = Counter[State]()
        for outcome in work.convert():
            states[outcome.state] += 1
            show.outcome(outcome)
    if states[State.FAILED]:
        return EXIT_FAILED
    return EXIT_QUARANTINED if states[State.QUARANTINED] else 0


def _tell_unused(rows: int, choice: Choice) -> None:
    """Say how many rows of the metadata fit no slide."""
    if choice.as_json:
        sys.stdout.write(json.dumps({"event": "metadata", "rows_unused": rows}) + "\n")
    elif rows:
        sys.stderr.write(f"note: {rows} rows of the metadata fit no slide\n")


def _sum_up(work: Run, vault: Path, policy: Policy, failed: type | None, *_: object) -> None:
    """Write the summary; why the run ended counts more than that this failed too."""
    try:
        write_summary(vault, list(work.ledger.records()), policy)
    except (OSError, CoverslipError) as error:
        if failed is None:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise PolicyError(f"the summary cannot be written: {reason}") from None


def _client(address: str | None, stack: ExitStack) -> "Client | None":
    """Return a client of a Dask scheduler, ``None`` for processes of this machine."""
    if address is None:
        return None
    try:
        from distributed import Client
    except ImportError:
        raise PolicyError(
            "--scheduler needs Dask Distributed", hint="pip install 'coverslip[dask]'"
        ) from None
    try:
        client: Client = stack.enter_context(Client(address, timeout=20))  # type: ignore[no-untyped-call]
    except (OSError, ValueError):
        raise PolicyError(
            "no Dask scheduler answers at the address", hint="such as tcp://HOST:8786"
        ) from None
    return client


def _executor(client: "Client") -> Executor:
    executor: Executor = client.get_executor(pure=False, retries=0)  # type: ignore[no-untyped-call]
    return executor


def _jobs_of(client: "Client | None") -> int:
    """Return how many slides may be in work at a time: cores here, threads of the workers there."""
    if client is None:
        return core_count()
    threads: dict[str, int] = client.nthreads()  # type: ignore[no-untyped-call]
    return max(sum(threads.values()), 1)


class _Shower(Protocol):
    def outcome(self, outcome: Outcome) -> None: ...

    def end(self) -> None: ...


def _shower(work: Run, byte_count: int, found: int, choice: Choice) -> _Shower:
    if choice.as_json:
        return _Events(work, byte_count, found)
    if choice.show_progress and sys.stderr.isatty():
        return _Bar(work, byte_count, found, show_paths=choice.show_paths)
    return _Lines(work, found, show_paths=choice.show_paths, quiet=not choice.show_progress)


class _Events:
    """A line of JSON on standard output for each thing that happens."""

    def __init__(self, work: Run, byte_count: int, found: int) -> None:
        numbers = {"slides": len(work.numbers), "found": found, "byte_count": byte_count}
        self._tell({"event": "start", **numbers})
        self._states: Counter[str] = Counter()

    def outcome(self, outcome: Outcome) -> None:
        self._states[str(outcome.state)] += 1
        self._tell({"event": "slide", **asdict(outcome)})

    def end(self) -> None:
        self._tell({"event": "end", "slides": dict(self._states)})

    def _tell(self, event: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


class _Lines:
    """A line on standard error for each slide: for logs."""

    def __init__(self, work: Run, found: int, *, show_paths: bool, quiet: bool) -> None:
        self._work, self._show_paths, self._quiet = work, show_paths, quiet
        self._states: Counter[State] = Counter()
        self._start = time.monotonic()
        self._bytes = 0
        skipped = found - len(work.numbers)
        self._say(f"{found} slides found, {skipped} are done already")

    def outcome(self, outcome: Outcome) -> None:
        self._states[outcome.state] += 1
        self._bytes += outcome.byte_count
        if not self._quiet or outcome.state is not State.DONE:
            count = sum(self._states.values())
            line = line_of(outcome, self._work, show_path=self._show_paths)
            self._say(f"[{count}/{len(self._work.numbers)}] {line}")

    def end(self) -> None:
        self._say(_sums(self._states, self._bytes, time.monotonic() - self._start))

    def _say(self, line: str) -> None:
        sys.stderr.write(line + "\n")


class _Bar:
    """A live bar on a terminal; only slides that were not converted get a line."""

    def __init__(self, work: Run, byte_count: int, found: int, *, show_paths: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._work, self._show_paths = work, show_paths
        self._states: Counter[State] = Counter()
        self._start, self._bytes = time.monotonic(), 0
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
            TimeRemainingColumn(), console=self._console, transient=True,
        )  # fmt: skip
        self._console.print(f"{found} slides found, {found - len(work.numbers)} are done already")
        self._task = self._bar.add_task(self._text(), total=byte_count)
        self._bar.start()

    def _text(self) -> str:
        failed = self._states[State.FAILED] + self._states[State.QUARANTINED]
        text = f"{sum(self._states.values())}/{len(self._work.numbers)} slides"
        return f"{text}, {failed} not converted" if failed else text

    def outcome(self, outcome: Outcome) -> None:
        self._states[outcome.state] += 1
        self._bytes += outcome.byte_count
        if outcome.state is not State.DONE:
            line = line_of(outcome, self._work, show_path=self._show_paths)
            self._console.print(line, markup=False)
        self._bar.update(self._task, advance=outcome.byte_count, description=self._text())

    def end(self) -> None:
        self._bar.stop()
        sums = _sums(self._states, self._bytes, time.monotonic() - self._start)
        self._console.print(sums, markup=False)


def line_of(outcome: Outcome, work: Run, *, show_path: bool) -> str:
    """Return one slide's line; slides are numbers, but on the operator's own terminal."""
    name = f"slide {outcome.number}"
    if show_path:
        name += f" ({shown(work.ledger.record(outcome.number).path)})"
    if outcome.outputs is not None:
        return f"{name}: done, {outcome.outputs.study}, {outcome.seconds:.1f} s"
    hint = "" if outcome.hint is None else f" ({outcome.hint})"
    return f"{name}: {outcome.state}: {outcome.reason}{hint}"


def _sums(states: Counter[State], byte_count: int, seconds: float) -> str:
    parts = [f"{states[state]} {state}" for state in State if states[state]]
    rate = byte_count / seconds if seconds else 0.0
    return f"{', '.join(parts) or 'nothing to do'}; {_size(byte_count)}, {_size(rate)}/s"


def _size(byte_count: float) -> str:
    return f"{byte_count / 1e9:.2f} GB" if byte_count >= 1e9 else f"{byte_count / 1e6:.1f} MB"


def _dry_run(candidates: Sequence[Candidate], vault: Path, policy: Policy, choice: Choice) -> int:
    """Print what would become of each slide; nothing is written."""
    total, failed, rows = 0, 0, []
    plans = zip(candidates, _plans(candidates, policy), strict=True)
    for number, (candidate, planned) in enumerate(plans, start=1):
        name = _name(candidate, number, choice)
        row: dict[str, object] = {"slide": name, "byte_count": candidate.byte_count}
        total += candidate.byte_count
        row |= planned
        failed += "refused" in row
        rows.append(row)
    rate = _measured_rate(vault)
    plan = {
        "slides": len(rows),
        "refused": failed,
        "byte_count": total,
        "seconds": None if rate is None else round(total / rate),
    }
    if choice.as_json:
        sys.stdout.write(json.dumps({**plan, "plan": rows}, indent=2) + "\n")
        return 0
    for row in rows:
        what = row.get("refused") or ", ".join(f"{r}" for r in row["routes"])  # type: ignore[attr-defined]
        sys.stdout.write(f"{row['slide']}: {row.get('format', 'refused')}: {what}\n")
    time_needed = "not known before slides were converted into this vault"
    if rate is not None:
        time_needed = f"about {total / rate / 60:.0f} minutes of one job, as earlier slides took"
    sys.stdout.write(
        f"{len(rows)} slides, {failed} would be refused, {total / 1e9:.2f} GB; about as much room "
        f"is needed; time {time_needed}\n"
    )
    return 0


def _plans(candidates: Sequence[Candidate], policy: Policy) -> Iterator[dict[str, object]]:
    """Yield what would become of each slide, read under the limits of a worker."""
    pool: ProcessPoolExecutor | None = None
    try:
        for candidate in candidates:
            pool = pool or process_pool(1)
            try:
                yield pool.submit(plan_of, candidate.path, policy).result()
            except BrokenProcessPool:
                pool = None
                yield {"refused": "the process that read it died"}
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def plan_of(path: Path, policy: Policy) -> dict[str, object]:
    """Return what would become of a slide; whatever goes wrong is part of that."""
    from coverslip.slide import open

    plan: dict[str, object] = {}
    try:
        with guarded(path):
            slide = open(path).cut_into(policy.ndpi_frames)
            routes = slide.routes(colour=policy.colour, allow_pixel=policy.allow_pixel)
        refused = next((route for route in routes if route.error is not None), None)
        plan |= {"format": slide.format, "routes": [str(route.kind) for route in routes]}
        if refused is not None:
            plan["refused"] = refused.reason
    except CoverslipError as error:
        plan["refused"] = str(error)
    except OSError as error:
        plan["refused"] = error.strerror
    except Exception as error:  # noqa: BLE001 (its message may quote the slide)
        plan["refused"] = f"{type(error).__name__}: a defect of coverslip"
    return plan


def _name(candidate: Candidate, number: int, choice: Choice) -> str:
    if not choice.show_paths:
        return f"input {number}"
    return str(candidate.path) if choice.as_json else shown(candidate.path)


def _measured_rate(vault: Path) -> float | None:
    """Return bytes a second of the slides that were converted before, if there were any."""
    try:
        done = [record for record in read_ledger(vault) if record.seconds]
    except PolicyError:
        return None
    seconds = sum(record.seconds or 0.0 for record in done)
    return sum(record.byte_count for record in done) / seconds if seconds else None


def status(out: Path, vault: Path | None, *, show_paths: bool, as_json: bool) -> int:
    """Print what the ledger says, and return 1 if a slide failed, 3 if one is quarantined."""
    records = read_ledger(vault or vault_beside(out))
    counts = Counter(record.state for record in records)
    if as_json:
        rows = [_row(record, show_path=show_paths) for record in records]
        sums = {str(state): counts[state] for state in State}
        sys.stdout.write(json.dumps({"slides": sums, "rows": rows}, indent=2) + "\n")
    else:
        for state in State:
            if counts[state]:
                sys.stdout.write(f"{state:<12}{counts[state]}\n")
        bad = [record for record in records if record.reason is not None]
        for record in bad[:_SHOWN_REASONS]:
            name = f"slide {record.number}" + (f" ({shown(record.path)})" if show_paths else "")
            sys.stdout.write(f"{name}: {record.state}: {record.reason}\n")
        if len(bad) > _SHOWN_REASONS:
            sys.stdout.write(f"and {len(bad) - _SHOWN_REASONS} more; --json has all\n")
    if counts[State.FAILED]:
        return EXIT_FAILED
    return EXIT_QUARANTINED if counts[State.QUARANTINED] else 0


def _row(record: SlideRecord, *, show_path: bool) -> dict[str, object]:
    row: dict[str, object] = {
        "slide": record.number,
        "state": str(record.state),
        "reason": record.reason,
        "hint": record.hint,
        "seconds": record.seconds,
        "study_instance_uid": None if record.outputs is None else record.outputs.study,
    }
    return row | {"path": str(record.path)} if show_path else row
