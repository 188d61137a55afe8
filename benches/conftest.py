"""Builds the slides of the benchmarks, and prints on what they ran."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.synth import build_ndpi

from benches.compare import machine
from benches.tiled import write_tiled
from coverslip.sample import write_sample

MEGABYTES = float(os.environ.get("COVERSLIP_BENCH_MB", "32"))
"""Size of the slides whose tiles are copied; those that are cut are a few megabytes."""
_TILE_BYTES = 8329


@dataclass(frozen=True)
class Bench:
    """A slide, and what happens to its tiles."""

    path: Path
    route: str


def _sampled(folder: Path, compression: str) -> Path:
    path = folder / "slide.svs"
    byte_count = int(MEGABYTES * 1e6)
    write_sample(path, byte_count=byte_count, compression=compression)
    return path


def _tiled(folder: Path) -> Path:
    write_tiled(folder / "slide.svs", tiles=int(MEGABYTES * 1e6 / _TILE_BYTES))
    return folder / "slide.svs"


def _cut(folder: Path, **quirks: object) -> Path:
    return build_ndpi(folder, size=(4096, 2048), levels=1, **quirks).path


BENCHES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "copy JPEG RGB": ("copy", partial(_sampled, compression="jpeg")),
    "copy JPEG YCbCr": ("copy", _tiled),
    "copy JPEG 2000": ("copy", partial(_sampled, compression="jpeg2000")),
    "stitch": ("stitch", partial(_cut, restart_blocks=64, subsampling="4:2:0")),
    "retile": ("retile", partial(_cut, subsampling="4:2:0")),
}


@pytest.fixture(scope="session", params=BENCHES)
def bench(request, tmp_path_factory):
    route, build = BENCHES[request.param]
    return Bench(path=build(tmp_path_factory.mktemp("bench")), route=route)


def pytest_report_header():
    described = machine.described(Path.cwd())
    return [f"{name}: {value}" for name, value in described.items()]


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"load average at the end: {machine.load()}")
