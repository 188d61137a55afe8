"""Times the cutting of one large JPEG beside ``jpegtran -copy none`` on the same stream.

    python -m benches.retile --rounds 5

``jpegtran`` decodes and encodes the same entropy-coded data on one core; so does ``retile``, kept
to one core and on all of them, and its proof, which decodes picture and frames once more. Before a
time counts, a frame from the middle is compared with what ``jpegtran -crop`` makes of the picture.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from coverslip import _core
from coverslip.sample.tissue import texture

SIDE = 1024
STREAMS = {
    "4:2:0, an interval a row": {"subsampling": "4:2:0", "restart_marker_rows": 1},
    "4:4:4, an interval a row": {"subsampling": "4:4:4", "restart_marker_rows": 1},
    "4:2:0, no intervals": {"subsampling": "4:2:0"},
    "4:2:0, intervals of 1024 pixels (stitch)": {
        "subsampling": "4:2:0",
        "restart_marker_blocks": 64,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| stream | MB | jpegtran MB/s | one core | all cores | proof, all cores |")
    print("|---|---|---|---|---|---|")
    for name, look in STREAMS.items():
        with tempfile.TemporaryDirectory(prefix="coverslip-bench-") as folder:
            print(row(name, look, Path(folder), options.rounds), flush=True)


def row(name: str, look: dict[str, object], folder: Path, rounds: int) -> str:
    picture = np.tile(np.asarray(texture(1)), (6, 8, 1))[: 8 * SIDE, : 12 * SIDE]
    path = folder / "picture.jpg"
    Image.fromarray(np.ascontiguousarray(picture)).save(path, "JPEG", quality=80, **look)
    length, width = picture.shape[:2]
    nobody = np.zeros((0, 2), np.uint64)
    byte_count = path.stat().st_size
    source = _core.Source(path)
    stored = _core.Picture(0, byte_count, width=width, length=length, private=nobody)
    frames = _core.JpegFrames(columns=SIDE, rows=SIDE, colour="YBR", jpeg_tables=b"")
    spool = folder / "spool"

    def cut() -> tuple[np.ndarray, np.ndarray]:
        spool.unlink(missing_ok=True)
        ranges = _core.retile(source, stored, frames, spool)
        return tuple(np.frombuffer(each, "<u8").astype(np.uint64) for each in ranges)

    def prove() -> float:
        found = cut()
        held = _core.Source(spool)
        return timed(lambda: _core.prove_retiled(source, stored, frames, held, *found))

    ranges = cut()
    check(path, spool, ranges, width)
    command = ["jpegtran", "-copy", "none", "-outfile", str(folder / "other.jpg"), str(path)]
    times: dict[str, list[float]] = {"jpegtran": [], "one": [], "all": [], "proof": []}
    everything = os.sched_getaffinity(0)
    for _ in range(rounds):
        os.sched_setaffinity(0, {min(everything)})
        times["jpegtran"].append(timed(lambda: subprocess.run(command, check=True)))
        times["one"].append(timed(cut))
        os.sched_setaffinity(0, everything)
        times["all"].append(timed(cut))
        times["proof"].append(prove())
    middle = {kind: statistics.median(taken) for kind, taken in times.items()}
    base = middle["jpegtran"]
    ratios = [f"{base / middle[kind]:.1f} x" for kind in ("one", "all", "proof")]
    speed = byte_count / 1e6 / base
    return f"| {name} | {byte_count / 1e6:.0f} | {speed:.0f} | " + " | ".join(ratios) + " |"


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def check(path: Path, spool: Path, ranges: tuple[np.ndarray, np.ndarray], width: int) -> None:
    """Stop unless a frame decodes to the very pixels of the part that jpegtran cuts out."""
    across = -(-width // SIDE)
    number = len(ranges[0]) // 2
    x, y = number % across * SIDE, number // across * SIDE
    crop = ["jpegtran", "-copy", "none", "-crop", f"{SIDE}x{SIDE}+{x}+{y}", str(path)]
    theirs = subprocess.run(crop, check=True, capture_output=True).stdout
    offset, count = int(ranges[0][number]), int(ranges[1][number])
    ours = spool.read_bytes()[offset : offset + count]
    pictures = [
        subprocess.run(["djpeg", "-pnm"], input=stream, check=True, capture_output=True).stdout
        for stream in (theirs, ours)
    ]
    if pictures[0] != pictures[1]:
        sys.exit("a frame does not show what the picture shows there")


if __name__ == "__main__":
    main()
