"""Time per gigabyte and memory of slides of different sizes, in turns, beside ``cp``.

    python -m benches.growth --sizes 250MB 2GB 8GB --rounds 3

Every conversion runs in an interpreter that has converted a small slide before. Nobody waits for
the disk. The page cache is warm as far as the slide fits into memory. A size is right to a few per
cent.
"""

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from benches.compare import caches, machine
from benches.compare.contenders import in_process
from benches.compare.measure import Cost, of_command
from benches.compare.tables import WARM
from coverslip.sample import write_sample

UNITS = {"MB": 10**6, "GB": 10**9}
WAYS = ("cp", "convert, no verify", "convert")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["250MB", "2GB"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="has to hold all slides and the largest again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work, prefix="coverslip-bench-") as name:
        work = Path(name)
        described = machine.described(work)
        slides = {size: written(work / f"{size}.svs", size) for size in options.sizes}
        costs, loads = take_turns(slides, work / "out", options.rounds)
    print("\n".join(f"- {name}: {value}" for name, value in described.items()))
    print(f"- load average after each round: {', '.join(loads)}\n")
    print(table(slides, costs))


def written(path: Path, size: str) -> tuple[Path, int]:
    """Write a sample with all its levels; return it with its number of bytes."""
    write_sample(path, byte_count=round(float(size[:-2]) * UNITS[size[-2:].upper()]))
    return path, path.stat().st_size


def take_turns(slides, out: Path, rounds: int):
    costs: dict[tuple[str, str], list[Cost]] = {(w, size): [] for w in WAYS for size in slides}
    loads = []
    for _ in range(rounds):
        for size, (slide, _) in slides.items():
            for way in WAYS:
                clean(out)
                caches.warm(slide)
                costs[way, size].append(run(way, slide, out))
        loads.append(machine.load())
    clean(out)
    return costs, loads


def run(way: str, slide: Path, out: Path) -> Cost:
    if way == "cp":
        out.mkdir()
        return of_command(["cp", str(slide), str(out / "copy")])
    return in_process(slide, out, WARM, verify=way == "convert", sync=False)


def clean(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    os.sync()


def table(slides, costs) -> str:
    smallest = next(iter(slides))
    lines = [
        "| | slide | s per GB: least / median | beside the first size | x cp | CPU s per GB "
        "| peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for (way, size), found in costs.items():
        gigabytes = slides[size][1] / 1e9
        speeds = [cost.wall_s / gigabytes for cost in found]
        first = [cost.wall_s / (slides[smallest][1] / 1e9) for cost in costs[way, smallest]]
        beside = statistics.median(b / a for a, b in zip(first, speeds, strict=True))
        ratios = [c.wall_s / f.wall_s for c, f in zip(found, costs["cp", size], strict=True)]
        cpu = statistics.median(cost.cpu_s for cost in found) / gigabytes
        lines.append(
            f"| {way} | {gigabytes:.2f} GB | {min(speeds):.2f} / {statistics.median(speeds):.2f} "
            f"| {beside:.2f} | {min(ratios):.1f} / {statistics.median(ratios):.1f} "
            f"| {cpu:.2f} | {max(cost.peak_mb for cost in found):.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
