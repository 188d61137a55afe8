"""What a tile costs in time and memory, on slides of a million tiles and more.

    python -m benches.many_tiles --tiles 1000000 5000000

Each slide is opened, planned and converted in a process of its own. Memory is what came on top of
an interpreter that has converted a small slide, at the highest moment of each stage.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benches.compare import caches, machine
from benches.tiled import write_tiled

QUALITY = 1
"""Tiles of about 1 kB, so that a million of them fit on a disk."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", nargs="+", type=int, default=[1_000_000])
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--work", type=Path, help="has to hold a slide twice")
    options = parser.parse_args()
    described = machine.described(options.work or Path(tempfile.gettempdir()))
    print("\n".join(f"- {name}: {value}" for name, value in described.items()))
    print("\n| tiles | GB | stage | s | CPU s | CPU us a tile | peak MB | bytes a tile |")
    print("|---|---|---|---|---|---|---|---|")
    for tiles in options.tiles:
        with tempfile.TemporaryDirectory(dir=options.work, prefix="coverslip-bench-") as name:
            slide = Path(name) / "slide.svs"
            count = write_tiled(slide, tiles=tiles, quality=QUALITY)
            caches.warm(slide)
            words = [sys.executable, "-m", "benches.stages", slide, Path(name) / "out"]
            words += ["--verify"] * options.verify
            done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
            size = slide.stat().st_size / 1e9
            for stage, (seconds, cpu, peak) in json.loads(done.stdout).items():
                print(
                    f"| {count} | {size:.2f} | {stage} | {seconds:.2f} | {cpu:.2f} "
                    f"| {cpu / count * 1e6:.2f} | {peak / 1e6:.0f} | {peak / count:.0f} |"
                )
    print(f"\nLoad average at the end: {machine.load()}")


if __name__ == "__main__":
    main()
