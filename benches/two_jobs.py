"""How much faster two jobs are than one, where the work is cutting large JPEGs into frames.

python -m benches.two_jobs --slides 12 --rounds 3

NDPI slides without restart intervals. One job may use all cores by itself, so it is timed twice:
as it comes, and with the whole run kept to one core.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.synth import build_ndpi

from coverslip.archive.ledger import State, read_ledger

CORES = sorted(os.sched_getaffinity(0))
WAYS = {
    "one job, one core": (1, CORES[:1]),
    "one job, two cores": (1, CORES[:2]),
    "two jobs, two cores": (2, CORES[:2]),
}


def main() -> None:
    """Time each way in turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(6144, 4096))
    given = parser.parse_args()
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        byte_count = _build(folder / "in", given.slides, tuple(given.size))
        sys.stdout.write(
            f"{given.slides} slides, {byte_count / 1e6:.0f} MB, load {os.getloadavg()[0]:.1f}\n"
        )
        for _ in range(given.rounds):
            for way, (jobs, cores) in WAYS.items():
                times[way].append(_timed(folder, jobs, cores, given.slides))
    middle = {way: statistics.median(taken) for way, taken in times.items()}
    for way, seconds in middle.items():
        spread = ", ".join(f"{taken:.1f}" for taken in times[way])
        sys.stdout.write(
            f"{way}: {seconds:.1f} s ({spread}), "
            f"{middle['one job, one core'] / seconds:.2f} x one job on one core\n"
        )


def _build(folder: Path, slides: int, size: tuple[int, int]) -> int:
    folder.mkdir()
    first = build_ndpi(folder, restart=None, size=size).path
    for number in range(1, slides):
        shutil.copy(first, folder / f"{number}.ndpi")
    return slides * first.stat().st_size


def _timed(folder: Path, jobs: int, cores: list[int], slides: int) -> float:
    command = [sys.executable, "-m", "coverslip", "convert", str(folder / "in"), "--quiet"]
    command += ["-o", str(folder / "out"), "--jobs", str(jobs)]
    start = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    seconds = time.perf_counter() - start
    states = [record.state for record in read_ledger(folder / "out.vault")]
    if states != [State.DONE] * slides:
        sys.exit("a slide was not converted")
    shutil.rmtree(folder / "out")
    shutil.rmtree(folder / "out.vault")
    return seconds


if __name__ == "__main__":
    main()
