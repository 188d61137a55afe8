"""Measures ``coverslip inspect`` in a running interpreter: ``python -m benches.inspecting``.

Every built slide, slides of the kinds that take long (large tiles, many tiles, many joints, many
levels), and every real one in the folder that ``COVERSLIP_SLIDES`` names. Real slides are told by
the name of their folder only. Times are those of the processor, which other work does not change.
"""

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

from tests.synth import FORMATS, build_generic, build_ndpi, build_ventana, ventana

import coverslip
from benches.tiled import write_tiled
from coverslip.cli import inspect
from coverslip.deid.policy import Policy

BAR_S = 0.2
SUFFIXES = {".svs", ".tif", ".tiff", ".ndpi", ".qptiff", ".bif", ".scn"}


def seconds(path: Path, runs: int) -> float:
    """Return the shortest of some runs."""
    times = []
    for _ in range(runs):
        begin = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            inspect.run(path, Policy(allow_pixel=True), show_values=False, as_json=True)
        times.append(time.process_time() - begin)
    return min(times)


def with_joints(folder: Path, joints: int) -> Path:
    """Return a BIF that tells of so many joints; those of its few tiles come many times."""
    told = ventana._joints
    few = len(told(6, ("0", "0"), "all").split("/>")) - 1
    with patch.object(ventana, "_joints", lambda *words: told(*words) * -(-joints // few)):
        return build_ventana(folder).path


def many_tiles(folder: Path, tiles: int) -> Path:
    path = folder / "many.svs"
    write_tiled(path, tiles=tiles, quality=1)
    return path


def heavy(scale: int) -> dict[str, Callable[[Path], Path]]:
    """Return builders of slides that are much work; a larger scale makes them smaller."""
    side = 4096 // scale
    size, levels = (side, side * 3 // 4), 4

    def generic(folder: Path, **options: object) -> Path:
        return build_generic(folder, **{"size": size, "levels": levels} | options).path

    own = {"style": {"markers": "none"}}
    return {
        "JPEG 2000 RGB, tiles of 512": partial(generic, codec="j2k_rgb", tile=512),
        "JPEG 2000 RGB, tiles of 1024": partial(generic, codec="j2k_rgb", tile=1024),
        "JPEG 4:4:4, tiles of 1024": partial(generic, codec="jpeg_ycbcr444", tile=1024, **own),
        "JPEG RGB, tiles of 1024": partial(generic, codec="jpeg_rgb", tile=1024),
        "JPEG 4:4:4, one level of tiles of 2048": partial(
            generic, codec="jpeg_ycbcr444", tile=2048, levels=1, **own
        ),
        "JPEG 4:4:4, eight levels": partial(generic, codec="jpeg_ycbcr444", tile=256, levels=8),
        "JPEG 4:4:4 in strips": partial(generic, codec="jpeg_ycbcr444", strip_rows=16),
        "progressive JPEG": partial(
            generic, codec="jpeg_ycbcr444", tile=512, style={"progressive": True, "tables": "own"}
        ),
        "NDPI": lambda folder: build_ndpi(folder, size=size, levels=levels).path,
        "BIF, 20,000 joints": partial(with_joints, joints=20_000 // scale),
        "SVS, 1,000,000 tiles": partial(many_tiles, tiles=1_000_000 // scale),
    }


def measure(builders: dict[str, Callable[[Path], Path]], runs: int) -> list[tuple[float, str]]:
    measured = []
    for name, build in builders.items():
        with tempfile.TemporaryDirectory(prefix="coverslip-bench-") as folder:
            measured.append((seconds(build(Path(folder)), runs), name))
    return measured


def of_real_slides(runs: int) -> list[tuple[float, str]]:
    measured = []
    for path in sorted(Path(os.environ.get("COVERSLIP_SLIDES", "/nonexistent")).rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            with contextlib.suppress(coverslip.CoverslipError):
                what = f"{path.parent.name}, {path.stat().st_size >> 20} MB"
                measured.append((seconds(path, runs), what))
    return measured


def show(title: str, measured: list[tuple[float, str]], *, most: int = 6) -> None:
    measured.sort(reverse=True)
    median = statistics.median(taken for taken, _ in measured)
    print(f"{title}: {len(measured)} slides, median {median:.3f} s of processor time")
    for taken, name in measured[:most]:
        print(f"  {taken:.3f} s  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=int, default=1, help="so many times smaller")
    options = parser.parse_args()
    built = {
        name: lambda folder, build=build: build(folder).path for name, build in FORMATS.items()
    }
    found = {
        "built": measure(built, options.runs),
        "much work": measure(heavy(options.scale), options.runs),
        "real": of_real_slides(options.runs),
    }
    for title, measured in found.items():
        if measured:
            show(title, measured, most=len(measured) if title == "much work" else 6)
    if max(taken for measured in found.values() for taken, _ in measured) > BAR_S:
        sys.exit(f"a slide took more than {BAR_S} s")


if __name__ == "__main__":
    main()
