"""What a small slide costs, with pytest-benchmark: ``pytest benches --benchmark-only``."""

import itertools

import pytest

import coverslip
from coverslip.sample import write_sample


@pytest.fixture(scope="module", params=["jpeg", "jpeg2000"])
def slide(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "slide.svs"
    write_sample(path, byte_count=8_000_000, compression=request.param)
    return path


def test_open(benchmark, slide):
    opened = benchmark(coverslip.open, slide)
    assert len(opened.levels) == 3


def test_routes(benchmark, slide):
    opened = coverslip.open(slide)
    routes = benchmark(opened.routes)
    assert {str(route.kind) for route in routes} == {"copy"}


@pytest.mark.parametrize("verify", [False, True], ids=["no-verify", "verify"])
def test_convert(benchmark, slide, tmp_path, verify):
    folders = (tmp_path / str(number) for number in itertools.count())
    result = benchmark.pedantic(
        lambda: coverslip.convert(slide, next(folders), verify=verify),
        rounds=10,
        warmup_rounds=1,
    )
    assert result.frames.copied > 500
