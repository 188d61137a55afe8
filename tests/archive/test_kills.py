"""Runs that are killed at any moment, and started again until they end.

``COVERSLIP_KILLS=200 COVERSLIP_SLIDES_TO_KILL=100 pytest tests/archive/test_kills.py`` is the long
form.
"""

import os
import random
import signal
import time
from pathlib import Path

from tests.archive.runs import assert_ledger_and_disk_agree, build_slides, start

KILLS = int(os.environ.get("COVERSLIP_KILLS", "6"))
SLIDES = int(os.environ.get("COVERSLIP_SLIDES_TO_KILL", "12"))


def children_of(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def test_killed_runs_end_with_every_slide_converted_exactly_once(tmp_path):
    build_slides(tmp_path / "in", SLIDES)
    chance = random.Random(20261123)
    kills = 0
    while True:
        process = start(tmp_path / "in", tmp_path / "out", "--jobs", "2")
        limit = chance.uniform(0.3, 4.0) if kills < KILLS else 1000
        deadline = time.monotonic() + limit
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is not None and kills >= KILLS:
            process.communicate()
            break
        if process.poll() is None:
            victims = chance.choice(["coordinator", "worker", "both"])
            workers = children_of(process.pid)
            chosen = [process.pid] if victims != "worker" else []
            if victims != "coordinator" and workers:
                chosen.append(chance.choice(workers))
            for pid in chosen:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            kills += 1
            if process.pid in chosen:
                process.communicate()
                continue
        process.communicate(timeout=600)
        if kills < KILLS:  # it ended before its time: more work
            more = tmp_path / "in" / f"more {kills} {time.monotonic_ns()}"
            build_slides(more, 2)
    total = sum(1 for path in (tmp_path / "in").rglob("*") if path.is_file())
    assert_ledger_and_disk_agree(tmp_path / "out", total)
