"""What a run leaves for people: a summary that may be shared, and a table for the laboratory."""

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from coverslip import _core
from coverslip.archive.ledger import Ledger
from coverslip.archive.records import Outputs, SlideRecord, State
from coverslip.deid.policy import Policy

SUMMARY, TABLE = "summary.json", "slides.csv"
_COLUMNS = (
    *("number", "path", "state", "reason", "study_instance_uid", "series_instance_uids"),
    *("certificate", "seconds", "updated"),
)


def write_summary(vault: Path, ledger: Ledger, policy: Policy, out: Path) -> None:
    """Write both into the vault, slide by slide; the summary holds no source value.

    It has the digest of each slide's certificate, which has those of the instances: so it
    certifies the run. Of slides that were not converted again, what an earlier state left in the
    output is named too. There is no table where the ledger keeps no links: it would be one.
    """
    counts, read_back, routes = ledger.counts(), Counter[str](), Counter[str]()
    instance_bytes = frames = 0
    for outputs in _all_outputs(ledger):
        read_back[_read_back(outputs)] += 1
        routes.update(outputs.routes)
        instance_bytes += outputs.byte_count
        frames += outputs.frames
    seconds = sum(record.seconds or 0.0 for record in ledger.records(State.DONE))
    head = {
        "schema_version": 2,
        "package": {"name": "coverslip", "version": _core.__version__},
        "policy": {"profile": str(policy.profile), "sha256": policy.digest()},
        "slides": {str(state): counts[state] for state in State},
        "read_back": {"passed": read_back["passed"], "not_run": read_back["not_run"]},
        "instance_bytes": instance_bytes,
        "frames": frames,
        "frames_by_route": dict(sorted(routes.items())),
        "seconds_of_work": round(seconds, 3),
    }
    others = [state for state in State if state is not State.DONE]
    with _replacing(vault / SUMMARY, 0o666) as file:
        file.write(json.dumps(head, indent=2).removesuffix("\n}"))
        write_rows(file, "studies", _studies(ledger))
        write_rows(file, "not_converted", map(_not_converted, ledger.records(*others)))
        left = (record for record in ledger.superseded() if is_there(record, out))
        write_rows(file, "superseded", map(_superseded, left))
        file.write("\n}\n")
    if not ledger.links.are_kept:
        (vault / TABLE).unlink(missing_ok=True)
        return
    with _replacing(vault / TABLE, 0o600) as file:
        _write_table(file, ledger.records())


def _all_outputs(ledger: Ledger) -> Iterator[Outputs]:
    """Yield what is done: of slides that are known, and of those that are not."""
    for record in ledger.records(State.DONE):
        if record.outputs is not None:
            yield record.outputs
    yield from ledger.links.studies()


def _studies(ledger: Ledger) -> Iterator[dict[str, object]]:
    for record in ledger.records(State.DONE):
        if record.outputs is not None:
            yield {"slide": record.number, **_study(record.outputs)}
    yield from map(_study, ledger.links.studies())


def write_rows(file: TextIO, name: str, rows: Iterable[dict[str, object]]) -> None:
    """Write a list into the object that is being written, a line for each row."""
    file.write(f',\n  "{name}": [')
    mark = "\n    "
    for row in rows:
        file.write(mark + json.dumps(row))
        mark = ",\n    "
    file.write("\n  ]")


def is_there(record: SlideRecord, out: Path) -> bool:
    """Return whether what an earlier state of a slide left is still in the output."""
    return record.stale is not None and any(path.exists() for path in record.stale.paths(out))


def _read_back(outputs: Outputs) -> str:
    return "passed" if outputs.is_read_back else "not_run"


def _study(outputs: Outputs) -> dict[str, object]:
    return {
        "study_instance_uid": outputs.study,
        "certificate": outputs.certificate,
        "certificate_sha256": outputs.certificate_sha256,
        "read_back": _read_back(outputs),
        "doubt": outputs.doubt,
    }


def _not_converted(record: SlideRecord) -> dict[str, object]:
    return {
        "slide": record.number,
        "state": str(record.state),
        "reason": record.reason,
        "set_aside": record.set_aside,
    }


def _superseded(record: SlideRecord) -> dict[str, object]:
    if record.stale is None:
        raise AssertionError("nothing of an earlier state is there")
    return {
        "slide": record.number,
        "state": str(record.state),
        "study_instance_uid": record.stale.study,
        "certificate": record.stale.certificate,
    }


def _write_table(file: TextIO, records: Iterable[SlideRecord]) -> None:
    """Write the table that tells which slide became what: it names files, so it stays here."""
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    for record in records:
        outputs = record.outputs
        writer.writerow(
            (
                *(record.number, record.path, record.state, record.reason),
                "" if outputs is None else outputs.study,
                "" if outputs is None else " ".join(outputs.series),
                "" if outputs is None else outputs.certificate,
                *(record.seconds, record.updated),
            )
        )


@contextmanager
def _replacing(path: Path, mode: int) -> Iterator[TextIO]:
    """Yield a file that takes its name when it is whole."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        yield file
    partial.replace(path)
