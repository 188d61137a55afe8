"""Levels are planned from some tiles; a slide with another one becomes what it would without."""

from functools import partial

import pytest

import coverslip
from coverslip import levels
from tests.interop.readers import frames_of
from tests.synth import build_generic, build_svs

BUILD = {
    "jpeg": partial(build_svs, codec="jpeg_ycbcr420", size=(500, 400), tile=64),
    "jpeg 2000": partial(build_svs, codec="j2k_rgb", size=(500, 400), tile=64),
    "one level": partial(build_generic, codec="jpeg_ycbcr444", levels=1, size=(500, 400), tile=64),
}


def without_end_marker(path, tile):
    """Overwrite the end marker of a tile of the first level."""
    tiles = coverslip.open(path).levels[0].tiles
    with path.open("r+b") as file:
        file.seek(int(tiles.offsets[tile] + tiles.byte_counts[tile]) - 2)
        assert file.read(2) == b"\xff\xd9"
        file.seek(-2, 1)
        file.write(b"\0\0")
    return path


def outcome(path, out, **options):
    result = coverslip.convert(path, out, mpp_um=0.5, sync=False, **options)
    files = {file for file in out.rglob("*") if file.is_file()}
    assert files == {*(instance.path for instance in result.instances), result.certificate_path}
    frames = [frames_of(instance.path) for instance in result.instances]
    return frames, result.frames, result.notes


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("kind", BUILD)
def test_a_tile_that_was_not_looked_at_is_planned_after_all(kind, verify, tmp_path, monkeypatch):
    plans = []

    def plan_level(*args, is_sampled):
        plans.append((args[1], is_sampled))
        return plan(*args, is_sampled=is_sampled)

    plan = levels.plan_level
    monkeypatch.setattr(levels, "plan_level", plan_level)
    source = without_end_marker(BUILD[kind](tmp_path).path, 17)
    frames, counts, notes = outcome(source, tmp_path / "out", verify=verify)
    assert plans == [*((level, True) for level in range(len(frames))), (0, False)]
    assert counts.truncated == 1
    assert "level 0: 1 tiles had no end marker; it was added" in notes

    monkeypatch.setattr(
        levels, "plan_level", lambda *args, is_sampled: plan(*args, is_sampled=False)
    )
    assert outcome(source, tmp_path / "whole", verify=verify) == (frames, counts, notes)


def test_a_tile_that_cannot_be_copied_is_named_when_it_is_met(tmp_path):
    slide = BUILD["jpeg"](tmp_path)
    tiles = coverslip.open(slide.path).levels[0].tiles
    with slide.path.open("r+b") as file:
        file.seek(int(tiles.offsets[17]))
        file.write(b"no picture")
    with pytest.raises(coverslip.SourceError, match="level 0: tile 17: "):
        coverslip.convert(slide.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
