"""Hamamatsu NDPI: what the laws of every format do not ask."""

import numpy as np
import openslide
import pydicom
import pytest
import tifffile

import coverslip
from coverslip.errors import UnsupportedSlideError
from tests.interop import readers
from tests.synth import build_deep_ndpi, build_ndpi


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"starts": "wrong"},
        {"subsampling": "4:2:2", "starts": "absent"},
        {"shift": 5 << 30},
    ],
    ids=str,
)
def test_openslide_believes_the_built_slides(quirks, tmp_path):
    slide = build_ndpi(tmp_path, 1, **quirks)
    with openslide.OpenSlide(slide.path) as shown:
        assert shown.properties["openslide.vendor"] == "hamamatsu"
        sizes = list(shown.level_dimensions)
        for level in slide.levels:
            number = sizes.index((level.width, level.length))
            pixels = np.asarray(shown.read_region((0, 0), number, sizes[number]))[..., :3]
            # OpenSlide leaves out MCUs that are only in part inside the picture.
            whole = np.s_[: level.length // 16 * 16, : level.width // 16 * 16]
            assert np.abs(pixels[whole].astype(int) - level.rgb[whole]).mean() < 0.5


def test_openslide_and_tifffile_believe_the_built_focal_planes(tmp_path):
    slide = build_ndpi(tmp_path, 2, focal_planes=(1000, 0, -1000), levels=1)
    (level,) = slide.levels
    with openslide.OpenSlide(slide.path) as shown:
        assert shown.properties["openslide.vendor"] == "hamamatsu"
        pixels = np.asarray(shown.read_region((0, 0), 0, shown.dimensions))[..., :3]
        whole = np.s_[: level.length // 16 * 16, : level.width // 16 * 16]
        main = level.planes[1]
        assert np.abs(pixels[whole].astype(int) - main.rgb[whole]).mean() < 0.5
    with tifffile.TiffFile(slide.path) as other:
        stored = sorted(other.pages[:3], key=lambda page: page.tags[65424].value)
        for page, plane in zip(stored, level.planes, strict=True):
            assert np.abs(page.asarray().astype(int) - plane.rgb).mean() < 2


@pytest.mark.parametrize(
    ("heights", "reason"),
    [((0, 1000, 3000), "not the same distance"), ((0, 0), "heights are told")],
)
def test_focal_planes_that_one_distance_cannot_tell_are_refused(heights, reason, tmp_path):
    slide = build_ndpi(tmp_path, 2, focal_planes=heights, levels=1)
    with pytest.raises(UnsupportedSlideError, match=reason):
        coverslip.open(slide.path)


def test_verify_compares_each_focal_plane_with_its_picture(tmp_path):
    slide = build_ndpi(tmp_path, 2, focal_planes=(0, 500), levels=1, size=(1500, 600))
    result = coverslip.convert(slide.path, tmp_path / "out", ndpi_frames=1024)
    report = coverslip.verify(tmp_path / "out", source=slide.path)
    assert report.is_clean
    assert report.frames_equal == report.frames == 4
    dataset = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)
    assert dataset.TotalPixelMatrixFocalPlanes == 2
    (measures,) = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert measures.SpacingBetweenSlices == 0.0005


@pytest.mark.parametrize(
    ("frames", "quirks", "size"),
    [
        ("native", {"restart_blocks": 28}, (896, 896)),
        ("native", {"restart_blocks": 70, "subsampling": "4:2:0"}, (1120, 1120)),
        ("native", {"restart": None}, (1024, 1024)),
        ("auto", {"restart_blocks": 140}, (1120, 1120)),
        ("auto", {"restart_blocks": 28}, (896, 896)),
        (256, {"restart": 2, "focal_planes": (0, 500)}, (256, 256)),
    ],
)
def test_frames_are_as_large_as_is_asked_for(frames, quirks, size, tmp_path):
    slide = build_ndpi(tmp_path, 3, size=(2240, 300), levels=1, **quirks)
    result = coverslip.convert(slide.path, tmp_path / "out", ndpi_frames=frames)
    for instance in result.instances:
        dataset = pydicom.dcmread(instance.path, stop_before_pixels=True)
        assert (dataset.Columns, dataset.Rows) == size
    counts = result.frames
    assert (counts.stitched > 0) == ("restart_blocks" in quirks)
    report = coverslip.verify(tmp_path / "out", source=slide.path)
    assert report.is_clean
    assert report.frames_equal == report.frames == counts.stitched + counts.retiled


def test_intervals_beyond_2048_pixels_are_cut_into_usual_frames_unless_asked_for(tmp_path):
    for width, side in ((2048, 2048), (2064, 1024)):
        slide = build_ndpi(tmp_path, 3, size=(width, 100), levels=1, restart=1)
        (level,) = coverslip.open(slide.path).levels
        assert (level.tile_width, level.tile_length) == (side, side)


def test_native_frames_of_intervals_across_the_slide_are_wide(tmp_path):
    slide = build_ndpi(tmp_path, 3, size=(4800, 300), levels=1, restart=1)
    (level,) = coverslip.open(slide.path).cut_into("native").levels
    assert (level.tile_width, level.tile_length) == (4800, 1024)


def test_size_is_that_of_the_jpeg_where_the_tags_are_a_pixel_off(tmp_path):
    slide = build_ndpi(tmp_path, 3, one_pixel_off=True)
    opened = coverslip.open(slide.path)
    assert [level.image_width for level in opened.levels] == [level.width for level in slide.levels]


def test_the_macro_is_an_overview_and_the_map_a_label(tmp_path):
    opened = coverslip.open(build_ndpi(tmp_path, 4).path)
    assert [str(image.role) for image in opened.associated_images] == ["OVERVIEW", "LABEL"]


@pytest.mark.parametrize("fluorescence", [True, False])
def test_illumination_is_told(fluorescence, tmp_path):
    slide = build_ndpi(tmp_path, 5, fluorescence=fluorescence, levels=1)
    result = coverslip.convert(slide.path, tmp_path / "out")
    (path,) = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True).OpticalPathSequence
    assert path.IlluminationTypeCodeSequence[0].CodeValue == (
        "111743" if fluorescence else "111744"
    )
    assert ("IlluminationWaveLength" in path) == fluorescence


def test_no_spool_is_left_and_frames_are_counted_as_cut(tmp_path):
    slide = build_ndpi(tmp_path, 6)
    result = coverslip.convert(slide.path, tmp_path / "out")
    assert result.frames.copied == 0
    assert result.frames.retiled == sum(
        -(-level.width // 1024) * -(-level.length // 1024) for level in slide.levels
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == [result.study_path.name]


@pytest.mark.parametrize(
    ("blocks", "kinds"),
    [
        (4, ["stitch", "stitch", "retile"]),
        (140, ["stitch", "stitch", "retile"]),
        (280, ["retile", "retile", "retile"]),
        (None, ["retile", "retile", "retile"]),
    ],
)
def test_levels_whose_intervals_fit_the_frames_are_stitched(blocks, kinds, tmp_path):
    """The last level is 560 pixels wide, 70 MCUs of 4:4:4."""
    slide = build_ndpi(tmp_path, 8, restart_blocks=blocks)
    assert [str(route.kind) for route in coverslip.open(slide.path).routes()] == kinds


def _with_one_start_wrong(path, number):
    """Change where one interval is told to begin; its marker is one of those not looked at."""
    starts = coverslip.open(path).levels[0].picture.starts.astype("<u4")
    told = starts.tobytes()
    starts[number] += 2
    data = path.read_bytes()
    assert data.count(told) == 1
    path.write_bytes(data.replace(told, starts.tobytes()))


def test_intervals_that_are_told_wrong_are_searched_and_nothing_is_written_twice(tmp_path):
    frames, stages = [], []
    for told in ("right", "absent", "wrong", "one wrong"):
        folder = tmp_path / told
        folder.mkdir()
        starts = "right" if told == "one wrong" else told
        slide = build_ndpi(folder, 8, restart_blocks=4, levels=1, starts=starts)
        if told == "one wrong":
            _with_one_start_wrong(slide.path, 5001)
        seen = set()
        result = coverslip.convert(
            slide.path, folder / "out", on_progress=lambda at, seen=seen: seen.add(at.stage)
        )
        assert result.frames.stitched == 6
        frames.append(readers.frames_of(result.instances[0].path))
        stages.append(seen)
        assert coverslip.verify(folder / "out", source=slide.path).is_clean
    assert all(each == frames[0] for each in frames)
    # No frame is made before it is written.
    assert all("cut" not in seen for seen in stages)


def test_jpeg_xr_is_stored_as_the_grey_of_16_bits_that_tifffile_shows(tmp_path):
    slide = build_deep_ndpi(tmp_path)
    with tifffile.TiffFile(slide.path) as other:
        assert other.is_ndpi
        truths = [level.asarray() for level in other.series[0].levels]
    assert [truth.dtype for truth in truths] == [np.uint16] * 2
    result = coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True)
    for instance, truth in zip(result.instances, truths, strict=True):
        frames = readers.by_pydicom(instance.path, "pylibjpeg")
        assert np.array_equal(readers.mosaic(frames, *truth.shape[::-1]), truth)


def test_jpeg_xr_is_refused_with_what_would_convert_it(tmp_path):
    slide = build_deep_ndpi(tmp_path)
    with pytest.raises(UnsupportedSlideError, match="JPEG XR tiles") as raised:
        coverslip.convert(slide.path, tmp_path / "out")
    assert "--allow-pixel" in raised.value.hint
    assert not (tmp_path / "out").exists()


def test_jpeg_xr_that_is_not_known_to_be_deep_is_what_its_tags_say(tmp_path):
    slide = coverslip.open(build_deep_ndpi(tmp_path, capture_mode=None).path)
    assert [level.samples_per_pixel for level in slide.levels] == [3, 3]


def test_a_picture_that_is_not_whole_leaves_nothing(tmp_path):
    slide = build_ndpi(tmp_path, 7, restart_blocks=77)
    data = bytearray(slide.path.read_bytes())
    at = data.index(b"\xff\xd3")
    data[at + 1] = 0xD6
    slide.path.write_bytes(data)
    with pytest.raises(coverslip.CoverslipError, match="restart markers out of order"):
        coverslip.convert(slide.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("blocks", [4, 140], ids=["stitched", "cut"])
def test_verify_compares_the_frames_with_the_source(blocks, tmp_path):
    slide = build_ndpi(tmp_path, 9, restart_blocks=blocks, levels=1)
    result = coverslip.convert(slide.path, tmp_path / "out")
    report = coverslip.verify(tmp_path / "out", source=slide.path)
    assert report.frames_equal == report.frames > 1
    path = result.instances[0].path
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xda", len(data) // 2) + 200
    data[at] ^= 0x10
    path.write_bytes(data)
    changed = coverslip.verify(tmp_path / "out", source=slide.path)
    assert any("frame" in str(found) for found in changed.found)


@pytest.mark.parametrize(
    "quirks", [{}, {"high_starts": True}, {"shift": 5 << 30}, {"starts": "wrong"}], ids=str
)
def test_starts_of_restart_intervals_are_no_text(quirks, tmp_path):
    slide = coverslip.open(build_ndpi(tmp_path, 1, **quirks).path)
    places = [item.place for item in slide.description.metadata.items]
    assert not any("65426" in place or "65432" in place for place in places)
    assert any("65427" in place for place in places)


def test_text_in_the_place_of_starts_is_text(tmp_path):
    slide = build_ndpi(tmp_path, 1, levels=1)
    data = slide.path.read_bytes()
    with tifffile.TiffFile(slide.path) as opened:
        tag = opened.pages[0].tags[65426]
        at, size = tag.valueoffset, 4 * tag.count
    assert size >= 20
    text = b"Ottoline Quillfeather".ljust(size, b"\0")[:size]
    slide.path.write_bytes(data[:at] + text + data[at + size :])
    items = coverslip.open(slide.path).description.metadata.items
    assert any("Ottoline" in item.text.reveal() for item in items)
