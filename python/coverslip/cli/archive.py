"""``coverslip convert`` of many slides."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from coverslip.archive.discovery import Found, discover
from coverslip.archive.many import open_run, vault_of
from coverslip.archive.records import State
from coverslip.archive.run import Run
from coverslip.archive.sharing import require_shared
from coverslip.archive.stopping import Interrupted
from coverslip.archive.summary import is_there, write_summary
from coverslip.cli import Ended
from coverslip.cli.cluster import client_of, executor_of, jobs_of
from coverslip.cli.progress import notes_on, passed_of, shower, tell_stop
from coverslip.cli.shown import shown
from coverslip.deid.custody import Custody
from coverslip.deid.metadata import Assignment
from coverslip.deid.policy import Policy
from coverslip.errors import CoverslipError, PolicyError
from coverslip.quarantine import quarantine_beside

EXIT_FAILED, EXIT_QUARANTINED = 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the operator asks for beside the policy."""

    include: Sequence[str]
    exclude: Sequence[str]
    jobs: int | None
    scheduler: str | None
    verify: bool
    sync: bool
    overwrite: bool
    dry_run: bool
    show_paths: bool
    show_progress: bool
    as_json: bool


def run(inputs: Sequence[Path], out: Path, policy: Policy, custody: Custody, choice: Choice) -> int:
    """Convert what there is, tell what becomes of it, and return the exit status."""
    with discover(
        inputs,
        include=choice.include,
        exclude=choice.exclude,
        without=(out, vault_of(custody, out), quarantine_beside(out)),
        on_passed=_tell_passed if choice.show_paths else None,
    ) as found:
        if not found.slides:
            return _nothing(found, choice)
        if custody.metadata is not None:
            paths = (candidate.path.absolute() for candidate in found.slides)
            _tell_assignment(custody.metadata.assign(paths), choice)
        if choice.dry_run:
            from coverslip.cli.plan import dry_run

            return dry_run(found, out, policy, custody, choice)
        return _convert(found, out, policy, custody, choice)


def _convert(found: Found, out: Path, policy: Policy, custody: Custody, choice: Choice) -> int:
    """Convert what was found, tell what becomes of it, and return the exit status."""
    vault = vault_of(custody, out)
    with ExitStack() as stack:
        client = client_of(choice.scheduler, stack)
        executor = None if client is None else executor_of(client)
        work = stack.enter_context(
            open_run(
                found.slides,
                out,
                policy,
                custody,
                executor=executor,
                jobs=choice.jobs or jobs_of(client),
                verify=choice.verify,
                sync=choice.sync,
                overwrite=choice.overwrite,
            )
        )
        if not choice.as_json:
            _tell_unlinked(work)
        if client is not None:
            turns = islice(work.registered.turns, 1)
            first = [work.ledger.record(number) for number in turns]
            require_shared(
                partial(client.run, on_error="return"),
                out=out,
                vault=vault,
                custody=custody,
                policy=policy,
                slides=[(record.path, record.byte_count) for record in first],
            )
        show = shower(
            work,
            found,
            as_json=choice.as_json,
            show_progress=choice.show_progress,
            show_paths=choice.show_paths,
        )
        work.on_stop = partial(tell_stop, show)
        work.on_bytes = show.in_hand
        stack.push(partial(_sum_up, work, vault, policy))
        stack.callback(show.end)
        states = Counter[State]()
        try:
            for outcome in work.convert():
                states[outcome.state] += 1
                show.outcome(outcome)
        except Interrupted as error:
            raise Ended(error.number, str(error)) from None
    if states[State.FAILED] or found.unreadable:
        return EXIT_FAILED
    is_any_aside = states[State.QUARANTINED] or work.registered.set_aside
    return EXIT_QUARANTINED if is_any_aside else 0


def _nothing(found: Found, choice: Choice) -> int:
    """Say that there is no slide: whoever asks for a conversion expects one."""
    if choice.as_json:
        sys.stdout.write(json.dumps({"event": "start", "found": 0, **passed_of(found)}) + "\n")
    lines = [*notes_on(found), "error: there is no slide in what was given"]
    sys.stderr.write("\n".join(lines) + "\n")
    return EXIT_FAILED


def _tell_passed(kind: str, path: Path) -> None:
    sys.stderr.write(f"passed over: {shown(path)} ({kind})\n")


def _tell_assignment(fit: Assignment, choice: Choice) -> None:
    """Say how many rows of the metadata fit no slide, and how many slides have none."""
    if choice.as_json:
        sys.stdout.write(json.dumps({"event": "metadata", **asdict(fit)}) + "\n")
        return
    if fit.rows_unused:
        sys.stderr.write(f"note: {fit.rows_unused} rows of the metadata fit no slide\n")
    if fit.slides_without_row:
        sys.stderr.write(f"note: {fit.slides_without_row} slides have no row in the metadata\n")


def _tell_unlinked(work: Run) -> None:
    """Say what cannot be put right where nobody keeps which study was made of which slide."""
    if work.missing:
        sys.stderr.write(
            f"note: {work.missing} studies of earlier runs are not in the output, or not whole; of "
            "which slides they were is not kept, so none is made again\n"
        )
    if work.strays:
        sys.stderr.write(
            f"note: {work.strays} studies in OUT.quarantine are of no slide that waits for that: "
            "look at them, then remove them\n"
        )
    if work.registered.left:
        sys.stderr.write(
            f"note: of {work.registered.left} slides that are converted again what they were "
            "before stays in the output, since which studies these are is not kept\n"
        )


def _sum_up(work: Run, vault: Path, policy: Policy, failed: type | None, *_: object) -> None:
    """Write the summary; why the run ended counts more than that this failed too."""
    try:
        write_summary(vault, work.ledger, policy, work.out)
        left = sum(is_there(record, work.out) for record in work.ledger.superseded())
    except (OSError, CoverslipError) as error:
        if failed is None:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise PolicyError(f"the summary cannot be written: {reason}") from None
        return
    if left:
        sys.stderr.write(
            f"note: of {left} slides an earlier state is still in the output: "
            "see coverslip status\n"
        )
