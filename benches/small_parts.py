"""Tells where the time of a small slide goes: processor time of each part, in its thread.

    python -m benches.small_parts --runs 60

Parts are timed where they begin and end, so one that calls another holds it. What waits for a
processor or for the interpreter is in the time of all, and in no part.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from unittest.mock import patch

import coverslip
from benches.compare import machine
from benches.deid_cost import timed
from coverslip import assembly, instances, search
from coverslip.sample import write_sample
from coverslip.slide import OpenedSlide
from coverslip.verification import check, header, output

PARTS = {
    (OpenedSlide, "routed"): "routes, colours judged by decoded tiles",
    (search, "luminance_of"): "small level decoded",
    (search, "bar_codes_of_tissue"): "small level searched, in the first of its threads",
    (assembly, "scrub"): "scrubbed",
    (output, "terms_of_slide"): "what is looked for",
    (output, "scanner_of"): "what looks for it",
    (instances.wsm, "build"): "data sets built (pydicom)",
    (instances.part10, "encode"): "data sets judged and encoded (pydicom)",
    (header, "_read"): "headers read and judged (pydicom)",
    (output._core, "write_instance"): "frames written",
    (output._core, "verify_instance"): "frames compared and searched",
    (check.Check, "folders"): "certificate and folders checked",
    (assembly, "certificate_of"): "certificate made",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--bytes", type=int, default=2_000_000)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    spent: Counter[str] = Counter()
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=options.work) as name, ExitStack() as stack:
        work = Path(name)
        slide = work / "slide.svs"
        write_sample(slide, byte_count=options.bytes)
        print("\n".join(f"- {n}: {v}" for n, v in machine.described(work).items()))
        for (where, function), part in PARTS.items():
            measured = timed(getattr(where, function), part, spent)
            stack.enter_context(patch.object(where, function, measured))
        for _ in range(options.runs + 3):
            spent.clear()
            wall, cpu = time.perf_counter(), time.process_time()
            coverslip.convert(slide, work / "out", sync=False)
            all_of_it = {
                "all, on the clock": time.perf_counter() - wall,
                "all": time.process_time() - cpu,
            }
            for part, seconds in (spent | Counter(all_of_it)).items():
                taken.setdefault(part, []).append(seconds)
            shutil.rmtree(work / "out")
    print(f"- load average at the end: {machine.load()}\n")
    print("| part | least, ms | median, ms |\n|---|---|---|")
    for part in (*PARTS.values(), "all", "all, on the clock"):
        times = taken[part][3:]
        print(f"| {part} | {1000 * min(times):.1f} | {1000 * median(times):.1f} |")


if __name__ == "__main__":
    main()
