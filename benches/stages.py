"""Opens, plans and converts a slide, and prints time and peak memory of each stage as JSON.

python -m benches.stages SLIDE OUT [--verify]
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import coverslip
from benches.compare.inside import convert_small, memory
from coverslip.frames import plan_tiles
from coverslip.limits import set_limit

Stage = tuple[float, float, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--verify", action="store_true")
    options = parser.parse_args()
    # A level of five million tiles is larger than any scanner makes.
    set_limit("level_pixels", 1 << 40)
    convert_small()
    gc.collect()
    before = memory("VmRSS")
    found: dict[str, Stage] = {}
    open_and_plan(options.slide, found, before)
    gc.collect()
    with stage("whole conversion", found, before):
        coverslip.convert(options.slide, options.out, verify=options.verify)
    json.dump(found, sys.stdout)


def open_and_plan(path: Path, found: dict[str, Stage], before: int) -> None:
    with stage("open", found, before):
        slide = coverslip.open(path)
    with stage("routes", found, before):
        routes = slide.routes()
    with stage("plan", found, before):
        for level, route in zip(slide.levels, routes, strict=True):
            plan_tiles(slide, level, route, None)


@contextmanager
def stage(name: str, found: dict[str, Stage], before: int) -> Iterator[None]:
    """Note what happens within: seconds, CPU seconds, and the highest memory."""
    Path("/proc/self/clear_refs").write_text("5")
    start, cpu = time.perf_counter(), time.process_time()
    yield
    taken = (time.perf_counter() - start, time.process_time() - cpu)
    found[name] = (*taken, memory("VmHWM") - before)


if __name__ == "__main__":
    main()
