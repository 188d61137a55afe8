import pytest

import coverslip
from coverslip.formats import FORMATS
from tests.conftest import SLIDES
from tests.formats.test_generic import tags
from tests.synth import tiff
from tests.synth.tiff import Directory


def test_picture_of_a_vsi_is_refused_with_where_its_tiles_are(tmp_path):
    path = tmp_path / "slide.vsi"
    striped = {tag: value for tag, value in tags(100, 100).items() if tag not in (322, 323)}
    olympus = striped | {33560: tiff.long(1)}
    tiff.write_tiff(path, [Directory(olympus, [b"x"], tiled=False)])
    with pytest.raises(coverslip.UnsupportedSlideError, match="Olympus VSI") as raised:
        coverslip.open(path)
    assert "ETS" in raised.value.hint


@pytest.mark.parametrize(
    ("compression", "name"),
    [(6, "old-style JPEG"), (34892, "lossy DNG JPEG"), (4711, "an unknown codec")],
)
def test_codec_that_no_frame_can_have_is_refused_by_name(compression, name, tmp_path):
    path = tmp_path / "slide.tif"
    tiff.write_tiff(path, [Directory(tags(100, 100, compression=tiff.short(compression)))])
    (route,) = coverslip.open(path).routes()
    assert (route.kind, route.codec) == ("refuse", f"compression {compression}")
    assert f"{name} tiles (compression {compression})" in route.reason
    assert "tiffcp" in route.error.hint
    with pytest.raises(coverslip.UnsupportedSlideError, match=rf"{name} tiles .*{compression}"):
        coverslip.convert(path, tmp_path / "out", mpp_um=0.5)


@pytest.mark.parametrize(
    ("compression", "name"),
    [(1, "uncompressed"), (5, "LZW"), (8, "Deflate"), (32946, "Deflate"), (32773, "PackBits"),
     (34925, "LZMA"), (34926, "ZSTD"), (50000, "ZSTD"), (34927, "WebP"), (50001, "WebP"),
     (50002, "JPEG XL"), (52546, "JPEG XL"), (34934, "JPEG XR"), (22610, "JPEG XR")],
)  # fmt: skip
def test_codec_that_must_be_decoded_is_refused_with_the_option_that_allows_it(
    compression, name, tmp_path
):
    path = tmp_path / "slide.tif"
    described = tags(100, 100, compression=tiff.short(compression)) | {262: tiff.short(2)}
    tiff.write_tiff(path, [Directory(described, [b"x"] * 4)])
    (route,) = coverslip.open(path).routes()
    assert route.kind == "refuse"
    assert route.codec == name
    assert f"{name} tiles (compression {compression})" in route.reason
    assert "--allow-pixel" in route.error.hint
    (allowed,) = coverslip.open(path).routes(allow_pixel=True)
    assert allowed.kind == "pixel"


def test_formats_are_asked_from_the_most_specific_to_the_generic_one():
    names = [known.name for known in FORMATS]
    order = [
        *("Hamamatsu NDPI", "Philips TIFF", "Leica SCN", "Ventana", "OME-TIFF", "QPTIFF"),
        *("Aperio SVS", "Olympus VSI", "Argos", "Indica HALO", "Trestle", "Huron", "Motic"),
        *("Mikroscan", "3DHISTECH TIFF"),
    ]
    assert names == order


def test_level_that_is_refused_leaves_the_others_to_be_described(tmp_path):
    path = tmp_path / "slide.tif"
    turned = tags(50, 50) | {274: tiff.short(3)}
    chain = [Directory(tags(100, 100), [b"x"] * 4), Directory(turned, [b"y"])]
    tiff.write_tiff(path, chain)
    slide = coverslip.open(path)
    assert [level.image_width for level in slide.levels] == [100, 50]
    assert "Orientation" in slide.routes()[1].reason
    assert "Orientation" not in slide.routes()[0].reason


def test_level_that_is_refused_and_claims_too_many_tiles_is_beyond_a_limit(tmp_path):
    path = tmp_path / "slide.tif"
    huge = tags(1 << 31, 1 << 31, tile=tiff.short(16), compression=tiff.short(6))
    tiff.write_tiff(path, [Directory(huge, [b"x"] * 4)])
    with pytest.raises(coverslip.LimitError, match="limit tiles"):
        coverslip.open(path)


@pytest.mark.slides
def test_real_slide_of_old_style_jpeg_is_described_and_refused():
    slide = coverslip.open(SLIDES / "generic-tiff" / "ojpeg-tile.tif")
    for route in slide.routes(allow_pixel=True):
        assert "old-style JPEG" in route.reason
        assert route.error.hint is not None


@pytest.mark.slides
def test_real_vsi_is_refused_by_name():
    with pytest.raises(coverslip.UnsupportedSlideError, match="Olympus VSI"):
        coverslip.open(SLIDES / "vsi" / "vsi-ets-test-jpg2k.vsi")
