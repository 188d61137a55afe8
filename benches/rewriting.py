"""Measures tiles that are written anew beside jpegtran: ``python -m benches.rewriting``.

One progressive tile of 1024x1024 pixels stands in the source many times. jpegtran does the same
work for one of them: it decodes the coefficients and codes them with optimised tables.
"""

import io
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from tests.synth.texture import tissue

from coverslip import _core

SIDE, TILES, RUNS = 1024, 40, 5
NOTHING = np.zeros((0, 2), np.uint64)


def best(work) -> float:
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    buffer = io.BytesIO()
    Image.fromarray(tissue(SIDE, SIDE, 3)).save(buffer, "JPEG", quality=80, progressive=True)
    tile = buffer.getvalue()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "tiles"
        path.write_bytes(tile * TILES)
        (Path(folder) / "tile.jpg").write_bytes(tile)
        mosaic = _core.Mosaic(
            np.arange(TILES, dtype=np.uint64) * np.uint64(len(tile)),
            np.full(TILES, len(tile), np.uint64),
            across=4,
            tile=(SIDE, SIDE),
            overlap=(0, 0),
            size=(4 * SIDE, TILES // 4 * SIDE),
            planes=1,
            private=NOTHING,
        )
        frames = _core.JpegFrames(columns=SIDE, rows=SIDE, colour="YBR", jpeg_tables=b"")
        source, spool = _core.Source(path), Path(folder) / "spool"

        def rewrite() -> None:
            spool.unlink(missing_ok=True)
            rewrite.ranges, _ = _core.rewrite(source, mosaic, frames, spool)

        def prove() -> None:
            ranges = (np.frombuffer(each, "<u8").astype(np.uint64) for each in rewrite.ranges)
            _core.prove_rewritten(source, mosaic, frames, _core.Source(spool), *ranges)

        def jpegtran() -> None:
            command = ["jpegtran", "-copy", "none", "-optimize", "-outfile", f"{folder}/out"]
            for _ in range(TILES):
                subprocess.run([*command, f"{folder}/tile.jpg"], check=True)

        megabytes = len(tile) * TILES / 1e6
        cores = sorted(os.sched_getaffinity(0))
        for label, used in (("one core", cores[:1]), (f"{len(cores)} cores", cores)):
            os.sched_setaffinity(0, used)
            for name, work in (("rewrite", rewrite), ("prove", prove), ("jpegtran", jpegtran)):
                print(f"{label}: {name} {megabytes / best(work):.1f} MB/s of progressive JPEG")
        print(f"frames take {spool.stat().st_size / path.stat().st_size:.3f} of the tiles' bytes")


if __name__ == "__main__":
    main()
