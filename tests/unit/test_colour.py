"""Colours are looked at once for all levels that say the same, and in little time."""

import numpy as np
import pytest

import coverslip
from coverslip import _core, colour
from coverslip.routes import Choices, decide
from tests.synth import build_generic, build_svs, jpeg2000
from tests.synth.texture import tissue


@pytest.fixture
def looks(monkeypatch):
    """How many pixels were looked at, each time."""
    seen = []
    measured = colour._neutral_shares

    def noted(pixels):
        seen.append(len(pixels))
        return measured(pixels)

    monkeypatch.setattr(colour, "_neutral_shares", noted)
    return seen


@pytest.mark.parametrize("codec", ["j2k_rgb", "jpeg_ycbcr444", "jpeg_rgb"])
def test_one_level_is_looked_at_for_all(codec, looks, tmp_path):
    slide = coverslip.open(build_generic(tmp_path, codec=codec, levels=3, size=(1400, 1000)).path)
    kinds = {str(route.kind) for route in slide.routes()}
    assert kinds == {"copy"}
    # The second level is the smallest that is no mere tile or two.
    tiles = min(12, -(-700 // 128) * -(-500 // 128))
    assert looks == [tiles * (128 // colour._THINNED) ** 2]


def test_large_tiles_are_decoded_to_few_pixels(looks, tmp_path):
    built = build_generic(tmp_path, codec="j2k_rgb", levels=1, size=(2048, 2048), tile=1024)
    coverslip.open(built.path).routes()
    assert 0 < sum(looks) <= 12 * 256 * 256


def test_levels_with_other_signs_are_looked_at_by_themselves():
    judge = colour.Judge()
    assert judge.look("one", lambda: "RGB") == "RGB"
    assert judge.look("other", lambda: "YBR") == "YBR"
    assert judge.look("one", pytest.fail) == "RGB"


def test_level_that_does_not_tell_leaves_it_to_the_next():
    answers = iter([None, "RGB", "YBR"])
    judge = colour.Judge()
    assert [judge.look("one", lambda: next(answers)) for _ in range(3)] == [None, "RGB", "RGB"]
    judge = colour.Judge()
    answers = iter([None, None, None])
    assert [judge.look("one", lambda: next(answers)) for _ in range(9)] == [None] * 9


@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize(("kind", "samples"), [("rgb", "RGB"), ("ycc444", "YBR")])
@pytest.mark.parametrize("side", [128, 512, 1024])
def test_reduced_jpeg_2000_looks_like_the_whole(side, kind, samples, boxed, tmp_path):
    tile = jpeg2000.encode(tissue(side, side, 3), kind, boxed=boxed).data
    path = tmp_path / "tile"
    path.write_bytes(tile)
    facts = _core.inspect_tile(_core.Source(path), 0, 0, len(tile), side, side)
    assert colour.measure_jpeg2000([tile], facts, (side, side)) == samples


def test_verdict_of_every_level_is_that_of_the_level_alone(tmp_path):
    for number, codec in enumerate(("j2k_33003_444", "jpeg_rgb", "jpeg_ycbcr444")):
        folder = tmp_path / str(number)
        folder.mkdir()
        slide = coverslip.open(build_svs(folder, codec=codec).path)
        together = slide.routes()
        nothing = np.zeros((0, 2), np.uint64)
        for level, route in zip(slide.levels, together, strict=True):
            alone, _ = decide(slide.source, level, nothing, Choices())
            assert alone == route
