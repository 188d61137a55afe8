"""JPEG and JPEG 2000 whose tiles cannot be frames: refused with the option that decodes them."""

import io
import struct
import subprocess

import numpy as np
import pydicom
import pytest
import tifffile
from openjpeg import decode as by_pylibjpeg
from PIL import Image

import coverslip
from tests.formats.test_raster import assert_pixels_are_those_of, converted
from tests.interop import readers
from tests.synth import build_generic, build_svs, raster

SMALL = {"size": (200, 150), "tile": 64, "levels": 1}
SEEN = {"pixels_attested": "a person"}
"""Of a slide that cannot be searched."""
CODED = {
    "lossless JPEG": {"codec": "ljpeg"},
    "lossless grey JPEG": {"codec": "ljpeg", "grey": True},
    "lossless JPEG of 16 bits": {"codec": "ljpeg", "grey": True, "bits": 16},
    "JPEG of 12 bits": {"codec": "jpeg12", "grey": True, "bits": 12},
    "JPEG of 12 bits in strips": {
        "codec": "jpeg12", "grey": True, "bits": 12, "rows_per_strip": 40,
    },
    "JPEG 2000 of 12 bits": {"codec": "j2k12", "grey": True, "bits": 12},
    "grey JPEG where white is zero": {"codec": "jpeg", "grey": True, "white_is_zero": True},
    "JPEG-LS": {"codec": "jpegls"},
    "LERC": {"codec": "lerc"},
    "near-lossless JPEG-LS": {"codec": "jpegls_near"},
    "near-lossless grey JPEG-LS": {"codec": "jpegls_near", "grey": True},
    "clipped JPEG 2000": {"codec": "j2k_53", "clipped": True},
    "clipped JPEG 2000 9/7": {"codec": "j2k_33005", "clipped": True, "missing": ((0, 3),)},
    "clipped JP2": {"codec": "j2k_rgb", "clipped": True, "boxed": True},
    "clipped grey JPEG 2000": {"codec": "j2k_grey", "clipped": True},
}  # fmt: skip


@pytest.fixture(scope="module", params=CODED)
def slide(request, tmp_path_factory):
    return build_generic(tmp_path_factory.mktemp("coded"), **CODED[request.param], **SMALL)


@pytest.fixture(scope="module")
def made(slide, tmp_path_factory):
    """Path and certified record of the only instance; nobody changes either."""
    return converted(slide, tmp_path_factory.mktemp("made"))


def test_it_is_refused_with_the_option_that_decodes_it(slide, tmp_path):
    (route,) = coverslip.open(slide.path).routes()
    assert route.kind == "refuse"
    assert route.error is not None
    assert "--allow-pixel" in route.error.hint
    with pytest.raises(coverslip.UnsupportedSlideError):
        coverslip.convert(slide.path, tmp_path / "out")


def test_its_pixels_are_kept(slide, made):
    path, certified = made
    assert_pixels_are_those_of(slide, path)
    gone = slide.levels[0].entropy.count(None)
    assert certified["frames_pixel"] == len(slide.levels[0].entropy) - gone
    assert certified["frames_blank"] == gone
    assert certified["frames_copied"] == 0


def test_gdcm_shows_the_same(slide, made):
    path, _ = made
    (level,) = slide.levels
    frames = readers.by_pydicom(path, "gdcm")
    assert np.array_equal(readers.mosaic(frames, level.width, level.length), level.rgb)


@pytest.mark.tools
def test_validator_is_silent(made, tool):
    path, _ = made
    assert readers.dciodvfy(path, tool("dciodvfy")) == []


@pytest.mark.parametrize(
    ("storage", "method"),
    [
        ({"codec": "ljpeg"}, None),
        ({"codec": "jpegls"}, None),
        ({"codec": "lerc"}, None),
        ({"codec": "lerc_lossy"}, "ESRI_LERC"),
        ({"codec": "lerc_lossy", "bits": 16, "grey": True}, "ESRI_LERC"),
        ({"codec": "jpegls_near"}, "ISO_14495_1"),
        ({"codec": "jpeg12", "grey": True, "bits": 12}, "ISO_10918_1"),
        ({"codec": "jpeg", "grey": True, "white_is_zero": True}, "ISO_10918_1"),
        ({"codec": "j2k_33005", "clipped": True}, "ISO_15444_1"),
    ],
    ids=str,
)
def test_loss_is_that_of_the_slide(storage, method, tmp_path):
    slide = build_generic(tmp_path, **storage, **SMALL)
    path, _ = converted(slide, tmp_path)
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    assert dataset.LossyImageCompression == ("00" if method is None else "01")
    assert dataset.get("LossyImageCompressionMethod") == method
    if method is not None:
        pieces = slide.levels[0].pieces
        bytes_a_pixel = dataset.SamplesPerPixel * dataset.BitsAllocated // 8
        ratio = 64 * 64 * bytes_a_pixel * len(pieces) / sum(map(len, pieces))
        assert float(dataset.LossyImageCompressionRatio) == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize(("codec", "lossy"), [("lerc", "lerc_lossy"), ("jpegls", "jpegls_near")])
def test_tile_that_lost_something_among_others_that_did_not_is_not_declared_lossless(
    codec, lossy, tmp_path
):
    shape = {"size": (1000, 900), "tile": 64, "levels": 1}
    slide = build_generic(tmp_path, codec=codec, **shape)
    (level,), encode = slide.levels, (raster.PICTURES | raster.CODED)[lossy][1]
    near = [encode(np.full((64, 64, 3), 9, np.uint8) + np.arange(64, dtype=np.uint8)[:, None], 5)]
    number = next(n for n, piece in enumerate(level.pieces) if n % 20 and len(piece) > len(near[0]))
    data = slide.path.read_bytes()
    piece = level.pieces[number]
    slide.path.write_bytes(data.replace(piece, near[0].ljust(len(piece), b"\0")))
    with pytest.raises(coverslip.CoverslipError, match=f"tile {number}"):
        coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True, **SEEN)


@pytest.mark.parametrize("codec", ["jpeg12", "j2k12"])
def test_twelve_bits_stand_in_sixteen_as_they_are(codec, tmp_path):
    slide = build_generic(tmp_path, codec=codec, grey=True, bits=12, missing=((0, 2),), **SMALL)
    result = coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True)
    assert any("samples of 12 bits stand in 16" in note for note in result.notes)
    dataset = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)
    assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (16, 16, 15)
    frames = readers.by_pydicom(result.instances[0].path, "pylibjpeg")
    assert frames.max() == 4095
    assert (frames[2] == 4095).all()


def test_clipped_tiles_are_those_that_other_decoders_see(tmp_path):
    slide = build_generic(tmp_path, codec="j2k_33005", clipped=True, **SMALL)
    path, _ = converted(slide, tmp_path)
    frames = readers.by_pydicom(path, "gdcm")
    for frame, piece in zip(frames, slide.levels[0].pieces, strict=True):
        theirs = by_pylibjpeg(piece)
        assert np.array_equal(frame[: theirs.shape[0], : theirs.shape[1]], theirs)


@pytest.mark.tools
def test_djpeg_sees_the_same_lossless_tiles(tool, tmp_path):
    slide = build_generic(tmp_path, codec="ljpeg", **SMALL)
    path, _ = converted(slide, tmp_path)
    for frame, piece in zip(
        readers.by_pydicom(path, "pylibjpeg"), slide.levels[0].pieces, strict=True
    ):
        command = [tool("djpeg"), "-pnm"]
        done = subprocess.run(command, input=piece, capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip("this djpeg knows no lossless JPEG")
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(done.stdout))), frame)


@pytest.mark.parametrize("rows", [40, 150])
def test_jpeg2000_in_strips_is_decoded(rows, tmp_path):
    slide = build_generic(tmp_path, codec="j2k12", grey=True, bits=12, rows_per_strip=rows, **SMALL)
    path, _ = converted(slide, tmp_path)
    assert_pixels_are_those_of(slide, path)


def test_tile_that_is_cut_off_is_named(tmp_path):
    for codec in ("ljpeg", "jpegls"):
        slide = build_generic(tmp_path, codec=codec, **SMALL)
        data, piece = slide.path.read_bytes(), slide.levels[0].pieces[1]
        slide.path.write_bytes(data.replace(piece[-200:], bytes(200)))
        with pytest.raises(coverslip.SourceError, match="tile 1 does not hold"):
            coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True, **SEEN)


def test_bytes_behind_the_end_of_a_picture_are_no_reason_to_refuse_it(tmp_path):
    built = build_generic(tmp_path, codec="jpeg", grey=True, white_is_zero=True, **SMALL)
    with tifffile.TiffFile(built.path) as tiff:
        page = tiff.pages[0]
        offset, count = page.dataoffsets[1], page.databytecounts[1]
        at = {tag: page.tags[tag].valueoffset for tag in (324, 325)}
    data = bytearray(built.path.read_bytes())
    tile = data[offset : offset + count] + b"behind the end of it"
    struct.pack_into("<I", data, at[324] + 4, len(data))
    struct.pack_into("<I", data, at[325] + 4, len(tile))
    built.path.write_bytes(data + tile)
    path, _ = converted(built, tmp_path)
    assert b"behind the end" not in path.read_bytes()
    assert coverslip.verify(tmp_path / "out", built.path).is_clean


def test_one_lossy_tile_among_lossless_ones_is_not_taken_for_lossless(tmp_path):
    slide = build_generic(tmp_path, codec="ljpeg", size=(1000, 900), tile=64, levels=1)
    data, piece = slide.path.read_bytes(), slide.levels[0].pieces[1]
    header = piece.index(b"\xff\xc3")
    slide.path.write_bytes(data.replace(piece, piece[:header] + b"\xff\xc1" + piece[header + 2 :]))
    with pytest.raises(coverslip.SourceError, match="tile 1 does not hold lossless JPEG"):
        coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True, **SEEN)


def test_question_of_colours_is_not_answered_by_decoding(tmp_path):
    slide = build_generic(tmp_path, codec="jpeg_ycbcr444", tag_262=2, style={"markers": "jfif"})
    routes = coverslip.open(slide.path).routes(allow_pixel=True)
    assert {str(route.kind) for route in routes} <= {"copy", "refuse"}
    assert all("--colour" in route.error.hint for route in routes if route.error is not None)


J2K_YCC = [
    ("j2k_33003_444", None, "YBR_ICT", "copy"),
    ("j2k_33003_444", "mct", "YBR_ICT", "copy"),
    ("j2k_33003_444", "copy", "YBR_FULL_422", "copy"),
    ("j2k_33003_444", "pixel", "YBR_RCT", "pixel"),
    ("j2k_33003_422", None, "YBR_FULL_422", "copy"),
    ("j2k_33003_422", "copy", "YBR_FULL_422", "copy"),
    ("j2k_33003_422", "pixel", "YBR_RCT", "pixel"),
    ("j2k_33005", "pixel", "YBR_ICT", "copy"),
]


@pytest.mark.parametrize(("codec", "choice", "photometric", "kind"), J2K_YCC)
def test_operator_chooses_what_becomes_of_ycbcr(codec, choice, photometric, kind, tmp_path):
    slide = build_svs(tmp_path, codec=codec, levels=2, missing=((0, 3),))
    result = coverslip.convert(slide.path, tmp_path / "out", j2k_ycc=choice)
    assert result.certificate["policy"]["options"]["j2k_ycc"] == choice
    for instance, level in zip(result.instances, slide.levels, strict=True):
        dataset = pydicom.dcmread(instance.path, stop_before_pixels=True)
        assert dataset.PhotometricInterpretation == photometric
        assert bool(instance.frames.pixel) == (kind == "pixel")
        if photometric != "YBR_FULL_422":
            frames = readers.by_pydicom(instance.path, "gdcm")
            shown = readers.mosaic(frames, level.width, level.length)
            assert np.abs(shown.astype(int) - level.rgb).mean() < 2.5


def test_halved_chroma_has_no_transformation_to_switch_on(tmp_path):
    slide = build_svs(tmp_path, codec="j2k_33003_422", levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError, match="4:2:2") as raised:
        coverslip.convert(slide.path, tmp_path / "out", j2k_ycc="mct")
    assert "--j2k-ycc pixel" in raised.value.hint


def test_ycbcr_that_is_copied_in_full_keeps_its_planes(tmp_path):
    slide = build_svs(tmp_path, codec="j2k_33003_444", levels=1)
    result = coverslip.convert(slide.path, tmp_path / "out", j2k_ycc="copy")
    frames = readers.frames_of(result.instances[0].path)
    for frame, piece in zip(frames, slide.levels[0].pieces, strict=True):
        assert np.array_equal(by_pylibjpeg(frame), by_pylibjpeg(piece))


def test_lowest_level_is_searched_though_it_is_decoded(tmp_path):
    slide = build_generic(tmp_path, codec="j2k_53", clipped=True, **SMALL)
    result = coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True)
    assert result.certificate["checks"]["bar_codes"] == "passed"
