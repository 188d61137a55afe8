"""Converts many small slides in one process: what each takes beyond a copy, and what stays.

    python -m benches.many_small --slides 200

Each round copies the slide and converts it without and with verification. Nobody waits for the
disk.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import coverslip
from benches.compare import machine
from benches.compare.inside import memory
from coverslip.sample import write_sample

Times = tuple[float, float]
"""Wall and CPU seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", type=int, default=200)
    parser.add_argument("--bytes", type=int, default=2_000_000)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work, prefix="coverslip-bench-") as name:
        work = Path(name)
        slide = work / "slide.svs"
        write_sample(slide, byte_count=options.bytes)
        out = work / "out"
        print("\n".join(f"- {n}: {v}" for n, v in machine.described(work).items()))
        for verify in (False, True):
            coverslip.convert(slide, out, verify=verify)
        ways: dict[str, Callable[[], object]] = {
            "copy": lambda: copy(slide, work / "copy"),
            "convert, no verify": lambda: coverslip.convert(slide, out, verify=False, sync=False),
            "convert": lambda: coverslip.convert(slide, out, sync=False),
        }
        times: dict[str, list[Times]] = {way: [] for way in ways}
        kept = [in_use()]
        for number in range(options.slides):
            for way, work_of in ways.items():
                start, cpu = time.perf_counter(), time.process_time()
                work_of()
                times[way].append((time.perf_counter() - start, time.process_time() - cpu))
            shutil.rmtree(out)
            if (number + 1) % (options.slides // 4 or 1) == 0:
                kept.append(in_use())
    report(times, kept, options.slides)


def copy(slide: Path, target: Path) -> None:
    shutil.copyfile(slide, target)
    target.unlink()


def in_use() -> tuple[float, int]:
    """Return resident megabytes and open files of this process."""
    return memory("VmRSS") / 1e6, len(list(Path("/proc/self/fd").iterdir()))


def report(times: dict[str, list[Times]], kept: list[tuple[float, int]], slides: int) -> None:
    print(f"- load average at the end: {machine.load()}\n")
    print("| | ms | CPU ms | ms beyond the copy | CPU ms beyond the copy |")
    print("|---|---|---|---|---|")
    copies = times["copy"]
    for way, taken in times.items():
        cells = [shown(column) for column in zip(*taken, strict=True)]
        pairs = zip(taken, copies, strict=True)
        beyond = [(wall - floor, cpu - least) for (wall, cpu), (floor, least) in pairs]
        cells += [shown(column) for column in zip(*beyond, strict=True)]
        print(f"| {way} | {' | '.join(cells)} |")
    step = slides // 4 or 1
    print("\nTimes are least / median.\n")
    print("| after rounds | resident MB | open files |\n|---|---|---|")
    for number, (megabytes, files) in enumerate(kept):
        print(f"| {number * step} | {megabytes:.1f} | {files} |")


def shown(seconds: Sequence[float]) -> str:
    return f"{min(seconds) * 1000:.1f} / {statistics.median(seconds) * 1000:.1f}"


if __name__ == "__main__":
    main()
