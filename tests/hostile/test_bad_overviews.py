"""Overviews that are damaged or lie: the slide is written, the picture only if it is clean."""

import struct

import numpy as np
import pytest
import tifffile

import coverslip
from coverslip.deid.pixels.mask import PAINT
from tests.interop import readers
from tests.synth import build_ndpi, build_svs
from tests.synth.overview import draw_overview

GLASS = draw_overview(5, noise=1.0, size=(700, 240))
MACRO = -1
"""Position of the macro's directory in the chain of the built SVS."""


@pytest.fixture
def slide(tmp_path):
    return build_svs(tmp_path, overview=GLASS.picture)


def tag_of(path, code):
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages[MACRO].tags[code]


def strips_of(path):
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[MACRO]
        return [*zip(page.dataoffsets, page.databytecounts, strict=True)]


def patch(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def convert(slide, tmp_path):
    """Convert a slide, and return its notes and the overview's pixels, ``None`` if dropped."""
    result = coverslip.convert(slide.path, tmp_path / "out", overview="mask")
    assert [i.level for i in result.instances][:2] == [0, 1]
    if not result.frames.picture:
        return result.notes, None
    return result.notes, readers.by_pydicom(result.instances[-1].path, "pylibjpeg")[0]


@pytest.mark.parametrize("seed", range(10))
def test_bytes_changed_at_random_never_stop_the_slide_nor_show_the_label(seed, slide, tmp_path):
    random = np.random.default_rng(seed)
    for offset, count in strips_of(slide.path):
        for _ in range(seed % 3 + 1):
            patch(slide.path, offset + int(random.integers(count)), random.bytes(1))

    notes, pixels = convert(slide, tmp_path)

    if pixels is None:
        assert any("the overview was dropped" in note for note in notes)
    else:
        assert (pixels[:, : int(0.35 * pixels.shape[1])] == PAINT).all()


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (256, 0xFFFF),
        (256, 1),
        (257, 0x7FFFFFFF),
        (257, 100_000),
        (259, 5),
        (259, 34712),
        (262, 6),
        (277, 1),
        (277, 4),
        (278, 1),
        (278, 0),
        (278, 0xFFFFFFFF),
    ],
)
def test_directory_that_lies_about_its_picture_drops_it(code, value, slide, tmp_path):
    tag = tag_of(slide.path, code)
    size = {3: 2, 4: 4}[int(tag.dtype)]
    patch(slide.path, tag.valueoffset, min(value, 256**size - 1).to_bytes(size, "little"))

    notes, pixels = convert(slide, tmp_path)

    assert pixels is None
    assert any("overview" in note for note in notes)


def test_strip_that_lies_beyond_the_file_drops_the_picture(slide, tmp_path):
    tag = tag_of(slide.path, 273)
    patch(slide.path, tag.valueoffset, struct.pack("<I", 0xFFFFFF00))

    notes, pixels = convert(slide, tmp_path)

    assert pixels is None
    assert any("the overview was dropped" in note for note in notes)


def test_overview_whose_strips_are_those_of_the_label_is_searched_like_any(tmp_path):
    text = draw_overview(1, size=(1200, 400), share=0.9, letters_px=30)
    slide = build_svs(tmp_path, overview=text.picture)

    _, pixels = convert(slide, tmp_path)

    assert pixels is None


@pytest.mark.parametrize("damage", [b"\xff\xd9", b"\x00" * 40, b"\xff\xc2", b"\xff\xd8\xff\xd8"])
def test_jpeg_of_an_ndpi_macro_that_is_broken_is_dropped(damage, tmp_path):
    slide = build_ndpi(tmp_path, overview=GLASS.picture)
    data = slide.path.read_bytes()
    macro = data.rindex(b"\xff\xd8\xff\xfe")
    patch(slide.path, macro + 2, damage)

    result = coverslip.convert(slide.path, tmp_path / "out", overview="mask")

    assert result.frames.picture == 0
    assert len(result.instances) == len(slide.levels)
