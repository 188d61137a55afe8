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
from coverslip.archive.workers import Outcome


class Nothing(Executor):
    """Says of every slide at once that it is done."""

    def submit(self, function, task):
        """Return what a conversion would have returned."""
        study = f"2.25.{task.number}"
        (task.out / study).mkdir(parents=True)
        (task.out / study / "c.certificate.json").touch()
        outputs = Outputs(study=study, series=("2.25.1",), certificate="c.certificate.json")
        future = Future()
        future.set_result(
            Outcome(
                number=task.number, state=State.DONE, seconds=0.01, byte_count=8, outputs=outputs
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
        for number in range(count):
            below = slides / str(number // 1000)
            below.mkdir(parents=True, exist_ok=True)
            (below / f"{number}.tif").write_bytes(b"II*\0" + bytes(4))
        for name in ("first run", "all done"):
            start, before = time.perf_counter(), _peak_mb()
            done = sum(1 for _ in coverslip.convert_many(slides, out, executor=Nothing(), jobs=2))
            seconds = time.perf_counter() - start
            sys.stdout.write(
                f"{name}: {done} slides converted of {count}, {seconds:.1f} s, "
                f"{seconds / count * 1000:.2f} ms a slide, memory +{_peak_mb() - before:.0f} MB\n"
            )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
