"""Levels that must be decoded, in every way a TIFF may store samples."""

import json

import numpy as np
import pydicom
import pytest

import coverslip
from coverslip import decoders
from coverslip.guard import core_count
from tests.interop import readers
from tests.synth import build_generic, raster, tiff

SMALL = {"size": (200, 150), "tile": 64, "levels": 1}


def converted(slide, folder):
    """Return the one instance of a slide, and its certificate's part about it."""
    result = coverslip.convert(slide.path, folder / "out", allow_pixel=True)
    (instance,) = result.instances
    (certified,) = json.loads(result.certificate_path.read_text())["instances"]
    return instance.path, certified


def assert_pixels_are_those_of(slide, path):
    (level,) = slide.levels
    frames = readers.by_pydicom(path, "pylibjpeg")
    assert np.array_equal(readers.mosaic(frames, level.width, level.length), level.rgb)


@pytest.mark.parametrize("codec", sorted(raster.CODECS))
@pytest.mark.parametrize("storage", [{}, {"grey": True}, {"rows_per_strip": 40}], ids=str)
def test_pixels_of_every_codec_are_kept(codec, storage, tmp_path):
    if storage.get("grey") and codec.startswith("webp"):
        pytest.skip("WebP has no grey")
    slide = build_generic(tmp_path, codec=codec, **storage, **SMALL)
    path, certified = converted(slide, tmp_path)
    assert_pixels_are_those_of(slide, path)
    assert certified["frames_pixel"] == len(slide.levels[0].entropy)
    assert certified["frames_copied"] == 0


@pytest.mark.parametrize(
    "storage",
    [
        {"codec": "lzw", "rows_per_strip": 40, "full_last_strip": True},
        {"codec": "lzw", "rows_per_strip": 40, "planar": True, "predictor": 2},
        {"codec": "none", "rows_per_strip": 1000},
        {"codec": "none", "rows_per_strip": 150, "grey": True, "bits": 16, "big_endian": True},
        {"codec": "deflate", "rows_per_strip": 1000, "predictor": 2},
        {"codec": "zstd", "bits": 16, "grey": True, "predictor": 2, "big_endian": True},
        {"codec": "none", "bits": 16, "grey": True, "white_is_zero": True},
        {"codec": "jpegxl", "bits": 16, "grey": True},
        {"codec": "deflate", "palette": True, "predictor": 2, "big_endian": True},
        {"codec": "none", "palette": True, "rows_per_strip": 200},
        {"codec": "lzw", "ycbcr": (1, 1), "predictor": 2},
        {"codec": "lzw", "ycbcr": (2, 1), "rows_per_strip": 40},
        {"codec": "deflate", "ycbcr": (2, 2)},
        {"codec": "packbits", "ycbcr": (4, 2), "rows_per_strip": 40, "full_last_strip": True},
        {"codec": "none", "ycbcr": (2, 2), "rows_per_strip": 200},
        {"codec": "jpegxr", "bits": 16, "grey": True},
    ],
    ids=str,
)
def test_pixels_are_kept_however_they_are_stored(storage, tmp_path):
    slide = build_generic(tmp_path, **storage, **SMALL)
    path, _ = converted(slide, tmp_path)
    assert_pixels_are_those_of(slide, path)


def test_strip_that_lies_across_two_rows_of_frames_is_in_both(tmp_path):
    slide = build_generic(tmp_path, codec="deflate", rows_per_strip=2000, size=(40, 2500), levels=1)
    path, certified = converted(slide, tmp_path)
    assert_pixels_are_those_of(slide, path)
    assert certified["frames_pixel"] == 3


def test_tiles_of_the_smallest_size_are_kept(tmp_path):
    slide = build_generic(tmp_path, codec="lzw", size=(50, 40), tile=16, levels=1)
    path, _ = converted(slide, tmp_path)
    assert_pixels_are_those_of(slide, path)


@pytest.mark.parametrize("codec", ["deflate", "none"])
def test_what_was_not_compressed_with_loss_is_declared_so(codec, tmp_path):
    path, _ = converted(build_generic(tmp_path, codec=codec, **SMALL), tmp_path)
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
    assert dataset.PhotometricInterpretation == "YBR_RCT"
    assert dataset.LossyImageCompression == "00"
    assert "LossyImageCompressionRatio" not in dataset
    assert "LossyImageCompressionMethod" not in dataset


@pytest.mark.parametrize("codec", sorted(raster.LOSSY_TERMS))
def test_what_may_have_lost_something_is_declared_with_the_ratio_of_the_slide(codec, tmp_path):
    slide = build_generic(tmp_path, codec=codec, **SMALL)
    path, _ = converted(slide, tmp_path)
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
    assert dataset.LossyImageCompression == "01"
    assert dataset.LossyImageCompressionMethod == raster.LOSSY_TERMS[codec]
    pieces = slide.levels[0].pieces
    ratio = 64 * 64 * 3 * len(pieces) / sum(map(len, pieces))
    assert float(dataset.LossyImageCompressionRatio) == pytest.approx(ratio, abs=0.01)


def test_exchange_of_black_and_white_is_told_and_certified(tmp_path):
    slide = build_generic(tmp_path, codec="lzw", grey=True, white_is_zero=True, **SMALL)
    result = coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True)
    assert any("black and white were exchanged" in note for note in result.notes)
    assert [instance["is_inverted"] for instance in result.certificate["instances"]] == [True]
    assert result.certificate["policy"]["options"]["allow_pixel"] is True


def test_strips_beside_tiles_are_no_level_but_by_themselves_they_are(tmp_path):
    slide = build_generic(tmp_path, codec="lzw", rows_per_strip=50, size=(200, 150), levels=2)
    opened = coverslip.open(slide.path)
    assert [level.image_width for level in opened.levels] == [200, 100]
    assert [(level.tile_width, level.has_tiles) for level in opened.levels] == [(1024, False)] * 2
    assert "strips" in opened.description.notes[0]


def test_vendors_slide_whose_tiles_must_be_decoded_is_converted(tmp_path):
    description = tiff.ascii_("Aperio Image Library v12.0.16|AppMag = 20|MPP = 0.4990")
    slide = build_generic(tmp_path, codec="lzw", predictor=2, more={270: description}, **SMALL)
    assert coverslip.open(slide.path).format == "Aperio SVS"
    path, certified = converted(slide, tmp_path)
    assert_pixels_are_those_of(slide, path)
    assert certified["frames_pixel"] == 12


def test_level_without_any_data_is_refused(tmp_path):
    everywhere = tuple((0, tile) for tile in range(12))
    slide = build_generic(tmp_path, codec="lzw", missing=everywhere, **SMALL)
    (route,) = coverslip.open(slide.path).routes(allow_pixel=True)
    assert route.reason == "the level has no tile with data"


def test_strip_of_another_length_than_its_rows_is_refused(tmp_path):
    slide = build_generic(
        tmp_path, codec="none", rows_per_strip=150, more={257: tiff.long(149)}, **SMALL
    )
    with pytest.raises(coverslip.SourceError, match="not as long as its rows"):
        coverslip.open(slide.path)


def test_levels_and_their_search_share_the_processes_that_decode(
    decoders_started_anew, tmp_path, monkeypatch
):
    begun, begin = [], decoders._start
    monkeypatch.setattr(
        decoders, "_start", lambda *limits: begun.append(begin(*limits)) or begun[-1]
    )
    slide = build_generic(tmp_path, codec="lzw", levels=3)

    coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True)

    # One more where the search asks while frames are made on all cores.
    assert 1 <= len(begun) <= core_count() + 1
    assert all(process.returncode is not None for process in begun)
