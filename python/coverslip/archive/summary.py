"""What a run leaves for people: a summary that may be shared, and a table for the laboratory."""

import csv
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from coverslip import _core
from coverslip.archive.ledger import Ledger, Outputs, SlideRecord, State
from coverslip.deid.policy import Policy

SUMMARY, TABLE = "summary.json", "slides.csv"
_COLUMNS = (
    *("number", "path", "state", "reason", "study_instance_uid", "series_instance_uids"),
    *("certificate", "seconds", "updated"),
)


def write_summary(vault: Path, ledger: Ledger, policy: Policy) -> dict[str, object]:
    """Write both into the vault, and return the summary, which holds no source value.

    There is no table where the ledger keeps no links: it would be one.
    """
    records, unlinked = list(ledger.records()), ledger.unlinked()
    counts = Counter(record.state for record in records)
    done = [record for record in records if record.outputs is not None]
    outputs = [*unlinked, *(record.outputs for record in done if record.outputs is not None)]
    summary: dict[str, object] = {
        "schema_version": 1,
        "package": {"name": "coverslip", "version": _core.__version__},
        "policy": {"profile": str(policy.profile), "sha256": policy.digest()},
        "slides": {str(state): counts[state] for state in State},
        "instance_bytes": sum(one.byte_count for one in outputs),
        "frames": sum(one.frames for one in outputs),
        "seconds_of_work": round(sum(record.seconds or 0.0 for record in done), 3),
        "studies": [*map(_study, unlinked), *map(_study_of, done)],
        "not_converted": [
            {"slide": r.number, "state": str(r.state), "reason": r.reason}
            for r in records
            if r.state is not State.DONE
        ],
    }
    _replace(vault / SUMMARY, json.dumps(summary, indent=2) + "\n")
    if ledger.keeps_links:
        _write_table(vault / TABLE, records)
    else:
        (vault / TABLE).unlink(missing_ok=True)
    return summary


def _study(outputs: Outputs) -> dict[str, object]:
    return {"study_instance_uid": outputs.study, "certificate": outputs.certificate}


def _study_of(record: SlideRecord) -> dict[str, object]:
    if record.outputs is None:
        raise AssertionError("a slide that is linked has outputs")
    return {"slide": record.number, **_study(record.outputs)}


def _write_table(path: Path, records: Sequence[SlideRecord]) -> None:
    """Write the table that tells which slide became what: it names files, so it stays here."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
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
    partial.replace(path)


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
