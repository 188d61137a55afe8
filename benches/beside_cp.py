"""Times a conversion beside ``cp`` of the same slide, in one run and in turns.

    python -m benches.beside_cp --size 2GB --rounds 5

Each round copies the slide with ``cp``, converts it in a running interpreter without and with
verification, and converts it with the whole command. Files are removed and the disk is synced
before each, so that each starts from the same state; the page cache stays warm. ``cp`` does not
wait for the disk, nor does a conversion with ``sync=False``; the last rows do.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

UNITS = {"MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    """Largest memory of the process; for conversions above what the imports take."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="2GB")
    parser.add_argument("--compression", default="jpeg", choices=["jpeg", "jpeg2000"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work; has to have room for 3 copies")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    byte_count = int(options.size[:-2]) * UNITS[options.size[-2:].upper()]
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="coverslip-bench-") as folder:
        figures = measure(Path(folder), byte_count, options.compression, options.rounds)
    print_table(figures, options)
    if options.json:
        options.json.write_text(
            json.dumps({n: [asdict(c) for c in costs] for n, costs in figures.items()}, indent=1)
        )


def measure(folder: Path, byte_count: int, compression: str, rounds: int) -> dict[str, list[Cost]]:
    from coverslip.sample import write_sample

    slide, out, copy = folder / "slide.svs", folder / "out", folder / "copy.svs"
    write_sample(slide, byte_count=byte_count, compression=compression)
    check(slide, out)
    command = [sys.executable, "-m", "coverslip", "convert", slide, "-o", out, "--quiet"]
    runs = {
        "cp": lambda: of_command(["cp", slide, copy]),
        "convert, no verify": lambda: of_call(slide, out, verify=False, sync=False),
        "convert": lambda: of_call(slide, out, verify=True, sync=False),
        "whole command, no verify": lambda: of_command([*command, "--no-verify", "--no-sync"]),
        "whole command": lambda: of_command([*command, "--no-sync"]),
        "cp and sync": lambda: of_command(["sh", "-c", f"cp '{slide}' '{copy}' && sync '{copy}'"]),
        "convert and sync, no verify": lambda: of_call(slide, out, verify=False, sync=True),
        "convert and sync": lambda: of_call(slide, out, verify=True, sync=True),
    }
    figures: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            clean(out, copy)
            figures[name].append(run())
    return figures


def check(slide: Path, out: Path) -> None:
    """Convert once with verification, and compare some frames with their tiles ourselves."""
    import pydicom
    import tifffile

    import coverslip

    result = coverslip.convert(slide, out)
    with tifffile.TiffFile(slide) as tiff:
        page = tiff.pages[0]
        assert result.instances[0].frames.copied == len(page.dataoffsets)
        places = [(page.dataoffsets[i], page.databytecounts[i]) for i in (0, 100, -1)]
    base = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)
    assert int(base.NumberOfFrames) == result.instances[0].frames.copied
    with slide.open("rb") as source, result.instances[0].path.open("rb") as written:
        head = written.read(80_000_000)
        source.seek(places[0][0])
        tile = source.read(places[0][1])
        assert tile[-40:-2] in head


def clean(out: Path, copy: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    copy.unlink(missing_ok=True)
    os.sync()


def of_command(command: list[object]) -> Cost:
    """Run a command from a small process, whose memory counts until the command begins."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_command, ([str(word) for word in command],))


def _command(command: list[str]) -> Cost:
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def of_call(slide: Path, out: Path, *, verify: bool, sync: bool) -> Cost:
    """Convert in an interpreter that is already running and has imported everything."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sender, slide, out, verify, sync))
    process.start()
    cost = receiver.recv()
    process.join()
    assert process.exitcode == 0
    return cost


def _call(sender, slide: Path, out: Path, verify: bool, sync: bool) -> None:  # noqa: FBT001
    import coverslip

    small = slide.with_name("small.svs")
    if not small.exists():
        from coverslip.sample import write_sample

        write_sample(small, byte_count=1_000_000)
    coverslip.convert(small, out / "warm-up")
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    coverslip.convert(slide, out, verify=verify, sync=sync)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_before
    sender.send(Cost(wall, cpu, peak / 1000))


def print_table(figures: dict[str, list[Cost]], options: argparse.Namespace) -> None:
    import coverslip

    print(f"coverslip {coverslip.__version__}, Python {platform.python_version()}, "
          f"Linux {platform.release()}, {os.cpu_count()} cores, {options.size} "
          f"{options.compression}, {options.rounds} rounds, warm cache")  # fmt: skip
    print()
    print("| | wall s: median (min-max) | / cp | CPU s | / cp | peak MB |")
    print("|---|---|---|---|---|---|")
    for name, costs in figures.items():
        walls = [cost.wall_s for cost in costs]
        ratios = [
            (cost.wall_s / floor.wall_s, cost.cpu_s / floor.cpu_s)
            for cost, floor in zip(costs, figures["cp"], strict=True)
        ]
        wall_ratio, cpu_ratio = (statistics.median(column) for column in zip(*ratios, strict=True))
        cpu = statistics.median(cost.cpu_s for cost in costs)
        peak = max(cost.peak_mb for cost in costs)
        print(f"| {name} | {statistics.median(walls):.2f} ({min(walls):.2f}-{max(walls):.2f}) "
              f"| {wall_ratio:.2f} | {cpu:.2f} | {cpu_ratio:.2f} | {peak:.0f} |")  # fmt: skip


if __name__ == "__main__":
    main()
