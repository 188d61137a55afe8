import numpy as np
import openslide
import pytest
import zxingcpp

import coverslip
from coverslip.sample import write_sample
from tests.synth.texture import halved


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("sample") / "sample.svs", byte_count=3_000_000)


def test_openslide_takes_the_sample_for_an_aperio_slide(report):
    with openslide.OpenSlide(report.path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.level_count == report.level_count == 2
        assert slide.dimensions == (report.width, report.length)
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.2525)
        assert set(slide.associated_images) == {"label", "macro", "thumbnail"}


def test_bar_code_of_label_and_macro_can_be_read(report):
    with openslide.OpenSlide(report.path) as slide:
        for name in ("label", "macro"):
            picture = np.asarray(slide.associated_images[name].convert("RGB"))
            (code,) = zxingcpp.read_barcodes(picture)
            assert code.text in report.identifiers


def test_every_identifier_but_those_on_pictures_is_in_the_bytes(report):
    data = report.path.read_bytes()
    for identifier in report.identifiers:
        assert identifier.encode() in data
        assert len(identifier) >= 5


def test_levels_show_the_same_picture(report):
    with openslide.OpenSlide(report.path) as slide:
        region = np.asarray(slide.read_region((1024, 1024), 0, (1024, 1024)).convert("RGB"))
        reduced = np.asarray(slide.read_region((1024, 1024), 1, (256, 256)).convert("RGB"))
    difference = np.abs(halved(region, 4).astype(int) - reduced.astype(int))
    assert difference.mean() < 4


def test_thumbnail_shows_what_the_levels_show(report, tmp_path):
    result = coverslip.convert(
        report.path, tmp_path / "out", profile="research", thumbnail="keep", verify=False
    )
    (thumbnail,) = [one for one in result.instances if one.level is None]
    assert b"THUMBNAIL" in thumbnail.path.read_bytes()


def test_picture_has_stained_tissue_and_glass(report):
    with openslide.OpenSlide(report.path) as slide:
        lowest = np.asarray(
            slide.read_region((0, 0), 1, slide.level_dimensions[1]).convert("RGB")
        ).astype(int)
    glass = (lowest.min(axis=2) > 230).mean()
    pink = (lowest[..., 0] - lowest[..., 1] > 25).mean()
    assert 0.3 < glass < 0.75
    assert pink > 0.2


@pytest.mark.parametrize("byte_count", [1_500_000, 4_000_000])
@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000"])
def test_size_is_about_what_was_asked_for(byte_count, compression, tmp_path):
    path = tmp_path / "sample.svs"
    report = write_sample(path, byte_count=byte_count, compression=compression)
    assert report.byte_count == path.stat().st_size
    assert report.byte_count == pytest.approx(byte_count, rel=0.25)


def test_same_seed_gives_the_same_file_and_no_seed_another(tmp_path):
    files = [tmp_path / f"{number}.svs" for number in range(4)]
    reports = [
        write_sample(path, byte_count=500_000, seed=seed)
        for path, seed in zip(files, [3, 3, None, None], strict=True)
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not set(reports[2].identifiers) & set(reports[3].identifiers)


def test_existing_file_is_left_alone(tmp_path):
    path = tmp_path / "sample.svs"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        write_sample(path)
    assert path.read_text() == "mine"
