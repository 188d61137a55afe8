"""Damaged and impossible input: a clear error, and nothing left behind."""

import errno
import resource
import struct
import traceback

import pytest
import tifffile

import coverslip
from coverslip import commit, conversion
from coverslip.verification.output import OutputCheck
from tests.synth import build_generic, build_svs, jpeg, tiff


def assert_nothing_left(folder, slide):
    assert [path for path in folder.iterdir() if path != slide.path] == []


def told(error):
    """Return everything that Python would print of an exception."""
    return "".join(traceback.format_exception(error))


def assert_silent(error, identifiers):
    text = told(error) + repr(error) + str(getattr(error, "hint", ""))
    for identifier in identifiers:
        assert len(identifier) < 5 or identifier not in text


def refuse(slide, folder, kind=coverslip.CoverslipError, **options):
    """Convert a slide that cannot be, and return the error after checking what it left."""
    with pytest.raises(kind) as raised:
        coverslip.convert(slide.path, folder / "out", **options)
    assert_nothing_left(folder, slide)
    assert_silent(raised.value, slide.identifiers)
    return raised.value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not a slide at all", "not a TIFF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG"),
        (bytes(128) + b"DICM", "DICOM already"),
        (b"II*\0", "ends inside a directory"),
        (b"II*\0\x08\0\0\0", "beyond the end of the file"),
    ],
)
def test_what_is_no_tiff_is_told_by_what_it_is(content, reason, tmp_path):
    path = tmp_path / "DOE-JANE.svs"
    path.write_bytes(content)
    with pytest.raises(coverslip.CoverslipError, match=reason) as raised:
        coverslip.convert(path, tmp_path / "out")
    assert "DOE" not in told(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("codec", ["jpeg_rgb", "j2k_33005"])
def test_slide_cut_at_any_point_is_refused_or_whole(codec, tmp_path):
    slide = build_svs(tmp_path, 5, codec=codec, size=(300, 200), levels=2)
    whole = slide.path.read_bytes()
    for cut in range(0, len(whole) - 200, len(whole) // 80):
        slide.path.write_bytes(whole[:cut])
        refuse(slide, tmp_path)


def patched(slide, old, new):
    data = slide.path.read_bytes()
    assert old in data
    slide.path.write_bytes(data.replace(old, new, 1))


def test_tile_beyond_the_end_of_the_file_is_named(tmp_path):
    slide = build_generic(tmp_path, levels=1)
    data = slide.path.read_bytes()
    first = data.index(slide.levels[0].pieces[0])
    patched(slide, struct.pack("<I", first), struct.pack("<I", 1 << 31))
    error = refuse(slide, tmp_path, coverslip.SourceError)
    assert "level 0: tile 0 claims" in str(error)


def test_corrupt_header_in_the_middle_of_a_level_names_the_tile(tmp_path):
    slide = build_generic(tmp_path, levels=1, style={"comments": False})
    tile = slide.levels[0].pieces[13]
    patched(slide, tile, b"\xff\xd8\xff\x01" + tile[4:])
    error = refuse(slide, tmp_path, coverslip.SourceError)
    assert "level 0: tile 13: " in str(error)


def test_tile_of_another_size_is_refused_with_both_sizes(tmp_path):
    slide = build_generic(tmp_path, levels=1, style={"sof_size": (112, 128)})
    error = refuse(slide, tmp_path, coverslip.UnsupportedSlideError)
    assert "128x112" in str(error)
    assert "128x128" in str(error)


def test_size_that_differs_within_the_last_mcu_is_patched(tmp_path):
    slide = build_generic(tmp_path, levels=1, style={"sof_size": (127, 0)})
    assert coverslip.convert(slide.path, tmp_path / "out").frames.copied == 20


@pytest.mark.parametrize(
    ("compression", "name"), [(5, "LZW"), (8, "Deflate"), (34926, "ZSTD"), (61000, "unknown")]
)
def test_codec_that_is_not_copied_is_refused_by_name(compression, name, tmp_path):
    slide = build_generic(tmp_path, compression=compression)
    error = refuse(slide, tmp_path, coverslip.UnsupportedSlideError)
    assert name in str(error)
    assert str(compression) in str(error)


def test_lossless_tiles_are_refused_by_name(tmp_path):
    slide = build_generic(tmp_path, codec="jpeg_ycbcr420", levels=1, style={"sof": 0xC3})
    error = refuse(slide, tmp_path, coverslip.UnsupportedSlideError)
    assert "lossless JPEG" in str(error)


def test_unknown_spacing_is_refused_with_the_option_to_give_it(tmp_path):
    slide = build_svs(tmp_path, mpp="absent", levels=1)
    error = refuse(slide, tmp_path, coverslip.PolicyError)
    assert "--mpp" in error.hint
    result = coverslip.convert(slide.path, tmp_path / "out", mpp_um=0.25)
    assert result.frames.copied > 0


def test_comment_behind_the_end_marker_is_cut_off(tmp_path):
    secret = b"SURNAME-BEHIND-THE-END"
    slide = build_generic(tmp_path, levels=1, style={"end": b"\xff\xd9" + secret})
    result = coverslip.convert(slide.path, tmp_path / "out")
    assert secret not in result.instances[0].path.read_bytes()


@pytest.mark.parametrize("verify", [True, False])
def test_text_between_two_end_markers_is_left_behind(verify, tmp_path):
    hidden = b"\xff\xd9SURNAME\xff\xd9"
    slide = build_generic(tmp_path, levels=1, style={"end": hidden})
    result = coverslip.convert(slide.path, tmp_path / "out", verify=verify)
    assert b"SURNAME" not in result.instances[0].path.read_bytes()
    assert coverslip.verify(result.study_path, slide.path).is_clean


def test_level_that_points_into_the_label_is_refused(tmp_path):
    slide = build_svs(tmp_path, levels=1, style={"comments": False})
    data = slide.path.read_bytes()
    tile = data.index(slide.levels[0].pieces[1])  # not one of the few that are looked at first
    with tifffile.TiffFile(slide.path) as opened:
        label = opened.pages[-2].dataoffsets[0]
    patched(slide, struct.pack("<I", tile), struct.pack("<I", label))
    error = refuse(slide, tmp_path, coverslip.SourceError)
    assert "not a level" in str(error)


def test_directories_in_a_loop_are_read_once(tmp_path):
    slide = build_generic(tmp_path, levels=1)
    data = bytearray(slide.path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    slide.path.write_bytes(data)
    assert len(coverslip.open(slide.path).levels) == 1


def test_huge_declared_grid_without_tiles_is_refused_quickly(tmp_path):
    tags = {256: tiff.long(1 << 31), 257: tiff.long(1 << 31), 258: tiff.short(8, 8, 8),
            259: tiff.short(7), 262: tiff.short(6), 277: tiff.short(3),
            322: tiff.short(16), 323: tiff.short(16)}  # fmt: skip
    path = tmp_path / "huge.tif"
    tiff.write_tiff(path, [tiff.Directory(tags, pieces=[b"x"])])
    with pytest.raises(coverslip.CoverslipError):
        coverslip.convert(path, tmp_path / "out", mpp_um=0.5)


def test_missing_file_and_folder_are_told_without_their_names(tmp_path):
    for path in (tmp_path / "DOE-JANE.svs", tmp_path):
        with pytest.raises(OSError) as raised:  # noqa: PT011 (any kind, but without a name)
            coverslip.convert(path, tmp_path / "out")
        assert raised.value.filename is None
        assert str(tmp_path) not in told(raised.value).replace(__file__, "")


def test_output_that_is_a_file_is_refused(tmp_path):
    slide = build_generic(tmp_path, levels=1)
    out = tmp_path / "out"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="is a file"):
        coverslip.convert(slide.path, out)
    assert out.read_text() == "mine"


def test_study_that_exists_is_not_touched(tmp_path):
    from coverslip.deid.policy import Policy
    from coverslip.deid.uids import RandomIdentity

    slide = build_generic(tmp_path, levels=1)
    opened = coverslip.open(slide.path)

    def convert_again():
        identity = RandomIdentity(lambda count: bytes(count))
        return conversion.convert_opened(opened, tmp_path / "out", Policy(), identity)

    first = convert_again()
    before = {path: path.stat().st_mtime_ns for path in first.study_path.rglob("*")}
    with pytest.raises(FileExistsError, match="already holds this study"):
        convert_again()
    assert {path: path.stat().st_mtime_ns for path in first.study_path.rglob("*")} == before
    assert list((tmp_path / "out").iterdir()) == [first.study_path]


def test_output_without_permission_is_told(tmp_path):
    slide = build_generic(tmp_path, levels=1)
    with pytest.raises(OSError) as raised:  # noqa: PT011 (which one depends on the system)
        coverslip.convert(slide.path, "/sys/coverslip-out")
    assert raised.value.errno in (errno.EPERM, errno.EACCES, errno.EROFS)


def test_write_that_fails_half_way_leaves_nothing(tmp_path):
    slide = build_generic(tmp_path, size=(900, 900))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        error = refuse(slide, tmp_path, OSError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.errno == errno.EFBIG


def test_disk_that_cannot_hold_the_frames_is_told_before_writing(tmp_path, monkeypatch):
    slide = build_generic(tmp_path, levels=1)
    usage = commit.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(commit.shutil, "disk_usage", lambda path: usage)
    error = refuse(slide, tmp_path, OSError)
    assert error.errno == errno.ENOSPC


@pytest.mark.parametrize(
    "problem", [KeyboardInterrupt, coverslip.VerificationError("x"), ValueError]
)
def test_whatever_ends_the_second_instance_leaves_nothing_of_the_first(
    problem, tmp_path, monkeypatch
):
    slide = build_svs(tmp_path)
    real, calls = OutputCheck.instance, []

    def fail_second(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise problem
        return real(*arguments, **options)

    monkeypatch.setattr(OutputCheck, "instance", fail_second)
    refuse(slide, tmp_path, BaseException)
    assert len(calls) == 2


def test_source_that_changes_after_opening_is_refused(tmp_path):
    from coverslip.deid.policy import Policy
    from coverslip.deid.uids import RandomIdentity

    slide = build_generic(tmp_path, levels=1)
    opened = coverslip.open(slide.path)
    with slide.path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(coverslip.SourceError, match="changed"):
        conversion.convert_opened(opened, tmp_path / "out", Policy(), RandomIdentity())
    assert_nothing_left(tmp_path, slide)


def test_quirks_that_are_harmless_are_copied(tmp_path):
    for number, style in enumerate(
        [
            {"start": b"\xff\xff\xff\xd8"},
            {"end": b""},
            {"end": b"\xff\xd9\x00\x00\xff\xff"},
            {"sof": 0xC1},
            {"before_tables": jpeg.exif("x") * 40, "comments": False},
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        slide = build_generic(folder, codec="jpeg_ycbcr444", levels=1, style=style)
        result = coverslip.convert(slide.path, folder / "out")
        assert result.frames.copied == len(slide.levels[0].entropy), style
        assert result.frames.truncated == (result.frames.copied if style.get("end") == b"" else 0)
