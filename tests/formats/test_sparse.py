"""Levels that have no frame where the slide has no tile."""

import io
import json
from functools import partial

import numpy as np
import pydicom
import pytest
import tifffile

import coverslip
from coverslip.errors import SourceError, UnsupportedSlideError
from coverslip.report import pictures
from coverslip.verification import header
from tests.interop import readers
from tests.program import command as run
from tests.synth import build_argos, build_generic, build_svs

MISSING = ((0, 0), (0, 7), (0, 29))


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return build_svs(tmp_path_factory.mktemp("sparse"), missing=MISSING)


@pytest.fixture(scope="module")
def converted(slide):
    return coverslip.convert(slide.path, slide.path.parent / "out", sparse=True)


def items_of(path):
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return dataset, dataset.PerFrameFunctionalGroupsSequence


def test_each_frame_tells_where_it_lies(slide, converted):
    dataset, items = items_of(converted.instances[0].path)
    level = slide.levels[0]
    present = [number for number, entropy in enumerate(level.entropy) if entropy is not None]
    across = -(-level.width // level.tile)
    assert dataset.NumberOfFrames == len(items) == len(present)
    origin = dataset.TotalPixelMatrixOriginSequence[0]
    row_mm, column_mm = (
        float(mm)
        for mm in dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    )
    cosines = np.array(dataset.ImageOrientationSlide, float)
    for number, item in zip(present, items, strict=True):
        (place,) = item.PlanePositionSlideSequence
        row, column = divmod(number, across)
        x, y = column * level.tile, row * level.tile
        assert place.ColumnPositionInTotalImagePixelMatrix == x + 1
        assert place.RowPositionInTotalImagePixelMatrix == y + 1
        expected = x * column_mm * cosines[:2] + y * row_mm * cosines[3:5]
        assert float(place.XOffsetInSlideCoordinateSystem) == pytest.approx(
            float(origin.XOffsetInSlideCoordinateSystem) + expected[0], abs=1e-6
        )
        assert float(place.YOffsetInSlideCoordinateSystem) == pytest.approx(
            float(origin.YOffsetInSlideCoordinateSystem) + expected[1], abs=1e-6
        )
        assert item.FrameContentSequence[0].DimensionIndexValues == [row + 1, column + 1]


def test_indices_count_rows_and_columns_that_occur(tmp_path):
    # Of the first row and column of the grid there is no tile at all.
    slide = build_svs(
        tmp_path,
        size=(300, 300),
        tile=128,
        levels=1,
        missing=tuple((0, number) for number in (0, 1, 2, 3, 6)),
    )
    result = coverslip.convert(slide.path, tmp_path / "out", sparse=True)
    _, items = items_of(result.instances[0].path)
    indices = [list(item.FrameContentSequence[0].DimensionIndexValues) for item in items]
    assert indices == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_frames_are_the_bytes_of_those_of_a_full_level(slide, converted, tmp_path):
    full = coverslip.convert(slide.path, tmp_path / "out")
    for sparse, other in zip(converted.instances, full.instances, strict=True):
        frames = readers.frames_of(other.path)
        numbers, _ = readers.places_of(sparse.path)
        assert readers.frames_of(sparse.path) == [frames[number] for number in numbers]
    gone = [number for _, number in MISSING]
    assert (
        sorted({*range(len(slide.levels[0].entropy))} - {*gone})
        == (readers.places_of(converted.instances[0].path)[0])
    )


def test_pydicom_decodes_what_is_there(slide, converted):
    frames = readers.by_pydicom(converted.instances[0].path, "pylibjpeg")
    assert len(frames) == len(slide.levels[0].entropy) - len(MISSING)


def test_level_without_a_tile_is_refused_as_ever(tmp_path):
    slide = build_svs(tmp_path, levels=1, size=(128, 128), tile=128, missing=((0, 0),))
    with pytest.raises((SourceError, UnsupportedSlideError)) as full:
        coverslip.convert(slide.path, tmp_path / "out")
    with pytest.raises((SourceError, UnsupportedSlideError)) as sparse:
        coverslip.convert(slide.path, tmp_path / "out", sparse=True)
    assert str(sparse.value) == str(full.value)


def test_command_says_what_became_no_frame(slide, tmp_path):
    done = run("convert", slide.path, "-o", tmp_path / "out", "--sparse")
    assert done.returncode == 0, done.stderr
    assert f"no frame, because the slide has no tile there: {len(MISSING)}" in done.stderr
    assert f"level 0: {len(MISSING)} missing tiles became no frame" in done.stderr
    (certificate,) = (tmp_path / "out").rglob("*.json")
    certified = json.loads(certificate.read_text())
    assert certified["policy"]["options"]["sparse"] is True
    assert certified["instances"][0]["frames_absent"] == len(MISSING)


def test_report_shows_white_where_there_is_no_frame(slide, converted):
    whole = pictures.pixels_of(converted.instances[0].path.read_bytes(), 1 << 24)
    difference = np.abs(whole.astype(int) - slide.levels[0].rgb)
    assert difference.mean() < 2.5


def test_report_shows_the_plane_in_the_middle(tmp_path):
    slide = build_argos(
        tmp_path, codec="jpeg_rgb", focal_planes=3, size=(400, 300), levels=1, missing=((0, 1),)
    )
    result = coverslip.convert(slide.path, tmp_path / "out", sparse=True)
    whole = pictures.pixels_of(result.instances[0].path.read_bytes(), 1 << 24)
    difference = np.abs(whole.astype(int) - slide.levels[0].planes[1].rgb)
    assert difference.mean() < 2.5


def move(items):
    items[3].PlanePositionSlideSequence[0].ColumnPositionInTotalImagePixelMatrix += 1


def move_out(items):
    items[3].PlanePositionSlideSequence[0].RowPositionInTotalImagePixelMatrix = 100001


def shift(items):
    items[3].PlanePositionSlideSequence[0].XOffsetInSlideCoordinateSystem = "1.5"


def lift(items):
    items[3].PlanePositionSlideSequence[0].ZOffsetInSlideCoordinateSystem = "1.5"


def count_otherwise(items):
    items[3].FrameContentSequence[0].DimensionIndexValues = [1, 1]


def exchange(items):
    items[3], items[4] = items[4], items[3]


def drop(items):
    del items[-1]


def say_more(items):
    items[3].FrameContentSequence[0].FrameComments = "QUILLFEATHER"


@pytest.mark.parametrize(
    "change", [move, move_out, shift, lift, count_otherwise, exchange, drop, say_more]
)
def test_places_that_contradict_themselves_are_found(change, converted, tmp_path):
    dataset = pydicom.dcmread(converted.instances[0].path)
    change(dataset.PerFrameFunctionalGroupsSequence)
    path = tmp_path / "changed.dcm"
    dataset.save_as(path)
    assert "(5200,9230)" in [place for place, _ in header.read(path).problems]


def test_an_item_of_undefined_length_is_no_form_of_ours(converted, tmp_path):
    dataset = pydicom.dcmread(converted.instances[0].path)
    dataset["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
    path = tmp_path / "changed.dcm"
    dataset.save_as(path)
    assert "(5200,9230)" in [place for place, _ in header.read(path).problems]


GONE = {
    "copied": (partial(build_svs, missing=((0, 5),)), "of the slide has no frame"),
    "decoded": (
        partial(build_generic, codec="zstd", missing=((0, 3),)),
        "has other pixels than the slide",
    ),
    "coded anew": (
        partial(build_generic, codec="jpeg_rgb", planar_jpeg=True, missing=((0, 3),)),
        "its coefficients are not those of its tiles",
    ),
}


@pytest.mark.parametrize("name", GONE)
def test_a_tile_without_a_frame_is_found(name, tmp_path):
    build, what = GONE[name]
    slide = build(tmp_path, levels=1)
    result = coverslip.convert(slide.path, tmp_path / "out", sparse=True, **slide.choices)
    (instance,) = result.instances
    drop_last_frame(instance.path)
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert report.exit_status == 1
    assert any(what in found.what for found in report.found if found.place == "frames")


def test_a_frame_of_a_tile_that_is_missing_is_found(tmp_path):
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    slide = build_svs(folders[0], levels=1, missing=((0, 5),))
    other = build_svs(folders[1], levels=1, missing=((0, 5), (0, 6)))
    result = coverslip.convert(slide.path, tmp_path / "out", sparse=True)
    report = coverslip.verify(result.study_path, other.path)
    assert [found.what for found in report.found] == [
        "tile 6 has a frame, and the slide does not have it"
    ]


def drop_last_frame(path):
    """Take the last frame out of an instance, and its item, as if the slide did not have it."""
    dataset = pydicom.dcmread(path)
    frames = readers.frames_of(path)[:-1]
    dataset.PixelData = pydicom.encaps.encapsulate(frames)
    dataset["PixelData"].is_undefined_length = True
    del dataset.PerFrameFunctionalGroupsSequence[-1]
    dataset.NumberOfFrames = len(frames)
    stream = io.BytesIO()
    dataset.save_as(stream)
    path.write_bytes(stream.getvalue())


def test_a_bad_tile_is_counted_among_those_that_are_there(tmp_path):
    slide = build_svs(tmp_path, levels=1, missing=((0, 0),))
    data = bytearray(slide.path.read_bytes())
    with tifffile.TiffFile(slide.path) as tiff:
        offset = tiff.pages[0].dataoffsets[9]
    data[offset : offset + 2] = b"no"
    slide.path.write_bytes(data)
    with pytest.raises(SourceError, match=r"level 0: of the tiles that are there, tile 8"):
        coverslip.convert(slide.path, tmp_path / "out", sparse=True)


def test_no_other_byte_can_stand_where_places_are_told(converted, tmp_path):
    whole = converted.instances[0].path.read_bytes()
    start = whole.index(b"\x00\x52\x30\x92SQ")
    end = whole.index(b"\xe0\x7f\x10\x00OB", start)
    path, random = tmp_path / "changed.dcm", np.random.default_rng(11)
    for at in random.integers(start, end, 400).tolist():
        changed = bytearray(whole)
        changed[at] ^= 1 << int(random.integers(0, 8))
        path.write_bytes(changed)
        try:
            problems = header.read(path).problems
        except header.UnreadableError:
            continue
        assert problems != () or is_below_ten_nanometres(whole, at), at


def is_below_ten_nanometres(whole, at):
    """Tell whether a byte is the fifth digit behind the point of an offset, or the sixth."""
    point = whole.rfind(b".", at - 8, at)
    return point >= 0 and whole[point + 1 : at + 1].isdigit() and at - point >= 5
