"""Right colours or a clear refusal, whatever markers, identifiers, tables and tags claim."""

import itertools

import numpy as np
import pytest

import coverslip
from tests.interop import alike, readers
from tests.synth import build_generic, jpeg

SAMPLES = ("rgb", "ycbcr444", "ycbcr422", "ycbcr420", "grey")
IDS = ((0, 1, 2), (1, 2, 3), (82, 71, 66))
MARKERS = ("none", "app14_0", "app14_1", "jfif")
TABLES = ("shared", "own", "both")
CODEC = {"rgb": "jpeg_rgb", "grey": "jpeg_grey"}
TAGS = {"rgb": (2, 6), "grey": (1, 0)}
"""Tag 262 as it should be, and as it should not."""


def claims(ids, markers):
    """Return what libjpeg takes three components for, ``None`` if nothing is said."""
    if markers == "jfif":
        return "ybr"
    if markers != "none":
        return "rgb" if markers == "app14_0" else "ybr"
    return "rgb" if ids == (82, 71, 66) else None


def is_honest(samples, ids, markers, tag_is_right):
    """Tell whether nothing in a cell contradicts its samples."""
    if samples == "grey":
        return tag_is_right
    claim = claims(ids, markers)
    return tag_is_right and claim in (None, "rgb" if samples == "rgb" else "ybr")


@pytest.mark.tools
@pytest.mark.parametrize("markers", MARKERS)
@pytest.mark.parametrize("ids", IDS, ids=["012", "123", "RGB"])
@pytest.mark.parametrize("samples", SAMPLES)
def test_cell_has_right_colours_in_every_decoder_or_is_refused(
    samples, ids, markers, tool, tmp_path
):
    for tables, tag_is_right in itertools.product(TABLES, (True, False)):
        folder = tmp_path / f"{tables}-{tag_is_right}"
        folder.mkdir()
        right, wrong = TAGS.get(samples, (6, 2))
        slide = build_generic(
            folder,
            codec=CODEC.get(samples, f"jpeg_{samples}"),
            tag_262=right if tag_is_right else wrong,
            levels=1,
            size=(250, 190),
            style={"ids": ids, "markers": markers, "tables": tables},
        )
        try:
            result = coverslip.convert(slide.path, folder / "out")
        except coverslip.CoverslipError as error:
            if is_honest(samples, ids, markers, tag_is_right):
                raise AssertionError("an honest cell was refused") from error
            assert not (folder / "out").exists()
            continue
        assert_right_colours(result.instances[0].path, slide.levels[0], tool, folder)


def assert_right_colours(path, level, tool, folder):
    frames = readers.frames_of(path)
    decoded = {
        "libjpeg": readers.by_pydicom(path, "pylibjpeg"),
        "gdcm": readers.by_pydicom(path, "gdcm"),
        "dcmtk": readers.by_dcmtk(path, tool("dcmdjpeg"), folder),
        "libjpeg-turbo": np.stack([readers.by_imagecodecs(frame) for frame in frames]),
        "djpeg": np.stack([readers.by_libjpeg_turbo(frame, tool("djpeg")) for frame in frames]),
    }
    for decoder, pixels in decoded.items():
        shown = readers.mosaic(pixels, level.width, level.length)
        distances = alike.difference(shown, level.rgb)
        assert distances.mean() < 2, decoder
        assert alike.nearly_all_within(distances, 24), decoder


def test_user_can_say_what_contradictory_tiles_hold(tmp_path):
    style = {"ids": (1, 2, 3), "markers": "none"}
    slide = build_generic(tmp_path, codec="jpeg_rgb", tag_262=6, levels=1, style=style)
    with pytest.raises(coverslip.UnsupportedSlideError, match="marked as YBR") as refused:
        coverslip.convert(slide.path, tmp_path / "refused")
    assert "--colour" in refused.value.hint

    result = coverslip.convert(slide.path, tmp_path / "out", colour="RGB")

    pixels = readers.by_pydicom(result.instances[0].path, "pylibjpeg")
    shown = readers.mosaic(pixels, slide.levels[0].width, slide.levels[0].length)
    assert np.abs(shown.astype(int) - slide.levels[0].rgb).mean() < 2


def test_a_tile_with_other_colour_markers_than_the_first_is_refused(tmp_path):
    slide = build_generic(tmp_path, codec="jpeg_rgb", levels=1, style={"comments": False})
    data = slide.path.read_bytes()
    last = slide.levels[0].pieces[-1]
    renamed = last.replace(b"\x03\x00\x11\x00\x01\x11", b"\x03\x09\x11\x00\x01\x11")
    assert renamed != last
    with_scan = renamed.replace(b"\xff\xda\x00\x0c\x03\x00", b"\xff\xda\x00\x0c\x03\x09")
    slide.path.write_bytes(data.replace(last, with_scan))
    with pytest.raises(coverslip.UnsupportedSlideError, match="differs from the first tile"):
        coverslip.convert(slide.path, tmp_path / "out")


def test_lying_markers_do_not_change_the_entropy_coded_bytes(tmp_path):
    style = {"ids": (1, 2, 3), "markers": "jfif", "tables": "both"}
    slide = build_generic(tmp_path, codec="jpeg_rgb", levels=1, style=style)
    result = coverslip.convert(slide.path, tmp_path / "out")
    frames = readers.frames_of(result.instances[0].path)
    assert [jpeg.split(frame)[1] for frame in frames] == slide.levels[0].entropy
