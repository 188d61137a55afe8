"""What ledger and coordinator cost a slide, the conversions themselves left out.

python -m benches.ledger_cost --slides 1000 10000 50000

Each number has a process of its own; the peak of memory is the system's, taken anew for each run.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Executor, Future
from contextlib import closing
from itertools import islice
from pathlib import Path

import coverslip
from coverslip.archive.ledger import Outputs, State
from coverslip.archive.making import quick_digest
from coverslip.archive.workers import Outcome

_LEVELS = 4


class Nothing(Executor):
    """Says of every slide at once that it is done; how long that takes itself is kept apart."""

    def __init__(self):
        self.seconds = self.cpu = 0.0

    def submit(self, function, task):
        """Return what a conversion would have returned, its files there but empty."""
        start, spent = time.perf_counter(), time.process_time()
        future = self._done(task)
        self.seconds += time.perf_counter() - start
        self.cpu += time.process_time() - spent
        return future

    def _done(self, task):
        study = f"2.25.{task.number}"
        (task.out / study / "2.25.1").mkdir(parents=True)
        names = (*(f"2.25.1/2.25.{level}.dcm" for level in range(_LEVELS)), "c.certificate.json")
        for name in names:
            (task.out / study / name).touch()
        outputs = Outputs(
            study=study,
            series=("2.25.1",),
            certificate=names[-1],
            digests=("0" * 64,) * _LEVELS,
            files=tuple((name, 0) for name in names),
            certificate_sha256="0" * 64,
            routes={"copied": 1},
        )
        future = Future()
        future.set_result(
            Outcome(
                number=task.number,
                state=State.DONE,
                seconds=0.01,
                byte_count=8,
                outputs=outputs,
                quick_digest=quick_digest(task.path),
            )
        )
        return future


def main() -> None:
    """Measure each number of slides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, nargs="+", default=[10_000])
    parser.add_argument("--in-a-folder", type=int, default=1000)
    parser.add_argument("--profile", default="public")
    chosen = parser.parse_args()
    if len(chosen.slides) == 1:
        _measure(chosen.slides[0], chosen.in_a_folder, chosen.profile)
        return
    for count in chosen.slides:
        command = [sys.executable, "-m", "benches.ledger_cost", "--slides", str(count)]
        more = ["--in-a-folder", str(chosen.in_a_folder), "--profile", chosen.profile]
        subprocess.run([*command, *more], check=True)


def _measure(count: int, in_a_folder: int, profile: str) -> None:
    """Measure a run that is left at once, one that does all, and one that finds all done."""
    with tempfile.TemporaryDirectory() as folder:
        slides, out = Path(folder) / "in", Path(folder) / "out"
        policy = coverslip.Policy(profile=profile)
        _fill(slides, count, in_a_folder)
        _fill(Path(folder) / "warm", 10, in_a_folder)
        # Imports what is needed.
        _convert(Path(folder) / "warm", Path(folder) / "warm-out", policy, Nothing())
        for name, most in (("left at once", 1), ("goes on", count), ("all done", count)):
            executor = Nothing()
            before = _peak_mb(anew=True)
            start, spent = time.perf_counter(), time.process_time()
            done = _convert(slides, out, policy, executor, most)
            seconds = time.perf_counter() - start - executor.seconds
            cpu = time.process_time() - spent - executor.cpu
            sys.stdout.write(
                f"{name}: {done} slides converted of {count}, {seconds:.1f} s, "
                f"{seconds / count * 1000:.2f} ms a slide, {cpu / count * 1000:.2f} of them of the "
                f"processor, memory +{_peak_mb() - before:.1f} MB\n"
            )
            sys.stdout.flush()


def _fill(slides: Path, count: int, in_a_folder: int) -> None:
    for number in range(count):
        below = slides / str(number // in_a_folder)
        below.mkdir(parents=True, exist_ok=True)
        (below / f"{number}.tif").write_bytes(b"II*\0" + bytes(4))


def _convert(
    slides: Path, out: Path, policy: coverslip.Policy, executor: Nothing, most: int | None = None
) -> int:
    outcomes = coverslip.convert_many(slides, out, policy=policy, executor=executor, jobs=2)
    with closing(outcomes):
        return sum(1 for _ in islice(outcomes, most))


def _peak_mb(*, anew: bool = False) -> float:
    """Return the most memory that was in use, since it was last asked for anew."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


if __name__ == "__main__":
    main()
