"""The scanner's small picture of the scan, beside the levels."""

import json
import shutil

import numpy as np
import pydicom
import pytest
import tifffile
import wsidicom
import zxingcpp
from wsidicom.file import WsiDicomFileSource

import coverslip
from coverslip import thumbnails
from coverslip.deid.pixels import ocr
from coverslip.deid.policy import Policy
from coverslip.dicom.allowlist import Permit, enforce
from coverslip.errors import PolicyError, UnsupportedSlideError
from coverslip.model import Profile
from coverslip.verification import header
from tests.interop import readers
from tests.interop.validator import validator_findings
from tests.privacy.search import places_of, survivors
from tests.program import command as run
from tests.synth import build_qptiff, build_svs
from tests.synth.texture import halved, tissue
from tests.test_label import custody


def small(slide):
    return halved(slide.levels[0].rgb, 4)


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thumbnail")
    (folder / "without").mkdir()
    picture = small(build_svs(folder / "without"))
    return build_svs(folder, thumbnail=picture)


@pytest.fixture(scope="module")
def converted(slide):
    out = slide.path.parent / "out"
    return coverslip.convert(slide.path, out, profile="research", thumbnail="keep")


def thumbnail_of(result):
    """Return path and data set of the thumbnail, ``None`` if there is none."""
    for instance in result.instances:
        dataset = pydicom.dcmread(instance.path)
        if dataset.ImageType[2] == "THUMBNAIL":
            return instance.path, dataset
    return None


def test_thumbnail_is_the_slide_s_pixel_for_pixel(slide, converted):
    path, _ = thumbnail_of(converted)
    pixels = readers.by_pydicom(path, "pylibjpeg")[0]
    with tifffile.TiffFile(slide.path) as tiff:
        assert np.array_equal(pixels, tiff.pages[1].asarray())
    assert converted.instances[-1].frames.picture == 1


def test_instance_says_what_it_is(converted):
    _, thumbnail = thumbnail_of(converted)
    base = pydicom.dcmread(converted.instances[0].path, stop_before_pixels=True)
    assert list(thumbnail.ImageType) == ["DERIVED", "PRIMARY", "THUMBNAIL", "RESAMPLED"]
    assert thumbnail.NumberOfFrames == 1
    assert "DimensionOrganizationType" not in thumbnail
    assert len(thumbnail.PerFrameFunctionalGroupsSequence) == 1
    assert (thumbnail.SpecimenLabelInImage, thumbnail.BurnedInAnnotation) == ("NO", "NO")
    assert thumbnail.PyramidUID == base.PyramidUID
    assert thumbnail.FrameOfReferenceUID == base.FrameOfReferenceUID
    assert thumbnail.OpticalPathSequence[0].ICCProfile == base.OpticalPathSequence[0].ICCProfile
    spacings = [
        each.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing[0]
        for each in (thumbnail, base)
    ]
    assert spacings[0] == pytest.approx(4 * spacings[1], rel=1e-5)
    # Both begin at the same corner of the glass, half a pixel before the centre of the first.
    corners = [
        float(each.TotalPixelMatrixOriginSequence[0].YOffsetInSlideCoordinateSystem)
        + float(spacing) / 2
        for each, spacing in zip((thumbnail, base), spacings, strict=True)
    ]
    assert corners[0] == pytest.approx(corners[1], abs=1e-6)


@pytest.mark.tools
def test_validator_is_silent(slide, converted, tool):
    for instance in converted.instances:
        assert validator_findings(instance.path, slide, tool("dciodvfy")) == []


def test_openslide_shows_it_as_its_thumbnail(converted):
    openslide = pytest.importorskip("openslide")
    path, _ = thumbnail_of(converted)
    with openslide.OpenSlide(converted.instances[0].path) as opened:
        shown = np.asarray(opened.associated_images["thumbnail"].convert("RGB"))
        assert opened.level_count == 2
    assert np.abs(shown.astype(int) - readers.by_pydicom(path, "pylibjpeg")[0]).max() <= 1


def test_wsidicom_and_highdicom_still_show_the_levels(slide, converted):
    shown = readers.by_wsidicom(converted.instances[0].path.parent)
    for pixels, level in zip(shown, slide.levels, strict=True):
        assert np.abs(pixels.astype(int) - level.rgb).mean() < 2.5
    path, _ = thumbnail_of(converted)
    assert np.array_equal(
        readers.frames_by_highdicom(path)[0], readers.by_pydicom(path, "pylibjpeg")[0]
    )


def test_wsidicom_files_it_under_no_pyramid_since_its_first_pixel_has_another_centre(
    converted, tmp_path
):
    folder = converted.instances[0].path.parent
    path, thumbnail = thumbnail_of(converted)
    with WsiDicomFileSource.open(folder) as source:
        (found,) = source.thumbnail_instances
        assert found.size.to_tuple() == (thumbnail.Columns, thumbnail.Rows)
    assert thumbnails_by_wsidicom(folder) == 0
    # It looks for a pyramid whose first pixel has the very same centre: only one of that spacing.
    for each in folder.glob("*.dcm"):
        shutil.copy(each, tmp_path)
    base = pydicom.dcmread(converted.instances[0].path, stop_before_pixels=True)
    thumbnail.TotalPixelMatrixOriginSequence = base.TotalPixelMatrixOriginSequence
    thumbnail.save_as(tmp_path / path.name)
    assert thumbnails_by_wsidicom(tmp_path) == 1


def thumbnails_by_wsidicom(folder):
    with wsidicom.WsiDicom.open(folder) as opened:
        (pyramid,) = opened.pyramids
        return len(list(pyramid.thumbnails))


def test_independent_check_gives_no_alarm_and_no_identifier_survives(slide, converted):
    report = coverslip.verify(converted.study_path, slide.path)
    assert (report.found, report.unchecked, report.exit_status) == ((), (), 0)
    identifiers = [text for text in slide.identifiers if len(text) >= 5]
    assert survivors(identifiers, places_of(converted.study_path)) == set()


def test_certificate_says_that_it_went_out(converted):
    certificate = json.loads(converted.certificate_path.read_text())
    assert certificate["policy"]["options"]["thumbnail"] == "keep"
    kept = [
        row["count"]
        for row in certificate["findings"]["by_place_and_fate"]
        if (row["place"], row["fate"]) == ("THUMBNAIL", "kept")
    ]
    assert kept == [1]
    assert "its thumbnail is" in certificate["residual_risk"]
    # Without a search for text in a picture, what pixels show is not claimed to be clean.
    claims = "113101" in certificate["deidentification_codes"]
    assert claims == ocr.is_installed() or certificate["checks"]["pixel_text"] == "not_run"
    assert not converted.notes or not any("thumbnail" in note for note in converted.notes)


def test_somebody_who_vouches_lets_clean_pixels_be_claimed(slide, tmp_path):
    result = coverslip.convert(
        slide.path, tmp_path / "out", profile="research", thumbnail="keep", pixels_attested="me"
    )
    assert "113101" in result.certificate["deidentification_codes"]
    assert thumbnail_of(result) is not None


def test_care_keeps_it_too(slide, tmp_path, tool):
    policy = Policy(profile="care", thumbnail="keep")
    result = coverslip.convert(
        slide.path, tmp_path / "out", policy=policy, custody=custody(tmp_path)
    )
    roles = [pydicom.dcmread(i.path).ImageType[2] for i in result.instances]
    assert roles == ["VOLUME", "VOLUME", "LABEL", "OVERVIEW", "THUMBNAIL"]
    path, _ = thumbnail_of(result)
    assert validator_findings(path, slide, tool("dciodvfy")) == []
    assert coverslip.verify(tmp_path / "out", slide.path).found == ()


def test_public_has_none_and_nobody_has_it_by_default(slide, tmp_path):
    with pytest.raises(PolicyError, match="keeps no thumbnail"):
        Policy(thumbnail="keep")
    result = coverslip.convert(slide.path, tmp_path / "out", profile="research")
    assert thumbnail_of(result) is None


def test_neither_writer_nor_check_lets_one_out_for_anybody(converted, tmp_path):
    path, thumbnail = thumbnail_of(converted)
    with pytest.raises(PolicyError, match="0008,0008"):
        enforce(of_kind(thumbnail.ImageType), Permit(profile=Profile.PUBLIC))
    enforce(of_kind(thumbnail.ImageType), Permit(profile=Profile.RESEARCH))
    first, *rest = thumbnail.DeidentificationMethod
    assert header.read(path).problems == ()
    thumbnail.DeidentificationMethod = [first.replace("research", "public"), *rest]
    thumbnail.save_as(tmp_path / "public.dcm")
    found = header.read(tmp_path / "public.dcm").problems
    assert ("(0008,0008)", "a thumbnail of the slide's own, for anybody") in found


def of_kind(image_type):
    dataset = pydicom.Dataset()
    dataset.ImageType = list(image_type)
    return dataset


def with_label(slide):
    picture = small(slide)
    picture[10:50, 5:45] = 255
    picture[20:24, 8:40] = 0
    return picture


def another(slide):
    return np.array(tissue(*small(slide).shape[1::-1], seed=99))


@pytest.mark.parametrize("change", [with_label, another])
def test_picture_that_does_not_look_as_the_levels_do_is_dropped(change, slide, tmp_path):
    changed = build_svs(tmp_path, thumbnail=change(slide))
    result = coverslip.convert(changed.path, tmp_path / "out", profile="research", thumbnail="keep")
    assert thumbnail_of(result) is None
    assert "the thumbnail was dropped: it does not show what the levels show" in result.notes
    rows = result.certificate["findings"]["by_place_and_fate"]
    assert ("THUMBNAIL", "dropped") in [(row["place"], row["fate"]) for row in rows]


def test_format_without_a_rule_keeps_none(tmp_path):
    slide = build_qptiff(tmp_path)
    result = coverslip.convert(slide.path, tmp_path / "out", profile="research", thumbnail="keep")
    assert thumbnail_of(result) is None
    assert any("the thumbnail was dropped: no rule says" in note for note in result.notes)


def test_slide_without_a_thumbnail_says_so(tmp_path):
    slide = build_svs(tmp_path, gt450=True, codec="jpeg_ycbcr422", size=(512, 512))
    result = coverslip.convert(slide.path, tmp_path / "out", profile="research", thumbnail="keep")
    assert thumbnail_of(result) is None
    assert any("no thumbnail was written" in note for note in result.notes)


def test_bar_code_in_it_is_found():
    drawn = zxingcpp.create_barcode("B22-66177", zxingcpp.BarcodeFormat.QRCode)
    picture, code = np.full((300, 400, 3), 240, np.uint8), np.asarray(drawn.to_image(scale=4))
    picture[100 : 100 + code.shape[0], 100 : 100 + code.shape[1]] = code[..., np.newaxis]
    with pytest.raises(UnsupportedSlideError, match="bar codes"):
        thumbnails.require_nothing_written(picture, lambda _: 0)


def test_text_in_it_is_found_where_it_is_read(monkeypatch):
    monkeypatch.setattr(ocr, "is_installed", lambda: True)
    picture = np.full((300, 400, 3), 240, np.uint8)
    with pytest.raises(UnsupportedSlideError, match=r"pieces of text \(2\)"):
        thumbnails.require_nothing_written(picture, lambda _: 2)


def test_picture_too_small_to_be_compared_is_not_taken_for_the_scan():
    with pytest.raises(UnsupportedSlideError, match="too small"):
        thumbnails.require_the_scan(
            np.full((10, 12, 3), 240, np.uint8), np.full((100, 120), 240, np.uint8)
        )


def test_command_line_writes_it(slide, tmp_path):
    done = run(
        "convert",
        slide.path,
        "-o",
        tmp_path / "out",
        "--profile",
        "research",
        "--thumbnail",
        "keep",
    )
    assert done.returncode == 0, done.stderr
    assert "label, overview or thumbnail, stored with a lossless codec: 1" in done.stderr


def test_report_counts_it_and_shows_the_lowest_level_alone(converted, tmp_path):
    page = tmp_path / "report.html"
    done = run("report", converted.study_path.parent, "-o", page)
    assert done.returncode == 0, done.stderr
    shown = page.read_text()
    assert shown.count("data:image/jpeg;base64,") == 1
    assert "small picture of the scan" in shown
