"""Measures what de-identification takes of a conversion, beside a plain copy of the slide.

    python -m benches.deid_cost slide.svs --folder /where/there/is/room

Scrubbing decides what goes out; searching looks for bar codes in the lowest level; the independent
check looks for the slide's texts in the finished files. Copies are flushed to disk, as ours are.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import coverslip
from coverslip import conversion

STEPS = {
    "scrub": "scrubbing",
    "_certificate": "scrubbing",
    "examine": "searching",
    "require_clean": "the independent check",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--folder", type=Path, help="where to work")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    spent: Counter[str] = Counter()
    for name, step in STEPS.items():
        time_calls(conversion, name, step, spent)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        convert(options.slide, folder, verify=False)  # loads what is loaded once
        for _ in range(options.runs):
            copied = copy(options.slide, folder / "copy")
            for verify in (False, True):
                spent.clear()
                seconds = convert(options.slide, folder, verify=verify)
                shares = ", ".join(
                    f"{step} {1000 * s:.0f} ms ({s / seconds:.1%})" for step, s in spent.items()
                )
                print(f"verify {verify}: {seconds:.3f} s, {seconds / copied:.2f} x cp; {shares}")


def time_calls(module: ModuleType, name: str, step: str, spent: Counter[str]) -> None:
    """Let a function of a module add its time to a sum."""
    real = getattr(module, name)

    def timed(*arguments: object, **options: object) -> object:
        start = time.perf_counter()
        try:
            return real(*arguments, **options)
        finally:
            spent[step] += time.perf_counter() - start

    setattr(module, name, timed)


def copy(slide: Path, target: Path) -> float:
    """Copy a file by ``cp``, flush it, and return the seconds that took."""
    start = time.perf_counter()
    subprocess.run(["cp", slide, target], check=True)
    subprocess.run(["sync", target], check=True)
    seconds = time.perf_counter() - start
    target.unlink()
    return seconds


def convert(slide: Path, folder: Path, *, verify: bool) -> float:
    start = time.perf_counter()
    coverslip.convert(slide, folder / "out", verify=verify)
    seconds = time.perf_counter() - start
    shutil.rmtree(folder / "out")
    return seconds


if __name__ == "__main__":
    main()
