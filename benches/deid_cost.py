"""Measures what de-identification takes of a conversion, in processor time and on the clock.

    python -m benches.deid_cost --sizes 250MB 1GB 2GB --folder /where/there/is/room

Scrubbing decides what goes out; searching looks for bar codes in the small levels; the independent
check looks for the slide's texts in the finished files. A conversion without verification counts
against the first two, since the bar is about them. Processor time is that of the process and of the
decoders that it starts, in the kernel too; wall time is printed beside it, and that of ``cp``.

How much longer a conversion takes is another question, since the search has cores that the writer
leaves idle: the second table has conversions with and without it in turns, on all cores.
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
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np

import coverslip
from coverslip import assembly, examining, search
from coverslip import slide as slides
from coverslip.deid.policy import Policy
from coverslip.sample import write_sample
from coverslip.slide import OpenedSlide

STEPS = {
    (assembly, "scrub"): "scrubbing",
    (slides, "leftovers_of"): "scrubbing",
    (assembly, "certificate_of"): "scrubbing",
    (examining, "search_levels"): "searching",
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
    parser.add_argument("--turns", type=int, default=10, help="of the second table")
    options = parser.parse_args()
    cores = os.sched_getaffinity(0)
    lines = ["| slide | with, ms | without, ms | longer | 95 % of |", "|---|---|---|---|---|"]
    print(f"| slide | conversion, CPU ms | wall ms | cp, CPU ms | {' | '.join(titles())} | share |")
    print("|---" * (5 + len(titles())) + "|")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for size in [None] if options.slide else options.sizes:
            slide = options.slide or folder / f"{size}.svs"
            if size is not None:
                write_sample(slide, byte_count=in_bytes(size))
            for sync in (False, True):
                lines.append(beside(slide, folder, options.turns, sync=sync))
            os.sched_setaffinity(0, {min(cores)})
            print(row(slide, folder, options.runs), flush=True)
            os.sched_setaffinity(0, cores)
            if size is not None:
                slide.unlink()
    print()
    print(*lines, sep="\n")


def in_bytes(size: str) -> int:
    return round(float(size[:-2]) * UNITS[size[-2:].upper()])


def titles() -> list[str]:
    return [f"{step}, CPU ms" for step in dict.fromkeys(STEPS.values())]


def beside(slide: Path, folder: Path, turns: int, *, sync: bool) -> str:
    """Convert a slide with and without the search in turns; return the medians.

    Which is first in a turn is by chance, since a file system works on when a conversion has ended.
    """

    def nothing(slide: OpenedSlide, _routes: object, policy: Policy, _stop: object) -> search.Seen:
        expected = examining._expected(policy, slide.levels)
        return search.Seen(bar_codes=expected.bar_codes, text=expected.text)

    taken: dict[Callable[..., object], list[float]] = {search.search_levels: [], nothing: []}
    chance = np.random.default_rng(turns)
    convert(slide, folder)
    for _ in range(turns):
        for searched in chance.permutation(np.array(list(taken))):
            with patch.object(examining, "search_levels", searched):
                start = time.perf_counter()
                coverslip.convert(slide, folder / "out", verify=False, sync=sync)
                taken[searched].append(time.perf_counter() - start)
            shutil.rmtree(folder / "out")
    with_it, without = map(median, taken.values())
    what = f"{slide.stat().st_size / 1e6:.0f} MB, {'on the disk' if sync else 'in the cache'}"
    longer = with_it / without - 1
    least, most = bounds(*taken.values())
    told = f"{1000 * with_it:.0f} | {1000 * without:.0f} | {longer:.1%} | {least:.1%} to {most:.1%}"
    return f"| {what} | {told} |"


def bounds(with_it: list[float], without: list[float]) -> tuple[float, float]:
    """Return between what 95 % of ratios of medians lie, of turns drawn again (bootstrap)."""
    draw = np.random.default_rng(len(with_it))
    medians = [
        np.median(draw.choice(times, size=(10_000, len(times))), axis=1)
        for times in (with_it, without)
    ]
    least, most = np.quantile(medians[0] / medians[1] - 1, (0.025, 0.975))
    return float(least), float(most)


def row(slide: Path, folder: Path, runs: int) -> str:
    """Convert a slide some times, without verification; return the medians."""
    spent: Counter[str] = Counter()
    with ExitStack() as stack:
        for (module, name), step in STEPS.items():
            stack.enter_context(
                patch.object(module, name, timed(getattr(module, name), step, spent))
            )
        return _row(slide, folder, runs, spent)


def _row(slide: Path, folder: Path, runs: int, spent: Counter[str]) -> str:
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


def timed(real: Callable[..., object], step: str, spent: Counter[str]) -> Callable[..., object]:
    """Return a function that adds its time to a sum.

    It is that of its thread: others write meanwhile, and on one core none helps it.
    """

    def run(*arguments: object, **options: object) -> object:
        start = time.thread_time() + of_children()
        try:
            return real(*arguments, **options)
        finally:
            spent[step] += time.thread_time() + of_children() - start

    return run


def cp(slide: Path, target: Path) -> None:
    subprocess.run(["cp", slide, target], check=True)
    target.unlink()


def convert(slide: Path, folder: Path) -> None:
    coverslip.convert(slide, folder / "out", verify=False)
    shutil.rmtree(folder / "out")


if __name__ == "__main__":
    main()
