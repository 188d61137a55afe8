"""What is found in folders and lists, and what is passed over: never without a word."""

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coverslip.archive.discovery import discover
from coverslip.archive.ledger import State
from coverslip.archive.many import open_run
from coverslip.archive.order import natural_key
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from coverslip.errors import UsageError
from tests.archive.runs import build_slides
from tests.archive.test_run import convert_all
from tests.program import command


def test_slides_are_found_by_what_is_in_them_in_natural_order(tmp_path):
    (tmp_path / "in" / "a").mkdir(parents=True)
    for name in ("s10.dat", "s9", "a/s1.svs"):
        shutil.copy(build_slides(tmp_path / name.replace("/", "-"), 1)[0], tmp_path / "in" / name)
    (tmp_path / "in" / "notes.doc").write_text("no TIFF")
    (tmp_path / "in" / "other").write_bytes(b"ZISRAWFILE" + bytes(50))

    with discover([tmp_path / "in"]) as found:
        assert [slide.path.name for slide in found.slides] == ["s1.svs", "other", "s9", "s10.dat"]
    assert found.passed_over == {"other files": 1}
    with discover([tmp_path / "in"], include=["s*"], exclude=["a/*"]) as found:
        assert [slide.path.name for slide in found.slides] == ["s9", "s10.dat"]
    assert found.passed_over == {"files left out by --include or --exclude": 3}


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a**b", None, "input 1 is neither a path nor a pattern"),
        ("list.txt", b"\xff\xfea", "input 1 is a list that is no text in UTF-16"),
    ],
)
def test_input_that_cannot_be_understood_is_wrong_usage(name, data, what, tmp_path):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    done = command("convert", name, "-o", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"error: {what}\n")


def test_empty_argument_is_not_the_working_directory(tmp_path):
    build_slides(tmp_path / "in", 1)
    done = command("convert", "", "-o", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: an argument is empty\n")


def test_pipe_that_is_named_is_told_as_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "slide.svs")
    done = command("convert", "slide.svs", "-o", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "slide 1: failed: the slide is not a regular file" in done.stderr


def test_copy_of_a_slide_under_names_that_last_is_told_as_one(tmp_path):
    (path,) = build_slides(tmp_path / "in", 1)
    shutil.copy(path, tmp_path / "in" / f"zz-{path.name}")
    options = ("--profile", "research", "--jobs", "1")
    done = command("convert", "in", "-o", "out", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert "the output already holds this study (it may be a copy of another slide" in done.stderr


def test_what_fits_a_pattern_comes_in_natural_order(tmp_path):
    for number in (10, 9, 100):
        (tmp_path / f"case {number}.svs").write_bytes(b"II*\0")
    with discover([tmp_path / "case *.svs"]) as found:
        assert [slide.path.stem for slide in found.slides] == ["case 9", "case 10", "case 100"]


def test_memory_does_not_grow_with_the_number_of_slides(tmp_path):
    """A text kept of each slide, or a number, is a block of memory each."""
    count = 3000
    (tmp_path / "list.txt").write_text("".join(f"case {n}.svs\n" for n in range(count)))
    for _ in ("first run", "all of them wait"):
        before = sys.getallocatedblocks()
        with (
            discover([tmp_path / "list.txt"]) as found,
            open_run(found.slides, tmp_path / "out", Policy(), Custody()) as run,
        ):
            assert sum(1 for _ in run.registered.turns) == run.slides == count
            assert sys.getallocatedblocks() - before < count / 2


def test_numbers_sort_by_their_value():
    assert sorted(["b2", "b10", "a", "b02"], key=natural_key) == ["a", "b2", "b02", "b10"]


def test_file_with_the_suffix_of_a_slide_is_never_passed_over(tmp_path):
    (tmp_path / "in").mkdir()
    files = {"DOE-1.svs": bytes(5000), "DOE-2.svs": b"", "DOE-3.isyntax": b"?", "DOE-4.TIF": b"x"}
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "in" / "DOE-5.svs").symlink_to(tmp_path / "not-there.svs")
    os.mkfifo(tmp_path / "in" / "DOE-6.svs")  # whoever opens it waits for ever

    outcomes = convert_all(tmp_path / "in", tmp_path / "out")
    assert [outcome.state for outcome in outcomes] == [State.FAILED] * 6
    reasons = [outcome.reason for outcome in outcomes]
    assert reasons[0] == "the file is not a TIFF"
    assert reasons[1] == "the file is empty"
    assert "No such file" in reasons[4]
    assert reasons[5] == "the slide is not a regular file"


def test_what_is_passed_over_is_counted_by_kind_and_never_named(tmp_path):
    build_slides(tmp_path / "in", 1)
    (tmp_path / "in" / "DOE-1.dcm").write_bytes(bytes(128) + b"DICM" + bytes(100))
    (tmp_path / "in" / "DOE-2").symlink_to(tmp_path / "in" / "case 0")
    (tmp_path / "in" / "DOE-3").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "DOE-4.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    (tmp_path / "in" / "._DOE.svs").write_bytes(b"\0\5\x16\7")
    os.mkfifo(tmp_path / "in" / "DOE-5")
    convert_all(tmp_path / "in", tmp_path / "in" / "out-of-before")

    done = command("convert", "in", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 slides found" in done.stderr
    told = next(line for line in done.stderr.splitlines() if "passed over" in line)
    for count in (
        "1 linked folders",
        "1 broken links",
        "1 vaults",
        "5 other files",
        "3 DICOM files",
    ):
        assert count in told
    assert "DOE" not in done.stderr
    shown = command("convert", "in", "-o", "out", "--show-paths", cwd=tmp_path)
    assert "passed over: in/DOE-1.dcm" in shown.stderr


def test_nothing_to_convert_is_status_1_and_makes_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    for options in ([], ["--json"], ["--dry-run"]):
        done = command("convert", "in", "-o", "out", *options, cwd=tmp_path)
        assert done.returncode == 1
        assert "there is no slide" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_lists_and_patterns_name_slides_once(tmp_path):
    paths = build_slides(tmp_path / "in", 2)
    (tmp_path / "list.txt").write_text("".join(f"{path}\n\n" for path in paths))

    with discover([tmp_path / "list.txt", tmp_path / "in" / "*" / "*", paths[0]]) as found:
        assert sorted(slide.path for slide in found.slides) == sorted(paths)
        assert len(found.slides) == 2
    with (
        pytest.raises(UsageError, match="nothing at input 2"),
        discover([paths[0], tmp_path / "not-there.svs"]),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("bom.txt", lambda text: b"\xef\xbb\xbf" + text.encode()),
        ("wide.txt", lambda text: text.encode("utf-16")),
        ("LIST.TXT", lambda text: text.replace("\n", "\r\n").encode()),
    ],
)
def test_lists_may_come_from_windows(name, encoded, tmp_path):
    paths = build_slides(tmp_path / "in", 2)
    text = "".join(f"{path.relative_to(tmp_path)}\n" for path in paths)
    (tmp_path / name).write_bytes(encoded(text))
    done = command("convert", name, "-o", "out", "--dry-run", cwd=tmp_path)
    assert "2 slides, 0 would be refused" in done.stdout, done.stderr


def test_line_of_a_list_that_is_no_file_fails_alone(tmp_path):
    paths = build_slides(tmp_path / "in", 2)
    (tmp_path / "list.txt").write_text(f"{paths[0]}\nDOE-1.svs\n{paths[1]}\n")
    done = command("convert", "list.txt", "-o", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "slide 2: failed: No such file or directory" in done.stderr
    assert "2 done, 1 failed" in done.stderr
    (tmp_path / "list.txt").write_text(f"{paths[0]}\n{paths[1]}\n")
    assert command("convert", "list.txt", "-o", "out", cwd=tmp_path).returncode == 0
    assert command("status", "out", cwd=tmp_path).returncode == 0


def test_folder_that_cannot_be_read_is_told_and_stops_nothing(tmp_path, monkeypatch):
    build_slides(tmp_path / "in", 3)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("case 1"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("coverslip.archive.discovery.os.scandir", refuse)
    with discover([tmp_path / "in"]) as found:
        assert [slide.path.parent.name for slide in found.slides] == ["case 0", "case 2"]
    assert found.unreadable == {(1, "Permission denied"): 1}
    with pytest.warns(UserWarning, match="1 folders below input 1 cannot be read"):
        assert len(convert_all(tmp_path / "in", tmp_path / "out")) == 2


def test_folder_that_cannot_be_read_makes_the_status_1(in_namespace, tmp_path):
    build_slides(tmp_path / "in", 2)
    done = in_namespace(
        "chmod 000 'in/case 1'; setpriv --bounding-set=-dac_override,-dac_read_search"
        " --inh-caps=-dac_override,-dac_read_search"
        f" {sys.executable} -m coverslip convert in -o out; echo first $?"
    )
    if "setpriv" in done.stderr:
        pytest.skip("this machine has no setpriv that drops rights")
    assert "first 1" in done.stdout
    assert "1 folders below input 1 cannot be read: Permission denied" in done.stderr
    assert "1 done" in done.stderr


def test_tree_that_is_very_deep_is_walked(tmp_path, monkeypatch):
    (path,) = build_slides(tmp_path / "made", 1)
    monkeypatch.chdir(tmp_path)
    for _ in range(300):
        Path("a").mkdir()
        os.chdir("a")
    shutil.copy(path, "s")
    os.chdir(tmp_path)
    # Each step into a path of n folders costs the system n; so fewer of both, not 1,200 of 1,000.
    most = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    try:
        with discover([tmp_path / "a"]) as found:
            count = len(found.slides)
    finally:
        sys.setrecursionlimit(most)
    subprocess.run(["rm", "-r", tmp_path / "a"], check=True)  # pytest itself cannot
    assert count == 1
