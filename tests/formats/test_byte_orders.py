"""Every format reads alike in both byte orders."""

import inspect

import pytest

import coverslip
from tests.synth import FORMATS

SMALL = {"size": (300, 200), "levels": 1}


def options_of(name):
    return inspect.signature(FORMATS[name].func).parameters


def takes_byte_order(name):
    return "big_endian" in options_of(name)


@pytest.mark.parametrize("name", [name for name in FORMATS if takes_byte_order(name)])
def test_a_slide_of_the_other_byte_order_is_the_same_slide(name, tmp_path):
    build = FORMATS[name]
    small = {key: value for key, value in SMALL.items() if key in options_of(name)}
    usual = bool(build.keywords.get("big_endian", options_of(name)["big_endian"].default))
    opened = []
    for is_big in (usual, not usual):
        folder = tmp_path / str(is_big)
        folder.mkdir()
        path = build(folder, 9, big_endian=is_big, **small).path
        assert path.read_bytes()[:2] == (b"MM" if is_big else b"II")
        opened.append(coverslip.open(path))
    one, other = opened
    assert other.format == one.format
    assert other.spacing == one.spacing
    assert other.routes(allow_pixel=True) == one.routes(allow_pixel=True)
    for mine, theirs in zip(other.levels, one.levels, strict=True):
        assert (mine.image_width, mine.image_length) == (theirs.image_width, theirs.image_length)
        if mine.bits_per_sample > 8:
            continue  # the bytes of a sample are in another order as well
        pairs = zip(mine.stored_ranges().tolist(), theirs.stored_ranges().tolist(), strict=True)
        for (at, count), (before, before_count) in pairs:
            assert count == before_count
            if count:
                assert other.source.read(at, count) == one.source.read(before, count)
