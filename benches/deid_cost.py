"""Measures what de-identification takes of a conversion, in processor time of one core.

    python -m benches.deid_cost --sizes 250MB 1GB 2GB --folder /where/there/is/room

Scrubbing decides what goes out; searching looks for bar codes in the small levels; the independent
check looks for the slide's texts in the finished files. A conversion without verification counts
against the first two, since the bar is about them. Processor time is that of the process and of the
decoders that it starts, in the kernel too; wall time is printed beside it, and that of ``cp``.
"""

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import ModuleType

import coverslip
from coverslip import conversion, search
from coverslip import slide as slides
from coverslip.sample import write_sample

STEPS = {
    (conversion, "scrub"): "scrubbing",
    (slides, "leftovers_of"): "scrubbing",
    (conversion, "_certificate"): "scrubbing",
    (search, "_searched"): "searching",
    (search, "bar_codes_of_tissue"): "of it zxing-cpp",
    (search, "luminance_of"): "of it decoding",
}
UNITS = {"MB": 10**6, "GB": 10**9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["250MB"])
    parser.add_argument("--slide", type=Path, help="instead of samples of these sizes")
    parser.add_argument("--folder", type=Path, help="where to work")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    spent: Counter[str] = Counter()
    for (module, name), step in STEPS.items():
        time_calls(module, name, step, spent)
    print(f"| slide | conversion, CPU ms | wall ms | cp, CPU ms | {' | '.join(titles())} | share |")
    print("|---" * (5 + len(titles())) + "|")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for size in [None] if options.slide else options.sizes:
            slide = options.slide or folder / f"{size}.svs"
            if size is not None:
                write_sample(slide, byte_count=in_bytes(size))
            print(row(slide, folder, options.runs, spent), flush=True)
            if size is not None:
                slide.unlink()


def in_bytes(size: str) -> int:
    return round(float(size[:-2]) * UNITS[size[-2:].upper()])


def titles() -> list[str]:
    return [f"{step}, CPU ms" for step in dict.fromkeys(STEPS.values())]


def row(slide: Path, folder: Path, runs: int, spent: Counter[str]) -> str:
    """Convert a slide some times, without and with verification; return the medians."""
    convert(slide, folder)  # loads what is loaded once
    taken: dict[str, list[float]] = {}
    for _ in range(runs):
        spent.clear()
        wall = time.perf_counter()
        cpu = of_processor(lambda: convert(slide, folder))
        copy = of_processor(lambda: cp(slide, folder / "copy"))
        measured = {
            "conversion": cpu,
            "wall": time.perf_counter() - wall - copy,
            "cp": copy,
            **spent,
            "share": (spent["scrubbing"] + spent["searching"]) / cpu,
        }
        for what, seconds in measured.items():
            taken.setdefault(what, []).append(seconds)
    megabytes = slide.stat().st_size / 1e6
    of = {what: median(values) for what, values in taken.items()}
    steps = dict.fromkeys(STEPS.values())
    cells = [f"{1000 * of.get(what, 0):.1f}" for what in ("conversion", "wall", "cp", *steps)]
    return f"| {megabytes:.0f} MB | {' | '.join(cells)} | {of['share']:.1%} |"


def of_children() -> float:
    """Return what children that have ended took of a processor, in the kernel too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def of_processor(work: Callable[[], object]) -> float:
    start = time.process_time() + of_children()
    work()
    return time.process_time() + of_children() - start


def time_calls(module: ModuleType, name: str, step: str, spent: Counter[str]) -> None:
    """Let a function of a module add its time to a sum.

    It is that of its thread: others write meanwhile, and on one core none helps it.
    """
    real = getattr(module, name)

    def timed(*arguments: object, **options: object) -> object:
        start = time.thread_time() + of_children()
        try:
            return real(*arguments, **options)
        finally:
            spent[step] += time.thread_time() + of_children() - start

    setattr(module, name, timed)


def cp(slide: Path, target: Path) -> None:
    subprocess.run(["cp", slide, target], check=True)
    target.unlink()


def convert(slide: Path, folder: Path) -> None:
    coverslip.convert(slide, folder / "out", verify=False)
    shutil.rmtree(folder / "out")


if __name__ == "__main__":
    main()
