"""Small pictures are decoded as tifffile decodes them, or not at all."""

import dataclasses

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal

from coverslip import _core, pictures
from coverslip.errors import CoverslipError, LimitError, SourceError, UnsupportedSlideError
from coverslip.formats.pyramid import associated_image
from coverslip.limits import Limits
from coverslip.model import Role
from coverslip.pictures import rgb_of
from coverslip.tiff import open_tiff
from tests.synth.texture import tissue

SIZE = (203, 91)
RGB = tissue(*SIZE, 4)

WAYS = {
    "none": {"photometric": "rgb"},
    "none in strips": {"photometric": "rgb", "rowsperstrip": 16},
    "lzw": {"photometric": "rgb", "compression": "lzw", "rowsperstrip": 7},
    "lzw, predicted": {"photometric": "rgb", "compression": "lzw", "predictor": True},
    "deflate": {"photometric": "rgb", "compression": "deflate", "rowsperstrip": 20},
    "packbits": {"photometric": "rgb", "compression": "packbits"},
    "deflate in tiles": {"photometric": "rgb", "compression": "deflate", "tile": (32, 48)},
    "jpeg": {"photometric": "rgb", "compression": "jpeg", "rowsperstrip": 16},
    "jpeg 4:2:0": {
        "photometric": "ycbcr",
        "compression": "jpeg",
        "subsampling": (2, 2),
        "rowsperstrip": 32,
    },
    "jpeg in tiles": {"photometric": "rgb", "compression": "jpeg", "tile": (48, 64)},
    "jpeg 2000": {"photometric": "rgb", "compression": 34712, "tile": (64, 64)},
    "big-endian": {"photometric": "rgb", "compression": "lzw", "byteorder": ">"},
}


def written(folder, picture=RGB, *, byteorder="<", **options):
    path = folder / "picture.tif"
    with tifffile.TiffWriter(path, byteorder=byteorder) as tiff:
        tiff.write(picture, metadata=None, **options)
    return path


def stored_in(path):
    with open_tiff(path) as tiff:
        return associated_image(tiff.directories[0], Role.OVERVIEW).pixels


def decoded(path):
    return rgb_of(_core.Source(path), stored_in(path))


@pytest.mark.parametrize("way", WAYS)
def test_picture_is_decoded_as_another_reader_does(way, tmp_path):
    path = written(tmp_path, **WAYS[way])

    pixels = decoded(path)

    assert np.abs(pixels.astype(int) - tifffile.imread(path)).max() <= 1  # of colour conversion


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("compression", [None, "lzw", "jpeg"])
def test_grey_becomes_three_equal_colours(photometric, compression, tmp_path):
    grey = np.ascontiguousarray(RGB[..., 1])
    path = written(tmp_path, grey, photometric=photometric, compression=compression)

    pixels = decoded(path)

    expected = tifffile.imread(path)
    expected = 255 - expected if photometric == "miniswhite" else expected
    assert_array_equal(pixels, np.stack([expected] * 3, axis=2))


@pytest.mark.parametrize(
    ("options", "picture"),
    [
        ({"photometric": "rgb"}, RGB.astype(np.uint16)),
        ({"photometric": "rgb", "planarconfig": "separate"}, np.moveaxis(RGB, 2, 0)),
        ({"photometric": "rgb", "extrasamples": ["unassalpha"]}, np.dstack([RGB, RGB[..., :1]])),
    ],
    ids=["16 bits", "planes", "alpha"],
)
def test_unusual_picture_is_not_to_be_decoded(options, picture, tmp_path):
    assert stored_in(written(tmp_path, picture, **options)) is None


@pytest.mark.parametrize("compression", [6, 99])
def test_codec_that_is_not_decoded_is_named(compression, tmp_path):
    path = written(tmp_path, photometric="rgb")
    stored = dataclasses.replace(stored_in(path), compression=compression)

    with pytest.raises(UnsupportedSlideError, match=f"compression {compression}"):
        rgb_of(_core.Source(path), stored)


@pytest.mark.parametrize(
    "change",
    [{"predictor": 3}, {"photometric_interpretation": 3}, {"photometric_interpretation": 8}],
)
def test_pixels_in_another_form_are_refused(change, tmp_path):
    path = written(tmp_path, photometric="rgb")

    with pytest.raises(UnsupportedSlideError):
        rgb_of(_core.Source(path), dataclasses.replace(stored_in(path), **change))


def test_picture_that_is_too_large_names_the_limit(tmp_path, monkeypatch):
    path = written(tmp_path, photometric="rgb")
    monkeypatch.setattr(pictures, "LIMITS", Limits(overview_pixels=1000))

    with pytest.raises(LimitError, match="overview_pixels = 1000"):
        decoded(path)


@pytest.mark.parametrize("way", ["lzw", "deflate", "packbits", "jpeg", "jpeg 2000", "none"])
@pytest.mark.parametrize("seed", range(12))
def test_damaged_picture_is_an_error_of_ours_or_a_picture(way, seed, tmp_path):
    path = written(tmp_path, **WAYS[way])
    stored = stored_in(path)
    random = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    offset, count = int(stored.tiles.offsets[0]), int(stored.tiles.byte_counts[0])
    for _ in range(1 + seed * 3):
        data[offset + int(random.integers(count))] = int(random.integers(256))
    path.write_bytes(data)
    try:
        pixels = rgb_of(_core.Source(path), stored)
    except CoverslipError:
        return
    assert pixels.shape == RGB.shape


@pytest.mark.parametrize("way", ["lzw", "deflate", "jpeg", "none"])
def test_directory_that_promises_more_pixels_than_there_are_is_an_error(way, tmp_path):
    path = written(tmp_path, **WAYS[way])
    stored = stored_in(path)
    wider = dataclasses.replace(stored, image_width=900, tile_width=900)

    with pytest.raises(CoverslipError):
        rgb_of(_core.Source(path), wider)


def test_missing_part_is_an_error(tmp_path):
    path = written(tmp_path, **WAYS["lzw"])
    stored = stored_in(path)
    stored.tiles.byte_counts[2] = 0

    with pytest.raises(SourceError, match="missing"):
        rgb_of(_core.Source(path), stored)


def test_part_beyond_the_file_is_an_error(tmp_path):
    path = written(tmp_path, **WAYS["lzw"])
    stored = stored_in(path)
    stored.tiles.offsets[0] = 1 << 40

    with pytest.raises(CoverslipError):
        rgb_of(_core.Source(path), stored)
