"""``coverslip status``."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from coverslip.archive.ledger import Ledger, reading
from coverslip.archive.locks import is_run_alive
from coverslip.archive.records import SlideRecord, State
from coverslip.archive.summary import is_there, write_rows
from coverslip.cli.shown import name_of
from coverslip.deid.vault import vault_beside

EXIT_FAILED, EXIT_QUARANTINED = 1, 3
_SHOWN = 20
_TO_REMOVE = "remove it, or mend the slide and run again"


def status(out: Path, vault: Path | None, *, show_paths: bool, as_json: bool) -> int:
    """Print what the ledger says; return 1 if not all is converted, 3 if some are quarantined."""
    folder = vault or vault_beside(out)
    is_alive = is_run_alive(folder)
    with reading(folder) as ledger:
        counts = ledger.counts()
        left = sum(is_there(record, out) for record in ledger.superseded())
        if as_json:
            head = {
                "run_is_alive": is_alive,
                "slides": {str(state): counts[state] for state in State},
                "superseded": left,
            }
            sys.stdout.write(json.dumps(head, indent=2).removesuffix("\n}"))
            rows = (_row(record, out, show_path=show_paths) for record in ledger.records())
            write_rows(sys.stdout, "rows", rows)
            sys.stdout.write("\n}\n")
        else:
            for state in State:
                if counts[state]:
                    is_cut_off = state is State.RUNNING and not is_alive
                    name = "cut off" if is_cut_off else str(state)
                    sys.stdout.write(f"{name:<12}{counts[state]}\n")
            _tell(_lines(ledger, out, show_paths=show_paths))
    unfinished = counts[State.FAILED] + counts[State.WAITING] + counts[State.RUNNING]
    if unfinished:
        return EXIT_FAILED
    return EXIT_QUARANTINED if counts[State.QUARANTINED] else 0


def _tell(lines: Iterator[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in islice(lines, _SHOWN))
    more = sum(1 for _ in lines)
    if more:
        sys.stdout.write(f"and {more} more; --json has all\n")


def _lines(ledger: Ledger, out: Path, *, show_paths: bool) -> Iterator[str]:
    for record in ledger.records():
        name = name_of(record, show_path=show_paths)
        if record.reason is not None:
            yield f"{name}: {record.state}: {record.reason}"
        if record.set_aside is not None:
            yield f"{name}: set aside as study {record.set_aside}"
        if record.outputs is not None and record.outputs.doubt is not None:
            yield f"{name}: {record.state}: warning: {record.outputs.doubt}"
        if record.stale is not None and is_there(record, out):
            yield f"{name}: of an earlier state of it {_place(record)} is there: {_TO_REMOVE}"
    for study in ledger.links.studies():
        if study.doubt is not None:
            yield f"study {study.study}: warning: {study.doubt}"


def _place(record: SlideRecord) -> str:
    if record.stale is None:
        raise AssertionError("nothing of an earlier state is there")
    return f"{record.stale.certificate} of the study {record.stale.study}"


def earlier_state(record: SlideRecord) -> str:
    """Return what to do about what an earlier state of a slide left."""
    return f"of an earlier state {_place(record)} is in the output: {_TO_REMOVE}"


def _row(record: SlideRecord, out: Path, *, show_path: bool) -> dict[str, object]:
    row: dict[str, object] = {
        "slide": record.number,
        "state": str(record.state),
        "reason": record.reason,
        "hint": record.hint,
        "seconds": record.seconds,
        "study_instance_uid": None if record.outputs is None else record.outputs.study,
        "set_aside": record.set_aside,
        "doubt": None if record.outputs is None else record.outputs.doubt,
    }
    if record.stale is not None and is_there(record, out):
        row["superseded"] = {"study": record.stale.study, "certificate": record.stale.certificate}
    if show_path:
        row["path"] = None if record.is_unlinked else str(record.path)
    return row
