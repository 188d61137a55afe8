"""Runs that are killed at any moment, and started again until they end.

python -m tests.archive.kills --slides 100 --kills 200
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.archive.runs import assert_ledger_and_disk_agree, build_slides, start, workers_of

LONGEST_S = 600
LONGEST_LIFE_S = 4.0
LONGEST_PAUSE_S = 60
"""In which a run that lost a worker has done another slide, or hangs."""


def kill_until_done(
    folder: Path, slides: int, kills: int, seed: int
) -> tuple[Counter[str], Counter[int]]:
    """Kill a run so often, let it end at last, and hold that every slide is there once.

    Return how often coordinator, worker or both were killed, and the exit statuses of the runs. A
    run that lost workers only ends by itself, without a defect: with 1 if a slide lost two.
    """
    chance = random.Random(seed)
    build_slides(folder / "in", slides)
    killed: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    while killed.total() < kills:
        process = start(folder / "in", folder / "out", "--jobs", "2")
        _kill_until_it_ends(process, folder / "out", chance, killed, kills)
        _, error = process.communicate(timeout=LONGEST_S)
        statuses[process.returncode] += 1
        assert process.returncode in (-signal.SIGKILL, 0, 1), error
        assert "Traceback" not in error
        assert "defect" not in error
        assert process.returncode != 1 or "died, twice" in error, error
        if process.returncode == 0 and killed.total() < kills:  # more work
            build_slides(folder / "in" / f"more {time.monotonic_ns()}", max(slides // 10, 2))
    process = start(folder / "in", folder / "out", "--jobs", "2")
    _, error = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, error
    total = sum(path.is_file() for path in (folder / "in").rglob("*"))
    assert_ledger_and_disk_agree(folder / "out", total)
    return killed, statuses


def _kill_until_it_ends(
    process: subprocess.Popen[str],
    out: Path,
    chance: random.Random,
    killed: Counter[str],
    kills: int,
) -> None:
    """Kill at random moments; one that lost a worker only goes on, and is killed again."""
    while process.poll() is None and killed.total() < kills:
        deadline = time.monotonic() + chance.uniform(0.3, LONGEST_LIFE_S)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            whom = _kill(process.pid, chance)
            killed[whom] += 1
            if whom == "worker":
                _wait_for_another(process, out)


def _wait_for_another(process: subprocess.Popen[str], out: Path) -> None:
    """Hold that a run that lost a worker does another slide, or ends."""
    before = sum(1 for _ in out.glob("2.*"))
    deadline = time.monotonic() + LONGEST_PAUSE_S
    while process.poll() is None and sum(1 for _ in out.glob("2.*")) == before:
        assert time.monotonic() < deadline, "the run hangs"
        time.sleep(0.05)


def _kill(pid: int, chance: random.Random) -> str:
    whom = chance.choice(["coordinator", "worker", "both"])
    workers = workers_of(pid)
    victims = [pid] if whom != "worker" else []
    if whom != "coordinator" and workers:
        victims.append(chance.choice(workers))
    for victim in victims:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    return whom


def main() -> None:
    """Run the long form and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=100)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    given = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        killed, ended = kill_until_done(Path(folder), given.slides, given.kills, given.seed)
        slides = sum(path.is_file() for path in (Path(folder) / "in").rglob("*"))
    sys.stdout.write(
        f"seed {given.seed}: {dict(killed)} killed, exit statuses {dict(ended)}, "
        f"{slides} slides, each there once and whole, "
        f"{time.monotonic() - begin:.0f} s\n"
    )


if __name__ == "__main__":
    main()
