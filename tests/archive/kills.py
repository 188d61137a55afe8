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

from tests.archive.runs import assert_ledger_and_disk_agree, build_slides, start

LONGEST_S = 600
LONGEST_LIFE_S = 4.0


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started."""
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def kill_until_done(folder: Path, slides: int, kills: int, seed: int) -> Counter[str]:
    """Kill a run so often, let it end at last, and hold that every slide is there once.

    Return how often coordinator, worker or both were killed.
    """
    chance = random.Random(seed)
    build_slides(folder / "in", slides)
    killed: Counter[str] = Counter()
    while killed.total() < kills:
        process = start(folder / "in", folder / "out", "--jobs", "2")
        _kill_until_it_ends(process, chance, killed, kills)
        process.communicate(timeout=LONGEST_S)
        if process.returncode == 0 and killed.total() < kills:  # more work
            build_slides(folder / "in" / f"more {time.monotonic_ns()}", max(slides // 10, 2))
    process = start(folder / "in", folder / "out", "--jobs", "2")
    _, error = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, error
    total = sum(path.is_file() for path in (folder / "in").rglob("*"))
    assert_ledger_and_disk_agree(folder / "out", total)
    return killed


def _kill_until_it_ends(
    process: subprocess.Popen[str], chance: random.Random, killed: Counter[str], kills: int
) -> None:
    """Kill at random moments; one that lost a worker only goes on, and is killed again."""
    while process.poll() is None and killed.total() < kills:
        deadline = time.monotonic() + chance.uniform(0.3, LONGEST_LIFE_S)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            killed[_kill(process.pid, chance)] += 1


def _kill(pid: int, chance: random.Random) -> str:
    whom = chance.choice(["coordinator", "worker", "both"])
    workers = children_of(pid)
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
        killed = kill_until_done(Path(folder), given.slides, given.kills, given.seed)
        slides = sum(path.is_file() for path in (Path(folder) / "in").rglob("*"))
    sys.stdout.write(
        f"seed {given.seed}: {dict(killed)} killed, {slides} slides, each there once and whole, "
        f"{time.monotonic() - begin:.0f} s\n"
    )


if __name__ == "__main__":
    main()
