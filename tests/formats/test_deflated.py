"""Deflate tiles that are copied to frames of Deflated Image Frame Compression (PS3.5 A.4.13)."""

import json
import zlib

import numpy as np
import pydicom
import pytest

import coverslip
from coverslip.report.pictures import pixels_of
from tests.interop import readers
from tests.synth import build_generic, build_ome

SYNTAX = readers.DEFLATED_IMAGE_FRAME
KINDS = {
    "colour": (build_generic, {}),
    "32946": (build_generic, {"codec": "deflate_32946", "big_endian": True}),
    "grey": (build_generic, {"grey": True}),
    "grey-16": (build_generic, {"grey": True, "bits": 16}),
    "channels": (
        build_ome,
        {"bits": 16, "grey_channels": 2, "focal_planes": 2, "big_endian": False},
    ),
}
MISSING = ((0, 3), (1, 0))


def tiles_of(level):
    return [piece for plane in level.planes for piece in plane.pieces]


@pytest.fixture(scope="module", params=KINDS)
def case(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deflated")
    build, options = KINDS[request.param]
    slide = build(folder, **{"codec": "deflate", "missing": MISSING, "levels": 2} | options)
    return slide, coverslip.convert(slide.path, folder / "out", deflated_frames=True)


def test_every_frame_is_the_stream_of_its_tile_without_its_wrapping(case):
    slide, result = case
    for level, instance in zip(slide.levels, result.instances, strict=True):
        frames, tiles = readers.frames_of(instance.path), tiles_of(level)
        for frame, tile in zip(frames, tiles, strict=True):
            if tile:
                bare = tile[2:-4]
                assert frame == bare + bytes(len(bare) % 2)
        assert instance.frames.blank == tiles.count(b"")
        assert instance.frames.copied == len(tiles) - tiles.count(b"")


def test_zlib_inflates_each_frame_to_the_pixels_of_the_slide(case):
    slide, result = case
    for level, instance in zip(slide.levels, result.instances, strict=True):
        frames = readers.by_zlib(instance.path)
        each = len(frames) // len(level.planes)
        for number, plane in enumerate(level.planes):
            part = frames[number * each : (number + 1) * each]
            assert np.array_equal(readers.mosaic(part, level.width, level.length), plane.rgb)


def test_header_says_what_it_is(case):
    slide, result = case
    dataset = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)
    is_grey = slide.levels[0].rgb.ndim == 2
    assert dataset.file_meta.TransferSyntaxUID == SYNTAX
    assert dataset.PhotometricInterpretation == ("MONOCHROME2" if is_grey else "RGB")
    assert dataset.LossyImageCompression == "00"
    assert "LossyImageCompressionMethod" not in dataset
    assert any(SYNTAX in note for note in result.notes)


def test_certificate_says_that_frames_were_copied_and_how(case):
    slide, result = case
    certificate = json.loads(result.certificate_path.read_text())
    assert certificate["policy"]["options"]["deflated_frames"] is True
    assert certificate["checks"]["bar_codes"] == "passed"
    for level, instance in zip(slide.levels, certificate["instances"], strict=True):
        assert instance["transfer_syntax_uid"] == SYNTAX
        assert instance["frames_copied"] == len(tiles_of(level)) - tiles_of(level).count(b"")
        assert instance["frames_pixel"] == 0


def test_later_check_is_clean_and_compares_each_frame(case):
    slide, result = case
    report = coverslip.verify(result.study_path.parent, slide.path)
    assert (report.found, report.unchecked) == ((), ())
    assert report.frames_equal == sum(i.frames.copied for i in result.instances)


def test_page_about_the_output_shows_the_level(case):
    slide, result = case
    level, instance = slide.levels[-1], result.instances[len(slide.levels) - 1]
    if len(level.planes) > 1:
        pytest.skip("another focal plane is shown")
    shown = pixels_of(instance.path.read_bytes(), 1 << 20)
    truth = level.rgb.reshape(*level.rgb.shape[:2], -1)
    assert np.array_equal(shown, truth if truth.itemsize == 1 else truth >> 8)


def test_later_check_finds_what_stands_behind_a_stream(tmp_path):
    slide = build_generic(tmp_path, codec="deflate", levels=1)
    result = coverslip.convert(slide.path, tmp_path / "out", deflated_frames=True)
    path = result.instances[0].path
    data = bytearray(path.read_bytes())
    frame = next(f for f in readers.frames_of(path) if zlib.decompressobj(-15).decompress(f))
    at = data.index(frame)
    broken = zlib.compressobj(9, zlib.DEFLATED, -15)
    other = broken.compress(bytes(128 * 128 * 3)) + broken.flush()
    data[at : at + len(other)] = other
    path.write_bytes(data)
    found = [str(survivor) for survivor in coverslip.verify(result.study_path).found]
    assert any("bytes behind the stream of a frame" in text for text in found)


@pytest.mark.parametrize(
    ("storage", "why"),
    [
        ({"predictor": 2}, "they have a predictor"),
        ({"planar": True}, "each colour has tiles of its own"),
        ({"rows_per_strip": 40}, "they are strips"),
        ({"grey": True, "white_is_zero": True}, "white is zero"),
        ({"palette": True}, "their samples are not RGB but stand for it"),
        ({"ycbcr": (2, 2)}, "their samples are not RGB but stand for it"),
        ({"grey": True, "bits": 16, "big_endian": True}, "their samples are big-endian"),
    ],
    ids=lambda value: str(value),
)
def test_tiles_that_are_no_frames_are_decoded_if_allowed_and_a_note_says_why(
    storage, why, tmp_path
):
    slide = build_generic(tmp_path, codec="deflate", levels=1, **storage)
    with pytest.raises(coverslip.UnsupportedSlideError, match=why):
        coverslip.convert(slide.path, tmp_path / "out", deflated_frames=True)
    result = coverslip.convert(slide.path, tmp_path / "out", deflated_frames=True, allow_pixel=True)
    assert result.frames.copied == 0
    assert result.frames.pixel > 0
    assert any(f"not copied: {why}" in note for note in result.notes)


def test_without_the_option_the_hint_names_it_and_other_codecs_do_not_know_of_it(tmp_path):
    slide = build_generic(tmp_path, codec="deflate", levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError) as raised:
        coverslip.convert(slide.path, tmp_path / "out")
    assert "--allow-pixel" in raised.value.hint
    assert "--deflated-frames" in raised.value.hint
    lzw = build_generic(tmp_path, codec="lzw", levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError) as raised:
        coverslip.convert(lzw.path, tmp_path / "out", deflated_frames=True)
    assert "--deflated-frames" not in raised.value.hint


DAMAGES = {
    "cut off": lambda tile: tile[: len(tile) // 2],
    "checksum": lambda tile: tile[:-1] + bytes([tile[-1] ^ 1]),
    "not zlib": lambda tile: b"\x79" + tile[1:],
    "dictionary": lambda tile: bytes([0x78, 0xBB]) + tile[2:],
    "fewer samples": lambda tile: zlib.compress(zlib.decompress(tile)[:-1]),
    "more samples": lambda tile: zlib.compress(zlib.decompress(tile) + b"\0"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_stream_is_refused_and_nothing_is_written(damage, tmp_path, monkeypatch):
    slide = build_generic(tmp_path, codec="deflate", size=(100, 90), levels=1)
    tile, data = slide.levels[0].pieces[0], slide.path.read_bytes()
    bad = DAMAGES[damage](tile)
    assert len(bad) <= len(tile) + 16
    room = bad[: len(tile)].ljust(len(tile), b"\0") if damage != "more samples" else None
    if room is None:
        flat = zlib.compress(bytes(128 * 128 * 3 + 1), 9)
        room = flat.ljust(len(tile), b"\0")
    slide.path.write_bytes(data.replace(tile, room))
    with pytest.raises(coverslip.CoverslipError) as raised:
        coverslip.convert(
            slide.path, tmp_path / "out", deflated_frames=True, pixels_attested="a test"
        )
    assert isinstance(raised.value, coverslip.SourceError)
    assert not list((tmp_path / "out").glob("*"))


def test_bytes_behind_the_stream_of_a_tile_are_left_behind(tmp_path):
    slide = build_generic(tmp_path, codec="deflate", size=(100, 90), levels=1)
    tile, data = slide.levels[0].pieces[0], slide.path.read_bytes()
    pixels = zlib.decompress(tile)
    smaller = zlib.compress(bytes(len(pixels)), 9)
    padded = (smaller + b"Muster, Erika").ljust(len(tile), b"x")
    slide.path.write_bytes(data.replace(tile, padded))
    result = coverslip.convert(slide.path, tmp_path / "out", deflated_frames=True)
    assert b"Erika" not in result.instances[0].path.read_bytes()
    assert np.array_equal(readers.by_zlib(result.instances[0].path)[0], np.zeros((128, 128, 3)))
