import numpy as np
import pytest
import tifffile

import coverslip
from coverslip.model import Role
from tests.conftest import SLIDES
from tests.formats.findings import check_every_text_is_found
from tests.interop import readers
from tests.synth import build_qptiff


def test_tifffile_finds_the_same_levels_and_colours(tmp_path):
    built = build_qptiff(tmp_path)
    slide = coverslip.open(built.path)
    with tifffile.TiffFile(built.path) as other:
        assert other.is_qpi
        (baseline,) = [series for series in other.series if series.name == "Baseline"]
        assert len(baseline.levels) == len(slide.levels) == 3
        for theirs, ours, truth in zip(baseline.levels, slide.levels, built.levels, strict=True):
            assert theirs.shape[:2] == (ours.image_length, ours.image_width)
            assert np.abs(theirs.asarray().astype(int) - truth.rgb).mean() < 2.5


def test_pictures_have_the_roles_that_their_xml_says(tmp_path):
    slide = coverslip.open(build_qptiff(tmp_path).path)
    assert [level.ifd for level in slide.levels] == [0, 2, 3]
    assert [(image.ifd, image.role) for image in slide.associated_images] == [
        (1, Role.THUMBNAIL),
        (4, Role.OVERVIEW),
        (5, Role.LABEL),
    ]
    assert slide.description.objective_power == 20
    assert slide.spacing.row_mm == pytest.approx(0.0005)
    assert slide.description.notes == ()


def test_picture_without_a_type_is_a_label_whatever_its_shape(tmp_path):
    slide = coverslip.open(build_qptiff(tmp_path, levels=2, unnamed=True).path)
    assert len(slide.levels) == 2
    assert slide.associated_images[-1].role == Role.LABEL
    assert slide.description.notes == ("IFD 5 is no level of the pyramid: not written",)


def test_level_in_strips_is_a_level(tmp_path):
    built = build_qptiff(tmp_path, levels=2, level_in_strips=True)
    slide = coverslip.open(built.path)
    assert [level.picture is not None for level in slide.levels] == [False, False, True]


def test_tifffile_finds_the_same_bands(tmp_path):
    built = build_qptiff(tmp_path, levels=2, bands=3, codec="jpeg_grey")
    slide = coverslip.open(built.path)
    assert [level.optical_path for level in slide.levels] == [0, 0, 1, 1, 2, 2]
    assert all(path.is_fluorescence for path in slide.description.optical_paths)
    with tifffile.TiffFile(built.path) as other:
        (baseline,) = [series for series in other.series if series.name == "Baseline"]
        assert baseline.axes == "CYX"
        for number, level in enumerate(baseline.levels):
            for band, plane in enumerate(level.asarray()):
                truth = built.levels[2 * band + number].rgb
                assert np.abs(plane.astype(int) - truth).mean() < 2


def test_several_pictures_in_colour_are_refused(tmp_path):
    built = build_qptiff(tmp_path, levels=1, bands=3)
    with pytest.raises(coverslip.UnsupportedSlideError, match="several pictures"):
        coverslip.open(built.path)


@pytest.mark.parametrize("kind", ["QWXZVKJPH", ""])
def test_file_without_a_base_is_refused_without_quoting_it(kind, tmp_path):
    built = build_qptiff(tmp_path, levels=1, types={"FullResolution": kind})
    with pytest.raises(coverslip.UnsupportedSlideError, match="full resolution") as raised:
        coverslip.open(built.path)
    assert "QWXZVKJPH" not in str(raised.value)


def test_description_that_cannot_be_parsed_makes_a_label_and_a_finding(tmp_path):
    built = build_qptiff(tmp_path, levels=2)
    data = built.path.read_bytes()
    at = data.index(b"</PerkinElmer", data.index(b"<ImageType>Label<"))
    built.path.write_bytes(data[:at] + b"<<" + data[at + 2 :])
    slide = coverslip.open(built.path)
    assert slide.associated_images[-1].role == Role.LABEL
    items = slide.description.metadata.items
    assert [i.key for i in items if i.place == "IFD 4 ImageDescription"] == ["ImageDescription"]


def test_every_text_is_found_and_no_unknown_word_is_a_key(tmp_path):
    check_every_text_is_found(
        build_qptiff(tmp_path),
        ("SlideID", "Barcode", "ComputerName", "OperatorName", "Identifier"),
        plain=("ImageType", "Objective"),
    )


@pytest.mark.slides
def test_bands_of_a_real_slide_become_instances(tmp_path):
    path = SLIDES / "qptiff/small_vectra.qptiff"
    result = coverslip.convert(path, tmp_path / "out", allow_pixel=True)
    with tifffile.TiffFile(path) as other:
        truths = [page.asarray() for page in other.pages[:3]]
    for instance, truth in zip(result.instances, truths, strict=True):
        frames = readers.by_pydicom(instance.path, "pylibjpeg")
        assert np.array_equal(readers.mosaic(frames, *truth.shape[::-1]), truth)
