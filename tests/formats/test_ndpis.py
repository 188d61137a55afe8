"""Hamamatsu's index of several NDPI files: all of them or none, and nothing from anywhere else."""

import os
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import coverslip
from coverslip import formats
from coverslip.formats.ndpis import names_of
from coverslip.limits import LIMITS
from coverslip.model import Role, SourceText
from coverslip.tiff import open_tiff
from tests.formats.findings import items_of
from tests.interop import belief, readers
from tests.synth import build_ndpi, build_ndpis, build_svs

SHAPE = {"fluorescence": True, "size": (1120, 300), "levels": 2}
HEADER = "[NanoZoomer Digital Pathology Image Set]"


@pytest.fixture
def built(tmp_path):
    (tmp_path / "set").mkdir()
    return build_ndpis(tmp_path / "set", 3, **SHAPE)


def rewrite(slide, change):
    slide.path.write_bytes(change(slide.path.read_bytes()))


def refused(slide, kind, reason):
    with pytest.raises(kind, match=reason) as raised:
        coverslip.open(slide.path)
    told = "".join(traceback.format_exception(raised.value)) + str(raised.value.hint)
    assert not any(path.name in told for path in slide.paths)


def test_each_file_is_a_channel_with_its_own_light(built):
    slide = coverslip.open(built.path)
    alone = [coverslip.open(path) for path in built.others]
    assert [file.path for file in slide.files] == list(built.paths)
    assert [level.optical_path for level in slide.levels] == [0, 0, 1, 1]
    assert slide.description.optical_paths == tuple(
        path for one in alone for path in one.description.optical_paths
    )
    assert [level.image_width for level in slide.levels] == [1120, 560, 1120, 560]
    assert slide.format == alone[0].format == "Hamamatsu NDPI"
    roles = [image.role for image in slide.associated_images]
    assert roles == [Role.OVERVIEW, Role.LABEL] * 2


def test_openslide_and_tifffile_show_each_channel_in_its_own_file(built, tmp_path):
    result = coverslip.convert(built.path, tmp_path / "out")
    for number, path in enumerate(built.others):
        levels = [
            replace(one, optical_path=0) for one in built.levels if one.optical_path == number
        ]
        member = replace(built, path=path, others=(), levels=levels)
        assert belief.by_openslide("ndpi", member)
        assert belief.by_tifffile("ndpi", member)
        instance = next(i.path for i in result.instances if light_of(i.path) == str(number + 1))
        with tifffile.TiffFile(path) as other:
            theirs = other.pages[0].asarray()
        ours = readers.mosaic(readers.by_pydicom(instance, "pylibjpeg"), 1120, 300)
        assert abs(ours.astype(int) - theirs).mean() < 1


def light_of(path):
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return dataset.OpticalPathSequence[0].OpticalPathIdentifier


@pytest.mark.parametrize("gone", [[0], [1], [0, 1]])
def test_index_of_which_a_file_is_missing_is_refused_with_how_many(gone, built):
    for number in gone:
        built.others[number].unlink()
    refused(built, coverslip.UnsupportedSlideError, f"^{len(gone)} of the 3 files of the set")


@pytest.mark.parametrize("name", ["../a.ndpi", "..", ".", "", "sub\\a.ndpi", "/etc/hosts", "a/b"])
def test_name_with_a_folder_in_it_is_refused_wherever_it_leads(name, built):
    (built.path.parent.parent / "a.ndpi").write_bytes(built.others[1].read_bytes())
    rewrite(built, lambda data: data.replace(built.others[1].name.encode(), name.encode()))
    refused(built, coverslip.SourceError, "not named as one of the same folder")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_file_of_the_set_that_is_no_regular_file_is_refused(what, built):
    path = built.others[0]
    path.rename(path.parent.parent / path.name)
    if what == "link":
        path.symlink_to(path.parent.parent / path.name)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    refused(built, coverslip.SourceError, "is not a regular file")


def test_index_that_names_itself_or_a_file_twice_is_refused(built):
    first, second = (path.name.encode() for path in built.others)
    text = built.path.read_bytes()
    for other in (built.path.name.encode(), first):
        built.path.write_bytes(text.replace(second, other))
        refused(built, coverslip.SourceError, "same file")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("NoImages=2", "NoImages=3", "has 2 files and says another number"),
        ("NoImages=2\r\n", "", "says another number"),
        ("NoImages=2", "NoImages=two", "says another number"),
        ("Image1", "Image2", "not numbered from 0"),
        ("Image1", "Image0", "two files of one number"),
        ("\r\nImage", "\r\nPicture", "not numbered from 0"),
        ("Image1", "Image-1", "not numbered from 0|another number"),
    ],
)
def test_index_that_makes_no_sense_is_told(old, new, reason, built):
    rewrite(built, lambda data: data.replace(old.encode(), new.encode()))
    refused(built, coverslip.SourceError, reason)


def test_index_of_too_many_files_or_too_long_is_refused_by_its_limit(built):
    lines = [HEADER, "NoImages=100000", *(f"Image{n}={n}.ndpi" for n in range(100_000))]
    built.path.write_text("\n".join(lines[: LIMITS.set_files + 2]).replace("100000", "256"))
    refused(built, coverslip.LimitError, f"257 files, more than the limit set_files = {256}")
    built.path.write_text("\n".join(lines))
    refused(built, coverslip.LimitError, "description_characters|set_files")
    with built.path.open("w") as file:
        file.write(HEADER)
        file.truncate(LIMITS.value_bytes + 1)
    refused(built, coverslip.LimitError, "value_bytes")


def test_files_that_are_no_channels_are_to_be_converted_each(tmp_path):
    built = build_ndpis(tmp_path, **{**SHAPE, "fluorescence": False})
    with pytest.raises(coverslip.UnsupportedSlideError, match="no channel of fluor") as raised:
        coverslip.open(built.path)
    assert raised.value.hint == "convert each NDPI file by itself"
    assert len(coverslip.open(built.others[0]).levels) == 2


@pytest.mark.parametrize(
    "other", [{"size": (1120, 292)}, {"levels": 1}, {"focal_planes": (0, 500)}]
)
def test_files_of_other_sizes_or_planes_are_refused(other, built, tmp_path):
    unlike = build_ndpi(tmp_path, **{**SHAPE, **other})
    built.others[1].write_bytes(unlike.path.read_bytes())
    refused(built, coverslip.UnsupportedSlideError, "different sizes, planes or spacing")


def test_file_of_another_kind_is_refused(built, tmp_path):
    path = built.others[1]
    for data, reason in (
        (build_svs(tmp_path, size=(200, 150), tile=64).path.read_bytes(), "no NDPI"),
        (b"[GENERAL]", "no NDPI"),
        (b"", "no NDPI"),
        (built.path.read_bytes(), "no NDPI"),
        (built.others[0].read_bytes()[:3000], "ends|beyond"),
    ):
        path.write_bytes(data)
        refused(built, coverslip.SourceError, reason)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\r\n", b"\n"),
        lambda data: data.replace(b"\r\n", b"\r"),
        lambda data: data.replace(b"=", b" = "),
    ],
)
def test_index_may_be_written_in_other_ways(change, built):
    rewrite(built, change)
    assert len(coverslip.open(built.path).levels) == 4


def test_names_and_whatever_else_the_index_says_are_found(built):
    rewrite(built, lambda data: data.replace(b"NoImages", b"Note=DOE JANE\r\n[DOE]\r\nNoImages"))
    items = [item for item in items_of(built) if item.place == "NDPIS index"]
    names = [item.text.reveal() for item in items if item.key == "Image"]
    assert names == [path.name for path in built.others]
    (rest,) = (item for item in items if item.key is None)
    assert rest.text.reveal().startswith("Note=DOE JANE\n[DOE]\n")
    assert not any(
        HEADER in item.text.reveal() or "NoImages" in item.text.reveal() for item in items
    )


def test_no_frame_may_touch_the_index(built):
    slide = coverslip.open(built.path)
    size = built.path.stat().st_size
    assert [0, size] in slide.description.private_ranges.tolist()


def test_files_beyond_4_gb_lie_one_behind_the_other(tmp_path):
    built = build_ndpis(tmp_path, **{**SHAPE, "levels": 1, "shift": 5 << 30})
    slide = coverslip.open(built.path)
    assert slide.levels[1].picture.offset > 10 << 30
    result = coverslip.convert(built.path, tmp_path / "out")
    for level, instance in zip(built.levels, result.instances, strict=True):
        ours = readers.mosaic(readers.by_pydicom(instance.path, "pylibjpeg"), 1120, 300)
        assert abs(ours.astype(int) - level.rgb).mean() < 1


def test_metadata_of_a_set_of_ome_tiff_is_told_as_that(tmp_path):
    path = tmp_path / "x.companion.ome"
    path.write_text('<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"></OME>')
    with pytest.raises(coverslip.UnsupportedSlideError, match="metadata of a set") as raised:
        coverslip.open(path)
    assert raised.value.hint == "convert any of the TIFF files"


@settings(
    max_examples=150,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6)), max_size=3
    )
)
def test_index_of_any_bytes_gives_the_slide_or_a_typed_error(changes, built):
    text = built.path.read_bytes()
    data = bytearray(text)
    for where, value in changes:
        at = int(where * len(data))
        data[at : at + len(value)] = value
    built.path.write_bytes(data)
    try:
        with open_tiff(built.path) as opened:
            assert len(formats.detect(opened).levels) == 4
    except (coverslip.CoverslipError, OSError) as error:
        told = "".join(traceback.format_exception(error))
        assert not any(path.name in told for path in built.paths)
    finally:
        built.path.write_bytes(text)


@given(st.text())
def test_any_text_names_files_or_is_refused(text):
    with suppress(coverslip.SourceError):
        assert names_of(SourceText(text))


def test_index_is_told_by_its_first_line(tmp_path):
    path = tmp_path / "x.ndpis"
    path.write_text("[NanoZoomer Set]\nNoImages=1\nImage0=a.ndpi\n")
    with pytest.raises(coverslip.SourceError, match="not a TIFF"):
        coverslip.open(Path(path))
