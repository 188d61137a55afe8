"""What ledger and coordinator cost a slide, the conversions themselves left out.

python -m benches.ledger_cost --slides 10000
"""

import argparse
import resource
import sys
import tempfile
import time
from concurrent.futures import Executor, Future
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
    """Measure a first run, and one that finds everything done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=10_000)
    count = parser.parse_args().slides
    with tempfile.TemporaryDirectory() as folder:
        slides, out = Path(folder) / "in", Path(folder) / "out"
        _fill(slides, count)
        _fill(Path(folder) / "warm", 10)
        _convert(
            Path(folder) / "warm", Path(folder) / "warm-out", Nothing()
        )  # imports what is needed
        for name in ("first run", "all done"):
            executor, before = Nothing(), _peak_mb()
            start, spent = time.perf_counter(), time.process_time()
            done = _convert(slides, out, executor)
            seconds = time.perf_counter() - start - executor.seconds
            cpu = time.process_time() - spent - executor.cpu
            sys.stdout.write(
                f"{name}: {done} slides converted of {count}, {seconds:.1f} s, "
                f"{seconds / count * 1000:.2f} ms a slide, {cpu / count * 1000:.2f} of them of the "
                f"processor, memory +{_peak_mb() - before:.1f} MB\n"
            )


def _fill(slides: Path, count: int) -> None:
    for number in range(count):
        below = slides / str(number // 1000)
        below.mkdir(parents=True, exist_ok=True)
        (below / f"{number}.tif").write_bytes(b"II*\0" + bytes(4))


def _convert(slides: Path, out: Path, executor: Nothing) -> int:
    return sum(1 for _ in coverslip.convert_many(slides, out, executor=executor, jobs=2))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
