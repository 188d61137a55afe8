"""Each stage of a conversion by codec and route, with pytest-benchmark.

    pytest benches --benchmark-only --benchmark-group-by=func

``COVERSLIP_BENCH_MB=2000`` makes the slides larger. Every result is checked. What is written with
``--benchmark-json`` has the slide's megabytes and frames beside each time.
"""

import itertools
import shutil
import subprocess
import sys

import pytest

import coverslip
from coverslip import _core
from coverslip.frames import plan_tiles
from coverslip.model import RouteKind
from coverslip.verification.header import read as header_of

ROUNDS = {"rounds": 7, "warmup_rounds": 1, "iterations": 1}


@pytest.fixture
def sized(benchmark, bench):
    """The benchmark, which notes how large the slide is."""
    slide = coverslip.open(bench.path)
    benchmark.extra_info["megabytes"] = bench.path.stat().st_size / 1e6
    benchmark.extra_info["frames"] = sum(lv.tiles.across * lv.tiles.down for lv in slide.levels)
    return benchmark


@pytest.fixture
def planned(bench):
    """A slide whose tiles are copied, with the plan of its largest level."""
    slide = coverslip.open(bench.path)
    route = slide.routes()[0]
    if route.kind is not RouteKind.COPY:
        pytest.skip("its frames are made, not planned")
    return slide, plan_tiles(slide, slide.levels[0], route, None)


def folders(tmp_path):
    """Return what gives another folder each time: a conversion never writes twice."""
    return (tmp_path / str(number) for number in itertools.count())


def test_open(sized, bench):
    slide = sized.pedantic(coverslip.open, (bench.path,), **ROUNDS)
    assert slide.levels


def test_inspect(sized, bench):
    def inspect():
        slide = coverslip.open(bench.path)
        return slide.routes(), slide.findings

    routes, _ = sized.pedantic(inspect, **ROUNDS)
    assert {str(route.kind) for route in routes} == {bench.route}


def test_plan(sized, planned):
    slide, _ = planned
    pairs = list(zip(slide.levels, slide.routes(), strict=True))
    frames = sized.pedantic(lambda: [plan_tiles(slide, *pair, None) for pair in pairs], **ROUNDS)
    assert sum(each.plan.copied for each in frames) == sized.extra_info["frames"]


def test_header_walk(sized, planned):
    slide, _ = planned
    level = slide.levels[0]
    ranges = zip(level.tiles.offsets[:200], level.tiles.byte_counts[:200], strict=True)
    tiles = [(number, int(offset), int(count)) for number, (offset, count) in enumerate(ranges)]
    size = (level.tile_width, level.tile_length)
    sized.extra_info["tiles"] = len(tiles)
    facts = sized.pedantic(
        lambda: [_core.inspect_tile(slide.source, *tile, *size) for tile in tiles], **ROUNDS
    )
    assert {(fact.columns, fact.rows) for fact in facts} == {size}


def test_write(sized, planned, tmp_path):
    slide, frames = planned
    paths = folders(tmp_path)
    written = []

    def write():
        written.append(next(paths))
        return _core.write_instance(slide.source, frames.plan, b"", written[-1])

    def cleared():
        for path in written:
            path.unlink(missing_ok=True)

    report = sized.pedantic(write, setup=cleared, **ROUNDS)
    assert report.byte_count > frames.plan.frame_bytes


def test_read_back(sized, bench, planned, tmp_path):
    slide, frames = planned
    path = coverslip.convert(bench.path, tmp_path, verify=False).instances[0].path
    header = header_of(path).core
    report = sized.pedantic(
        lambda: _core.verify_instance(slide.source, frames.plan, path, header), **ROUNDS
    )
    assert report.frames_equal == frames.plan.copied


def test_verify(sized, bench, tmp_path):
    study = coverslip.convert(bench.path, tmp_path, verify=False).study_path
    report = sized.pedantic(lambda: coverslip.verify(study, source=bench.path), **ROUNDS)
    assert report.is_clean


@pytest.mark.parametrize("verify", [False, True], ids=["no-verify", "verify"])
def test_convert(sized, bench, tmp_path, verify):
    outs = folders(tmp_path)

    def cleared():
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()

    result = sized.pedantic(
        lambda: coverslip.convert(bench.path, next(outs), verify=verify), setup=cleared, **ROUNDS
    )
    counts = result.to_dict()["frames"]
    name = {"copy": "copied", "stitch": "stitched", "retile": "retiled"}[bench.route]
    assert counts[name] == sized.extra_info["frames"]


def test_command(sized, bench, tmp_path):
    outs = folders(tmp_path)

    def run():
        command = [sys.executable, "-m", "coverslip", "convert", bench.path, "-o", next(outs)]
        return subprocess.run([*command, "--quiet"], check=True)

    assert sized.pedantic(run, rounds=3).returncode == 0
