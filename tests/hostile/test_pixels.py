"""Tiles that must be decoded: whatever is in them, a clear error and nothing left behind."""

import dataclasses
import lzma
import struct
import threading
import tracemalloc
import zlib
from contextlib import closing, suppress

import numpy as np
import pytest

import coverslip
from coverslip import limits, pixels, samples
from coverslip.codecs import Wanted, decode
from coverslip.decoders import Decoders, kept
from tests.hostile.test_bad_input import patched, refuse
from tests.synth import build_generic, build_ventana, raster, tiff

SMALL = {"size": (200, 150), "tile": 64, "levels": 1}
DECODED = {"allow_pixel": True}


def with_tile(slide, data):
    """Put other bytes where the first tile lies: as many, or fewer."""
    old = slide.levels[0].pieces[0]
    content = slide.path.read_bytes()
    assert old in content
    changed = content.replace(old, data.ljust(len(old), b"\0"), 1)
    pieces = slide.levels[0].pieces
    counts = struct.pack(f"<{len(pieces)}I", *map(len, pieces))
    assert changed.count(counts) == 1
    slide.path.write_bytes(changed.replace(counts, struct.pack("<I", len(data)) + counts[4:]))


@pytest.fixture
def decoders():
    with closing(Decoders(memory_bytes=8 << 30, seconds=60)) as processes:
        yield processes


@pytest.mark.parametrize("codec", sorted(raster.CODECS))
def test_tile_that_is_cut_off_is_named(codec, tmp_path):
    slide = build_generic(tmp_path, codec=codec, **SMALL)
    piece = slide.levels[0].pieces[0]
    with_tile(slide, piece[: len(piece) // 2])
    error = refuse(slide, tmp_path, coverslip.SourceError, **DECODED)
    assert "level 0: tile 0 does not hold" in str(error)


@pytest.mark.parametrize("codec", sorted(set(raster.CODECS) - {"none"}))
def test_tile_of_another_codec_is_named(codec, tmp_path):
    slide = build_generic(tmp_path, codec=codec, **SMALL)
    with_tile(slide, b"\xff\xd8\xff\xe0JANE DOE")
    error = refuse(slide, tmp_path, coverslip.SourceError, **DECODED)
    assert "level 0: tile 0 does not hold" in str(error)
    assert "DOE" not in str(error)


@pytest.mark.parametrize("codec", sorted(raster.PICTURES))
def test_picture_of_another_size_than_the_tags_say_is_refused(codec, tmp_path):
    slide = build_generic(tmp_path, codec=codec, **SMALL)
    other = build_generic(tmp_path, codec=codec, size=(64, 64), tile=32, levels=1)
    with_tile(slide, other.levels[0].pieces[0])
    other.path.unlink()
    refuse(slide, tmp_path, coverslip.SourceError, **DECODED)


@pytest.mark.parametrize(
    ("codec", "pack"),
    [("deflate", zlib.compress), ("lzma", lzma.compress), ("lzw", None), ("zstd", None)],
)
def test_few_bytes_that_become_many_are_refused_before_they_do(codec, pack, decoders, tmp_path):
    slide = build_generic(tmp_path, codec=codec, **SMALL)
    bomb = (pack or raster.BYTES[codec][1])(bytes(64 << 20))
    (level,) = coverslip.open(slide.path).levels
    with pytest.raises(coverslip.SourceError, match="tile 3 does not hold"):
        samples.decode(level, level.raster, bomb, 3, 64, decoders)
    most = 64 * 64 * 3 + 1
    wanted = Wanted(
        compression=level.compression,
        shape=(64, 64, 3),
        sample_bytes=1,
        most=most,
        lzma_bytes=limits.LIMITS.lzma_bytes,
    )
    tracemalloc.start()
    with suppress(RuntimeError):
        assert len(decode(bomb, wanted)) == most
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_lzw_whose_last_code_stands_for_more_than_the_tile_is_cut(decoders, tmp_path):
    slide = build_generic(tmp_path, codec="lzw", **SMALL)
    (level,) = coverslip.open(slide.path).levels
    data = bytes(64 * 64 * 3)
    surplus = raster.BYTES["lzw"][1](data + b"abc")
    assert samples.decode(level, level.raster, surplus, 3, 64, decoders).tobytes() == data


def test_lzma_that_asks_for_much_memory_is_refused(decoders, tmp_path):
    slide = build_generic(tmp_path, codec="lzma", **SMALL)
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    data = np.zeros((64, 64, 3), np.uint8).tobytes()
    (level,) = coverslip.open(slide.path).levels
    greedy = lzma.compress(data, lzma.FORMAT_XZ, filters=filters)
    with pytest.raises(coverslip.SourceError):
        samples.decode(level, level.raster, greedy, 0, 64, decoders)


@pytest.mark.parametrize("codec", ["jpegxr", "lzw", "webp"])
def test_process_that_dies_of_a_stream_does_not_take_us_with_it(codec, decoders, tmp_path):
    slide = build_generic(tmp_path, codec=codec, **SMALL)
    (level,) = coverslip.open(slide.path).levels
    stream = slide.levels[0].pieces[0]
    random = np.random.default_rng(0)
    ends = set()
    for _ in range(20):
        changed = bytearray(stream)
        for _ in range(4):
            changed[random.integers(len(stream))] = random.integers(256)
        try:
            samples.decode(level, level.raster, bytes(changed), 7, 64, decoders)
            ends.add("decoded")
        except coverslip.SourceError as error:
            ends.add(str(error))
    assert ends <= {"decoded", f"tile 7 does not hold {level.raster.codec} of its size"}
    assert samples.decode(level, level.raster, stream, 7, 64, decoders).shape == (64, 64, 3)


def test_stream_that_kills_its_decoder_is_an_error(
    decoders_started_anew, decoders, tmp_path, monkeypatch
):
    slide = build_generic(tmp_path, codec="lzw", **SMALL)
    (level,) = coverslip.open(slide.path).levels
    deadly = tmp_path / "decoder.py"
    deadly.write_text("import os\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setattr("coverslip.decoders.__file__", str(deadly))
    with pytest.raises(coverslip.SourceError, match="tile 7 does not hold LZW"):
        samples.decode(level, level.raster, bytes(9 << 20), 7, 64, decoders)


@pytest.mark.parametrize(
    ("options", "tag", "value", "reason"),
    [
        ({"codec": "lzw"}, 317, tiff.short(3), "predictor"),
        ({"codec": "none", "predictor": 1}, 317, tiff.short(2), "predictor"),
        ({"codec": "lzw"}, 262, tiff.short(8), "PhotometricInterpretation"),
        ({"codec": "lzw", "ycbcr": (2, 2)}, 530, tiff.short(2, 3), "PhotometricInterpretation"),
        ({"codec": "lzw", "ycbcr": (2, 2)}, 530, tiff.short(2), "PhotometricInterpretation"),
        ({"codec": "lzw", "palette": True}, 320, tiff.short(1, 2, 3), "PhotometricInterpretation"),
        ({"codec": "lzw"}, 262, tiff.short(0), "PhotometricInterpretation"),
        ({"codec": "lzw", "grey": True}, 262, tiff.short(3), "PhotometricInterpretation"),
        ({"codec": "lzw"}, 258, tiff.short(16, 16, 16), "16 bits"),
        ({"codec": "lzw", "grey": True}, 258, tiff.short(12), "neither 8 nor 16"),
        ({"codec": "lzw"}, 338, tiff.short(2), "alpha"),
        ({"codec": "lzw"}, 284, tiff.short(3), "284"),
        ({"codec": "lzw"}, 322, tiff.short(0), "width or length of 0"),
    ],
)
def test_samples_that_are_not_understood_are_refused_with_their_tag(
    options, tag, value, reason, tmp_path
):
    slide = build_generic(tmp_path, more={tag: value}, **options, **SMALL)
    error = refuse(slide, tmp_path, allow_pixel=True)
    assert reason in str(error)


def test_declared_ycbcr_is_refused_where_it_cannot_be(tmp_path):
    slide = build_generic(tmp_path, codec="lzw", **SMALL)
    error = refuse(slide, tmp_path, allow_pixel=True, colour="YBR")
    assert "RGB only" in str(error)


def test_tile_that_points_into_a_text_is_refused(tmp_path):
    slide = build_generic(tmp_path, codec="none", **SMALL)
    content = slide.path.read_bytes()
    first = content.index(slide.levels[0].pieces[0])
    text = content.index(b"<image>")
    patched(slide, struct.pack("<I", first), struct.pack("<I", text))
    error = refuse(slide, tmp_path, allow_pixel=True)
    assert "tile 0" in str(error)


def test_tile_that_lacks_one_of_its_colours_is_named(tmp_path):
    slide = build_generic(tmp_path, codec="lzw", planar=True, **SMALL)
    second_plane = len(slide.levels[0].pieces) // 3 + 1
    content = slide.path.read_bytes()
    at = content.index(slide.levels[0].pieces[second_plane])
    patched(slide, struct.pack("<I", at), bytes(4))
    error = refuse(slide, tmp_path, coverslip.SourceError, **DECODED)
    assert "tile 1 lacks one of its colours" in str(error)


def test_strip_without_data_is_named(tmp_path):
    slide = build_generic(tmp_path, codec="lzw", rows_per_strip=16, **SMALL)
    at = slide.path.read_bytes().index(slide.levels[0].pieces[3])
    patched(slide, struct.pack("<I", at), bytes(4))
    error = refuse(slide, tmp_path, coverslip.SourceError, **DECODED)
    assert "strip 3 has no data" in str(error)


def test_more_samples_at_a_time_than_the_limit_are_refused(tmp_path, monkeypatch):
    few = dataclasses.replace(limits.LIMITS, decoded_bytes=64 * 64 * 3 - 1)
    slide = build_generic(tmp_path, codec="lzw", **SMALL)
    monkeypatch.setattr(samples, "LIMITS", few)
    error = refuse(slide, tmp_path, coverslip.LimitError, allow_pixel=True)
    assert "decoded_bytes" in str(error)
    slide.path.unlink()
    slide = build_generic(tmp_path, codec="lzw", rows_per_strip=8, **SMALL)
    monkeypatch.setattr(pixels, "LIMITS", few)
    error = refuse(slide, tmp_path, coverslip.LimitError, allow_pixel=True)
    assert "decoded_bytes" in str(error)


def test_frame_that_does_not_decode_to_its_pixels_is_found(tmp_path, monkeypatch):
    slide = build_generic(tmp_path, codec="lzw", **SMALL)
    encode = pixels._encode
    monkeypatch.setattr(pixels, "_encode", lambda samples: encode(samples ^ 1))
    error = refuse(slide, tmp_path, coverslip.VerificationError, allow_pixel=True)
    assert "frame 0" in str(error)


def test_slide_that_changes_while_it_is_decoded_is_refused(tmp_path, monkeypatch):
    slide = build_generic(tmp_path, codec="lzw", **SMALL)
    encode = pixels._encode

    def meddle(samples):
        slide.path.write_bytes(slide.path.read_bytes() + b"x")
        return encode(samples)

    monkeypatch.setattr(pixels, "_encode", meddle)
    error = refuse(slide, tmp_path, coverslip.SourceError, **DECODED)
    assert "changed" in str(error)


def test_interruption_leaves_nothing_behind_and_no_thread(tmp_path):
    slide = build_generic(tmp_path, codec="jpegxr", **SMALL)

    def interrupt(progress):
        if progress.stage == "decode":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True, on_progress=interrupt)
    assert [path for path in tmp_path.iterdir() if path != slide.path] == []
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


CODED = {
    "lossless JPEG": (build_generic, {"codec": "ljpeg", **SMALL}),
    "JPEG of 12 bits": (build_generic, {"codec": "jpeg12", "grey": True, "bits": 12, **SMALL}),
    "JPEG-LS": (build_generic, {"codec": "jpegls", **SMALL}),
    "LERC": (build_generic, {"codec": "lerc", **SMALL}),
    "lossy LERC": (build_generic, {"codec": "lerc_lossy", **SMALL}),
    "near-lossless JPEG-LS": (build_generic, {"codec": "jpegls_near", **SMALL}),
    "JPEG 2000 that is cut off": (build_generic, {"codec": "j2k_33005", "clipped": True, **SMALL}),
    "overlapping JPEG": (build_ventana, {"overlaps": (16, 8), "levels": 1}),
    "overlapping JPEG 2000": (
        build_ventana,
        {"overlaps": (16, 8), "levels": 1, "codec": "j2k_33005"},
    ),
}


@pytest.mark.parametrize("kind", CODED)
def test_changed_streams_give_a_typed_error_or_a_slide(kind, tmp_path):
    builder, options = CODED[kind]
    slide = builder(tmp_path, **options)
    data, random = slide.path.read_bytes(), np.random.default_rng(7)
    # A few of each kind: `tests.hostile.campaign` changes streams of all formats by the thousand.
    pieces = [piece for piece in slide.levels[0].pieces if piece]
    with kept():
        for seed in range(8):
            changed = bytearray(data)
            piece = pieces[random.integers(len(pieces))]
            # Headers are where numbers are.
            for place in random.integers(0, min(len(piece), 160 if seed % 2 else len(piece)), 3):
                changed[data.index(piece) + place] ^= 1 << random.integers(8)
            slide.path.write_bytes(changed)
            out = tmp_path / str(seed)
            try:
                coverslip.convert(slide.path, out, allow_pixel=True, allow_recode=80)
            except coverslip.CoverslipError:
                assert not list(out.rglob("*.dcm"))


OVERLAPS = ["1e308", "-1e308", "nan", "inf", "99999999", "-99999999", "0x10", "63", "-47", ""]


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("axis", [0, 1])
def test_impossible_joints_give_a_typed_error_or_a_slide(overlap, axis, tmp_path):
    both = (overlap, "0") if axis == 0 else ("0", overlap)
    slide = build_ventana(tmp_path, overlap=both, levels=2)
    with suppress(coverslip.CoverslipError):
        coverslip.convert(slide.path, tmp_path / "out", allow_recode=80)
