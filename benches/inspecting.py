"""Measures ``coverslip inspect`` in a running interpreter: ``python -m benches.inspecting``.

Every built slide, and every real one in the folder that ``COVERSLIP_SLIDES`` names. Real slides are
told by the name of their folder only.
"""

import contextlib
import io
import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.synth import FORMATS

import coverslip
from coverslip.cli import inspect
from coverslip.deid.policy import Policy

RUNS = 3
SUFFIXES = {".svs", ".tif", ".tiff", ".ndpi", ".qptiff", ".bif", ".scn"}


def seconds(path: Path) -> float:
    """Return the shortest of some runs."""
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            inspect.run(path, Policy(allow_pixel=True), show_values=False, as_json=True)
        times.append(time.perf_counter() - begin)
    return min(times)


def show(title: str, measured: list[tuple[float, str]]) -> None:
    measured.sort(reverse=True)
    median = statistics.median(taken for taken, _ in measured)
    print(f"{title}: {len(measured)} slides, median {median:.3f} s")
    for taken, name in measured[:6]:
        print(f"  {taken:.3f} s  {name}")


def main() -> None:
    built = []
    with tempfile.TemporaryDirectory() as folder:
        for name, build in FORMATS.items():
            path = build(Path(folder)).path
            built.append((seconds(path), name))
            path.unlink()
    show("built", built)
    real = []
    for path in sorted(Path(os.environ.get("COVERSLIP_SLIDES", "/nonexistent")).rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            with contextlib.suppress(coverslip.CoverslipError):
                real.append((seconds(path), f"{path.parent.name}, {path.stat().st_size >> 20} MB"))
    if real:
        show("real", real)


if __name__ == "__main__":
    main()
