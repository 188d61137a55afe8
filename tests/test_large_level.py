"""An only level of many pixels is reduced to be searched, in no more memory than a small one."""

import time
import tracemalloc

import numpy as np
import pytest
import tifffile
import zxingcpp

import coverslip
from coverslip import assembly, luminance
from coverslip.luminance import luminance_of
from coverslip.verification import header, pictures
from coverslip.verification.wholes import Whole
from tests.synth import build_svs, jpeg, tiff
from tests.synth.texture import tissue

_TILE = 1024
_PIXELS = 4 << 20


def shared(path, across, down):
    """Write a level whose tiles all have the same bytes, so that it takes next to nothing."""
    style = jpeg.Style(samples="ycbcr420", ids=(1, 2, 3), tables="own", quality=30)
    tile = jpeg.encode(tissue(_TILE, _TILE, 3), style).data
    count = across * down
    tags = {
        256: tiff.long(across * _TILE),
        257: tiff.long(down * _TILE),
        258: tiff.short(8, 8, 8),
        259: tiff.short(7),
        262: tiff.short(6),
        277: tiff.short(3),
        282: tiff.rational(40000, 1),
        283: tiff.rational(40000, 1),
        296: tiff.short(3),
        322: tiff.short(_TILE),
        323: tiff.short(_TILE),
        324: tiff.long(*[8] * count),
        325: tiff.long(*[len(tile)] * count),
    }
    writer = tiff.Writer(big_endian=False, bigtiff=False, gap=b"")
    writer.out += tile
    writer.chain([tiff.Directory(tags)])
    path.write_bytes(bytes(writer.out))
    return path


def test_only_level_of_300_megapixels_is_reduced_searched_and_converted(tmp_path):
    path = shared(tmp_path / "x.tif", 18, 17)
    result = coverslip.convert(path, tmp_path / "out")
    assert result.certificate["checks"]["bar_codes"] == "passed"
    # 18 x 17 tiles of one megapixel are four of them when each side is a ninth.
    assert "by up to 9 times along each side" in result.certificate["residual_risk"]
    report = coverslip.verify(result.study_path, path)
    assert (report.found, report.exit_status) == ((), 0)


def test_memory_does_not_grow_with_the_level(tmp_path):
    peaks = []
    for across in (4, 16):
        slide = coverslip.open(shared(tmp_path / f"{across}.tif", across, 8))
        (level,), (route,) = slide.levels, slide.routes()
        tracemalloc.start()
        grey = luminance_of(slide.source, level, route.frame_format, _PIXELS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert grey.size <= _PIXELS
    assert peaks[1] < peaks[0] + (2 << 20)


def test_search_of_a_large_level_ends_when_the_conversion_does(tmp_path, monkeypatch):
    """Else an error would be told when all of the level was decoded."""

    def fails(*_, **__):
        raise coverslip.SourceError("as soon as it began")

    decoded = []
    monkeypatch.setattr(luminance._Means, "add", lambda *_: decoded.append(time.sleep(0.1)))
    monkeypatch.setattr(assembly, "write_instance", fails)
    with pytest.raises(coverslip.SourceError, match="as soon as it began"):
        coverslip.convert(shared(tmp_path / "x.tif", 18, 17), tmp_path / "out")
    assert len(decoded) < 18 * 17 // 2


@pytest.mark.parametrize("most", [200_000, 9_000, 50])
def test_later_check_reduces_a_level_as_if_it_had_all_of_it(most, tmp_path, monkeypatch):
    result = coverslip.convert(build_svs(tmp_path, levels=1).path, tmp_path / "out")
    path = result.instances[0].path
    level = Whole(((path, header.read(path)),))
    whole = pictures._mosaic(level)
    assert whole.shape == (640, 768)  # all tiles of 128, with what lies beyond the edges
    monkeypatch.setattr(pictures, "_SEARCHED_PIXELS", most)
    factor = int(np.ceil(np.sqrt(520 * 700 / most)))
    assert np.array_equal(pictures._mosaic(level), whole[::factor, ::factor])


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "zlib", None])
def test_code_beyond_the_edge_of_a_level_is_found_in_its_tiles(compression, tmp_path):
    """Readers do not show it, but the frames hold it."""
    picture = tissue(512, 384, 3).copy()
    code = zxingcpp.create_barcode("B22-66177", zxingcpp.BarcodeFormat.QRCode)
    drawn = np.asarray(code.to_image(scale=3))
    rows, columns = drawn.shape
    assert columns <= 512 - 390
    picture[100 : 100 + rows, 512 - columns :] = drawn[..., np.newaxis]
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, picture, tile=(128, 128), photometric="rgb", compression=compression,
                     resolution=(40000, 40000), resolutionunit=3, metadata=None)  # fmt: skip
    with tifffile.TiffFile(path, mode="r+b") as tiff_file:
        width = tiff_file.pages.first.tags[256]
        width.overwrite(390)
    options = {"allow_pixel": True}
    with pytest.raises(coverslip.QuarantineError, match="level 0 shows what looks like bar codes"):
        coverslip.convert(path, tmp_path / "out", **options)
    done = coverslip.convert(path, tmp_path / "out", pixels_attested="J. Doe", **options)
    # Whoever vouches does so in the certificate: without it nothing says that somebody did.
    for certificate in done.study_path.glob("*.json"):
        certificate.unlink()
    found = coverslip.verify(done.study_path).found
    assert any(survivor.place == "pixels" for survivor in found)
