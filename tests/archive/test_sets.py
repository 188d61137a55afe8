"""A set of files is one slide of a run, known by its first file."""

import os
import shutil

import pytest

import coverslip
from coverslip.archive.discovery import discover
from coverslip.archive.ledger import State
from tests.archive import test_run
from tests.archive.runs import assert_ledger_and_disk_agree
from tests.program import command
from tests.synth import build_generic, build_ndpi, build_ndpis, build_ome

SHAPE = {"codec": "jpeg_grey", "levels": 1, "size": (300, 200), "pictures": ()}


@pytest.fixture(params=["each", "first", "companion"])
def built(request, tmp_path):
    """A set of three files beside a slide of one."""
    (tmp_path / "in").mkdir()
    build_generic(tmp_path / "in", size=(300, 200), levels=1)
    planes = {"focal_planes": 3, "files": "focal planes", "metadata": request.param}
    return build_ome(tmp_path / "in", **SHAPE, **planes)


def found_in(*inputs, **options):
    with discover(inputs, **options) as found:
        return [slide.path for slide in found.slides], dict(found.passed_over)


def again(tmp_path):
    """Return what a run converts, which remembers what each slide became."""
    custody = test_run.linking(tmp_path)
    return test_run.convert_all(tmp_path / "in", tmp_path / "out", custody=custody)


def test_set_is_found_once_and_its_further_files_are_counted(built, tmp_path):
    paths, passed = found_in(tmp_path / "in")
    assert len(paths) == 2
    assert built.path in paths
    others = {"other files": 1} if len(built.paths) > 3 else {}
    assert passed == {"further files of sets": 2, **others}


def test_further_file_that_is_named_is_the_set(built, tmp_path):
    tiffs = [path for path in built.paths if path.suffix != ".ome"]
    (tmp_path / "list.txt").write_text("\n".join(map(str, reversed(tiffs))))
    for inputs in ([tiffs[1]], reversed(tiffs), [tmp_path / "in" / "*.ome.tif"],
                   [tmp_path / "list.txt"], [*tiffs, tiffs[2], built.path]):  # fmt: skip
        assert found_in(*inputs) == ([built.path], {})


def test_set_is_converted_once_and_stays_done(built, tmp_path):
    assert [outcome.state for outcome in again(tmp_path)] == [State.DONE] * 2
    assert again(tmp_path) == []
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_change_of_any_file_converts_the_set_again(built, tmp_path):
    again(tmp_path)
    for number, path in enumerate(built.paths):
        status = path.stat()
        if number == 0:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        elif number == 1:  # other bytes of the same length and time, in the last read
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
            path.write_bytes(data)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        else:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**12))
        assert [outcome.state for outcome in again(tmp_path)] == [State.DONE]
        assert again(tmp_path) == []
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


@pytest.mark.parametrize(
    ("built", "gone"),
    [("each", 0), ("each", 1), ("first", 1), ("companion", 0)],
    indirect=["built"],
)
def test_set_that_is_not_complete_fails_once_and_is_converted_when_it_is(gone, built, tmp_path):
    path = built.paths[gone]
    path.rename(tmp_path / "kept")
    failed = [outcome for outcome in again(tmp_path) if outcome.state is State.FAILED]
    missing = f"1 of the {len(built.paths)} files of the set are not in its folder"
    assert [outcome.reason for outcome in failed] == [missing]
    (tmp_path / "kept").rename(path)
    assert [outcome.state for outcome in again(tmp_path)] == [State.DONE]


def test_files_whose_metadata_is_gone_fail_each_until_it_is_there(tmp_path):
    built = build_ome(tmp_path, **SHAPE, focal_planes=3, files="focal planes", metadata="first")
    folder, kept = tmp_path / "in", tmp_path / "kept"
    folder.mkdir()
    for path in built.others:
        path.rename(folder / path.name)
    built.path.rename(kept)
    assert [outcome.reason for outcome in again(tmp_path)] == [
        "the OME-TIFF has its metadata in another file, which is not in its folder"
    ] * 2
    kept.rename(folder / built.path.name)
    assert [outcome.state for outcome in again(tmp_path)] == [State.DONE]


def test_file_that_its_set_does_not_know_is_a_slide_that_fails(tmp_path):
    planes = {"focal_planes": 3, "files": "focal planes"}
    built = build_ome(tmp_path, **SHAPE, **planes)
    (tmp_path / "other").mkdir()
    one = build_ome(tmp_path / "other", **SHAPE)
    shutil.copy(one.path, built.path)
    paths, passed = found_in(tmp_path, exclude=["other/*"])
    assert sorted(paths) == sorted(built.paths)
    assert "further files of sets" not in passed
    for path in built.others:
        with pytest.raises(coverslip.SourceError, match="disagree"):
            coverslip.open(path)


def test_first_file_left_out_leaves_out_the_set(tmp_path):
    built = build_ome(tmp_path, **SHAPE, focal_planes=2, files="focal planes")
    assert found_in(tmp_path, exclude=[built.path.name]) == (
        [],
        {"further files of sets": 1, "files left out by --include or --exclude": 1},
    )


def test_further_file_alone_is_converted_as_its_set(tmp_path):
    built = build_ome(tmp_path, **SHAPE, focal_planes=2, files="focal planes")
    done = command("convert", built.others[0], "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 1
    assert command("verify", tmp_path / "out", "--source", built.path).returncode == 0
    names = [path.name for path in built.paths]
    assert not any(name in done.stdout + done.stderr for name in names)


def test_inspect_tells_of_how_many_files_a_slide_is(tmp_path):
    built = build_ome(tmp_path, **SHAPE, focal_planes=2, files="focal planes")
    done = command("inspect", built.others[0])
    assert "OME-TIFF, a set of 2 files\n" in done.stdout


@pytest.fixture
def indexed(tmp_path):
    """An index of two NDPI files beside one that it does not name."""
    (tmp_path / "in").mkdir()
    shape = {"fluorescence": True, "size": (1120, 200), "levels": 1}
    build_ndpi(tmp_path / "in", **shape)
    return build_ndpis(tmp_path / "in", **shape)


def test_files_of_an_index_are_one_slide_unless_they_are_named_or_it_is_left_out(indexed, tmp_path):
    (alone,) = {*(tmp_path / "in").iterdir()} - {*indexed.paths}
    folder, further = tmp_path / "in", {"further files of sets": 2}
    paths, passed = found_in(folder)
    assert ({*paths}, passed) == ({alone, indexed.path}, further)
    paths, passed = found_in(folder, include=["*.ndpi"])
    assert {*paths} == {alone, *indexed.others}
    paths, _ = found_in(folder, exclude=["*.ndpis"])
    assert {*paths} == {alone, *indexed.others}
    assert found_in(indexed.others[0]) == ([indexed.others[0]], {})
    assert found_in(indexed.path) == ([indexed.path], {})


def test_index_hides_nothing_but_ndpi_files(indexed, tmp_path):
    other = build_generic(tmp_path / "in", size=(300, 200), levels=1).path
    old = indexed.others[1].name.encode()
    indexed.path.write_bytes(indexed.path.read_bytes().replace(old, other.name.encode()))
    paths, passed = found_in(tmp_path / "in")
    assert other in paths
    assert indexed.others[1] in paths
    assert passed == {"further files of sets": 1}


def test_index_is_converted_once_and_again_when_a_file_changes(indexed, tmp_path):
    assert [outcome.state for outcome in again(tmp_path)] == [State.DONE] * 2
    assert again(tmp_path) == []
    for path in indexed.paths:
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**12))
        assert [outcome.state for outcome in again(tmp_path)] == [State.DONE]
    indexed.others[1].rename(tmp_path / "kept")
    assert [outcome.reason for outcome in again(tmp_path)] == [
        "1 of the 3 files of the set are not in its folder"
    ]
    (tmp_path / "kept").rename(indexed.others[1])
    assert [outcome.state for outcome in again(tmp_path)] == [State.DONE]
    assert_ledger_and_disk_agree(tmp_path / "out", 2)
