"""JPEG tiles that become frames by their coefficients: what the laws of every format do not ask."""

import subprocess

import pytest

import coverslip
from tests.interop import readers
from tests.synth import build_generic, jpeg, tiff

PROCESSES = {
    "progressive": ["-progressive"],
    "arithmetic": ["-arithmetic"],
    "arithmetic, progressive": ["-arithmetic", "-progressive"],
    "with restart intervals": ["-progressive", "-restart", "3B"],
    "arithmetic with restart intervals": ["-arithmetic", "-restart", "1"],
}


def build_transcoded(folder, program, options, **more):
    """Return a slide whose tiles were written anew by jpegtran, and their streams."""
    folder.mkdir()
    slide = build_generic(folder, 7, levels=1, style={"tables": "own"}, **more)
    streams = []
    for piece in slide.levels[0].pieces:
        command = [program, "-copy", "none", *options]
        streams.append(subprocess.run(command, input=piece, capture_output=True, check=True).stdout)
    tags = {
        254: tiff.long(0),
        256: tiff.long(slide.levels[0].width),
        257: tiff.long(slide.levels[0].length),
        258: tiff.short(8, 8, 8),
        259: tiff.short(7),
        262: tiff.short(6),
        277: tiff.short(3),
        282: tiff.rational(20000, 1),
        283: tiff.rational(20000, 1),
        296: tiff.short(3),
        322: tiff.short(128),
        323: tiff.short(128),
    }
    path = folder / "transcoded.tif"
    tiff.write_tiff(path, [tiff.Directory(tags, pieces=streams)])
    return path, streams


@pytest.mark.tools
@pytest.mark.parametrize("codec", ["jpeg_ycbcr420", "jpeg_ycbcr444"])
@pytest.mark.parametrize("process", PROCESSES)
def test_tiles_of_any_process_keep_their_coefficients(process, codec, tool, tmp_path):
    path, streams = build_transcoded(
        tmp_path / "slide", tool("jpegtran"), PROCESSES[process], codec=codec, size=(260, 150)
    )
    (route,) = coverslip.open(path).routes()
    assert process.split(",")[0].split(" ")[0] in route.reason or "progressive" in route.reason
    result = coverslip.convert(path, tmp_path / "out")
    assert result.frames.retiled == len(streams)
    frames = readers.frames_of(result.instances[0].path)
    for frame, stream in zip(frames, streams, strict=True):
        whole = (0, 0, 128, 128)
        theirs = readers.by_jpegtran(stream, whole, tool("jpegtran"))
        assert readers.by_jpegtran(frame, whole, tool("jpegtran")) == theirs


def test_only_tiles_that_are_cut_are_coded_anew(tmp_path):
    slide = build_generic(tmp_path, clipped=True, levels=1, size=(610, 450))
    result = coverslip.convert(slide.path, tmp_path / "out")
    assert (result.frames.copied, result.frames.retiled) == (12, 8)
    frames = readers.frames_of(result.instances[0].path)
    for number in (0, 1, 2, 3, 5, 6, 7, 8):
        assert jpeg.split(frames[number])[1] == slide.levels[0].entropy[number]


def test_a_tile_that_is_cut_too_short_is_refused(tmp_path):
    slide = build_generic(tmp_path, levels=1, style={"sof_size": (100, 100)})
    with pytest.raises(coverslip.UnsupportedSlideError, match="100x100"):
        coverslip.convert(slide.path, tmp_path / "out")


@pytest.mark.tools
def test_a_rewritten_slide_passes_the_later_check_and_a_changed_one_does_not(tool, tmp_path):
    options = {"size": (260, 150), "codec": "jpeg_ycbcr420"}
    program = tool("jpegtran")
    path, _ = build_transcoded(tmp_path / "slide", program, ["-progressive"], **options)
    out = tmp_path / "out"
    result = coverslip.convert(path, out)
    assert coverslip.verify(out, source=path).is_clean
    written = result.instances[0].path
    data = bytearray(written.read_bytes())
    frame = readers.frames_of(written)[0]
    at = data.index(frame) + len(frame) // 2
    data[at] ^= 0x10
    written.write_bytes(data)
    assert not coverslip.verify(out, source=path).is_clean
