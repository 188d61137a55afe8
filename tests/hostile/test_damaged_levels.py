"""A small level that cannot be searched: damage is told as damage, all else is quarantined."""

import pytest

import coverslip
from tests.hostile.test_bad_input import assert_nothing_left, refuse
from tests.program import command
from tests.synth import build_generic, build_svs
from tests.synth.overview import with_bar_code

SMALL = {"size": (610, 450), "tile": 64}
START_OF_DATA = b"\xff\x93"
"""Of JPEG 2000: compressed pixels stand behind it."""


def damage(slide, level, tile):
    """Change the compressed pixels of a tile, so that its headers tell nothing of it."""
    old = slide.levels[level].pieces[tile]
    content = slide.path.read_bytes()
    assert content.count(old) == 1
    begin = old.index(START_OF_DATA) + 16
    new = old[:begin] + b"\xfe" * (len(old) - 2 - begin) + old[-2:]
    slide.path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize("profile", ["public", "research"])
@pytest.mark.parametrize("codec", ["j2k_33005", "j2k_rgb"])
def test_damaged_tile_of_a_small_level_is_told_as_damage(codec, profile, tmp_path):
    slide = build_generic(tmp_path, codec=codec, levels=2, **SMALL)
    damage(slide, 1, 3)
    with pytest.raises(coverslip.SourceError) as raised:
        coverslip.convert(slide.path, tmp_path / "out", profile=profile)
    assert str(raised.value) == "level 1: tile 3 cannot be decoded"
    assert not (tmp_path / "out").exists()


def test_damaged_tile_of_a_small_level_ends_with_status_1(tmp_path):
    slide = build_generic(tmp_path, codec="j2k_rgb", levels=2, **SMALL)
    damage(slide, 1, 3)
    done = command("convert", slide.path, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "level 1: tile 3 cannot be decoded" in done.stderr
    assert_nothing_left(tmp_path, slide)


def test_tile_outside_of_the_file_is_told_before_it_is_decoded(tmp_path):
    slide = build_svs(tmp_path, levels=2)
    content = slide.path.read_bytes()
    last = slide.levels[-1].pieces[-1]
    slide.path.write_bytes(content[: content.index(last) + len(last) // 2])
    error = refuse(slide, tmp_path, coverslip.CoverslipError)
    assert not isinstance(error, coverslip.QuarantineError)
    assert "changed while" not in str(error)


def test_bar_code_beside_a_damaged_tile_is_what_is_told(tmp_path):
    slide = build_generic(
        tmp_path, codec="j2k_rgb", levels=2, tile=64, picture=with_bar_code(610, 450)
    )
    damage(slide, 1, 3)
    with pytest.raises(coverslip.QuarantineError, match="level 0 shows what looks like bar codes"):
        coverslip.convert(slide.path, tmp_path / "out")


def test_codec_that_is_not_decoded_here_is_quarantined(tmp_path, monkeypatch):
    import imagecodecs

    def lacking(*_, **__):
        raise ImportError("no such codec")

    slide = build_generic(tmp_path, codec="jpeg_ycbcr420", levels=2, **SMALL)
    monkeypatch.setattr(imagecodecs, "jpeg8_decode", lacking)
    with pytest.raises(coverslip.QuarantineError, match="cannot be searched for bar codes") as told:
        coverslip.convert(slide.path, tmp_path / "out")
    assert "the installed imagecodecs lacks" in str(told.value)
    assert "--pixels-attested" in told.value.hint


def test_damage_that_only_a_decoder_meets_passes_where_somebody_vouches_for_the_pixels(tmp_path):
    slide = build_generic(tmp_path, codec="j2k_rgb", levels=2, **SMALL)
    damage(slide, 1, 3)
    result = coverslip.convert(slide.path, tmp_path / "out", pixels_attested="B. Osterholtzer")
    assert any("level 1 cannot be searched" in note for note in result.notes)
