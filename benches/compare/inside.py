"""Converts a slide in an interpreter that is already running, and prints what that took.

    python -m benches.compare.inside SLIDE OUT [--verify] [--sync] [--cold]

Everything is imported, and a small slide was converted, before the clock starts.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import coverslip
from benches.compare import caches
from benches.compare.measure import Cost, io_of
from coverslip.sample import write_sample


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("slide", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    convert_small()
    if options.cold:
        caches.cool(options.slide)
    cost = cost_of(options.slide, options.out, verify=options.verify, sync=options.sync)
    json.dump(asdict(cost), sys.stdout)


def convert_small() -> None:
    with tempfile.TemporaryDirectory(prefix="coverslip-bench-") as name:
        slide = Path(name) / "small.svs"
        write_sample(slide, byte_count=1_000_000)
        for verify in (False, True):
            coverslip.convert(slide, Path(name) / "out", verify=verify)


def cost_of(slide: Path, out: Path, *, verify: bool, sync: bool) -> Cost:
    """Convert and return what it took; memory is what came on top of what was in use before."""
    # Writing 5 sets the peak back to what is in use now (proc_pid_clear_refs(5)).
    Path("/proc/self/clear_refs").write_text("5")
    before, read = memory("VmRSS"), io_of("self")
    start, cpu = time.perf_counter(), time.process_time()
    coverslip.convert(slide, out, verify=verify, sync=sync)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    after = io_of("self")
    return Cost(
        wall_s=wall,
        cpu_s=cpu,
        peak_mb=(memory("VmHWM") - before) / 1e6,
        read_mb=(after["rchar"] - read["rchar"]) / 1e6,
        written_mb=(after["wchar"] - read["wchar"]) / 1e6,
        disk_read_mb=(after["read_bytes"] - read["read_bytes"]) / 1e6,
    )


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


if __name__ == "__main__":
    main()
