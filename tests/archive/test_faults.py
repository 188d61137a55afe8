"""Faults of a real system: disks full or read-only, slides that change, clocks that jump."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

import coverslip
from coverslip.archive.claim import MARK
from coverslip.archive.ledger import State, read_ledger
from coverslip.commit import OutputExistsError, Staging, staging
from coverslip.errors import NoRoomError
from coverslip.sample import write_sample
from tests.archive.runs import assert_ledger_and_disk_agree, build_slides, studies_in
from tests.archive.test_run import convert_all

CONVERT = f"{sys.executable} -m coverslip convert in -o"


def test_slides_that_found_no_room_are_converted_when_there_is_more(in_namespace, tmp_path):
    build_slides(tmp_path / "in", 6)
    (tmp_path / "disk").mkdir()
    done = in_namespace(
        f"mount -t tmpfs -o size=500k none disk; {CONVERT} disk/out --vault vault --jobs 1;"
        " echo first $?; ls -A disk/out; mount -o remount,size=50m disk;"
        f" {CONVERT} disk/out --vault vault --jobs 1; echo second $?; cp -r disk/out out"
    )
    assert "first 1" in done.stdout, done.stderr
    assert ".coverslip" not in done.stdout.replace(MARK, "")
    assert "second 0" in done.stdout, done.stderr
    (tmp_path / "vault").rename(tmp_path / "out.vault")
    assert_ledger_and_disk_agree(tmp_path / "out", 6)


def test_slide_that_does_not_fit_fails_alone(in_namespace, tmp_path):
    build_slides(tmp_path / "in", 2)
    write_sample(tmp_path / "in" / "a large one.svs", byte_count=8_000_000)
    (tmp_path / "disk").mkdir()
    done = in_namespace(
        f"mount -t tmpfs -o size=6m none disk; {CONVERT} disk/out --vault vault --jobs 1;"
        " echo first $?; ls -A disk/out"
    )
    assert "first 1" in done.stdout, done.stderr
    assert "slide 1: failed: the output has no room: " in done.stderr
    assert "2 done, 1 failed" in done.stderr
    assert "disk is full" not in done.stderr
    assert ".coverslip" not in done.stdout.replace(MARK, "")


def test_disk_that_fills_while_slides_are_written_stops_the_run(in_namespace, tmp_path):
    build_slides(tmp_path / "in", 7)
    (tmp_path / "disk").mkdir()
    done = in_namespace(
        f"mount -t tmpfs -o nr_inodes=30 none disk; {CONVERT} disk/out --vault vault --jobs 1;"
        f" echo first $?; ls -A disk/out; mount -o remount,nr_inodes=1000 disk;"
        f" {CONVERT} disk/out --vault vault --jobs 1; echo second $?; cp -r disk/out out"
    )
    assert "first 1" in done.stdout, done.stderr
    assert "error: " in done.stderr
    assert "the disk is full" in done.stderr
    assert ".coverslip" not in done.stdout.replace(MARK, "")
    assert "second 0" in done.stdout, done.stderr
    (tmp_path / "vault").rename(tmp_path / "out.vault")
    assert_ledger_and_disk_agree(tmp_path / "out", 7, check=False)


def test_output_that_is_read_only_is_refused_once(in_namespace, tmp_path):
    build_slides(tmp_path / "in", 2)
    (tmp_path / "disk").mkdir()
    done = in_namespace(
        f"mount -t tmpfs -o ro none disk; {CONVERT} disk/out --vault vault; echo first $?"
    )
    assert "first 1" in done.stdout
    assert done.stderr.count("the output cannot be written: Read-only file system") == 1
    assert "failed" not in done.stderr


@pytest.mark.parametrize("kind", ["file", "link"])
def test_output_that_is_no_folder_is_refused_once(kind, tmp_path):
    build_slides(tmp_path / "in", 2)
    if kind == "file":
        (tmp_path / "out").touch()
    else:
        (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError, match="the output is a "):
        convert_all(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "nowhere").exists()
    assert not list(tmp_path.rglob("*.dcm"))


def test_error_behind_the_last_rename_leaves_no_study_that_comes_twice(faults, tmp_path):
    build_slides(tmp_path / "in", 3)
    fault = {"FAULT_CALL": "fsync", "FAULT_PATH": "/fo1", "FAULT_AFTER": "5"}
    done = subprocess.run(
        f"{CONVERT} fo1 --vault fo1.vault --jobs 1".split(),
        cwd=tmp_path,
        env={**os.environ, **faults, **fault},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1, done.stderr
    convert_all(tmp_path / "in", tmp_path / "fo1")
    assert_ledger_and_disk_agree(tmp_path / "fo1", 3, check=False)


def test_study_whose_conversion_fails_when_it_has_its_name_is_found_again(tmp_path, monkeypatch):
    build_slides(tmp_path / "in", 2)
    discard = Staging.discard

    def fail(stage):
        discard(stage)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(Staging, "discard", fail)
        outcomes = convert_all(tmp_path / "in", tmp_path / "out")
    assert {outcome.state for outcome in outcomes} == {State.FAILED}
    assert len(list(tmp_path.glob("out/2.*"))) == 2
    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 2, check=False)


def test_what_others_are_about_to_write_is_no_room(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with staging(tmp_path, "2.1") as first, staging(tmp_path, "2.2") as second:
        first.require_room(600)
        with pytest.raises(NoRoomError, match="no room"):
            second.require_room(600)
        second.require_room(400)
        (first.study / "frames").write_bytes(bytes(600))  # as if free were without them
        second.require_room(1000)
        second.discard()
        first.require_room(1000)


def test_vault_on_a_full_disk_is_told_and_nothing_is_written(in_namespace, tmp_path):
    build_slides(tmp_path / "in", 2)
    (tmp_path / "disk").mkdir()
    done = in_namespace(
        "mount -t tmpfs -o size=8k,mode=700 none disk; "
        f"{CONVERT} out --vault disk/vault; echo first $?"
    )
    assert "first 1" in done.stdout
    assert "ledger cannot be" in done.stderr
    assert not (tmp_path / "out").exists()


def test_slide_that_is_gone_or_changes_during_the_run_fails_alone(tmp_path):
    paths = build_slides(tmp_path / "in", 4)
    run = coverslip.convert_many(tmp_path / "in", tmp_path / "out", jobs=1)
    first = next(run)
    assert first.number == 1
    paths[3].write_bytes(paths[3].read_bytes() + b"more")
    outcomes = {outcome.number: outcome for outcome in run}
    assert outcomes[4].state is State.FAILED
    assert "changed" in outcomes[4].reason
    assert outcomes[2].state is outcomes[3].state is State.DONE


def test_slide_that_shrinks_while_it_is_read_leaves_nothing(tmp_path):
    (path,) = build_slides(tmp_path / "in", 1)
    stop = threading.Event()

    def shrink():
        while not stop.is_set() and not list(tmp_path.glob("out/.coverslip-*")):
            time.sleep(0.001)
        os.truncate(path, 3000)

    thread = threading.Thread(target=shrink)
    thread.start()
    (outcome,) = convert_all(tmp_path / "in", tmp_path / "out")
    stop.set()
    thread.join()
    if outcome.state is State.FAILED:  # else it was faster than the other thread
        assert not list((tmp_path / "out").glob("*"))


def test_clock_that_goes_back_does_not_matter(tmp_path, monkeypatch):
    build_slides(tmp_path / "in", 2)
    monkeypatch.setattr("coverslip.archive.rows.now", lambda: "1999-12-31T23:59:59+00:00")
    convert_all(tmp_path / "in", tmp_path / "out")
    build_slides(tmp_path / "in" / "more", 1)
    monkeypatch.setattr("coverslip.archive.rows.now", lambda: "1970-01-01T00:00:00+00:00")
    assert len(convert_all(tmp_path / "in", tmp_path / "out")) == 1
    assert [record.state for record in read_ledger(tmp_path / "out.vault")] == [State.DONE] * 3


@pytest.mark.parametrize(
    ("call", "path", "after"),
    [
        ("read", "/case 1/", 2000),  # while the slide is opened
        ("read", "/case 1/", 40_000),  # while its tiles are copied
        ("write", "/.coverslip-", 150_000),
        ("fsync", "/.coverslip-", 2),
    ],
)
def test_error_of_the_disk_fails_a_slide_and_leaves_nothing_half(
    call, path, after, faults, tmp_path
):
    build_slides(tmp_path / "in", 3)
    fault = {"FAULT_CALL": call, "FAULT_PATH": path, "FAULT_AFTER": str(after)}
    done = subprocess.run(
        f"{CONVERT} out --jobs 1".split(),
        cwd=tmp_path,
        env={**os.environ, **faults, **fault},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1, done.stderr
    records = read_ledger(tmp_path / "out.vault")
    failed = [record for record in records if record.state is State.FAILED]
    assert {record.reason for record in failed} == {"Input/output error"}
    assert [record.number for record in failed] == [2] or call != "read"
    whole = {outputs.study for outputs in studies_in(tmp_path / "out.vault")}
    hidden = {MARK} if whole else set()
    assert {entry.name for entry in tmp_path.glob("out/*")} == hidden | whole

    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 3)


def test_source_that_may_not_be_read_fails_alone(in_namespace, tmp_path):
    paths = build_slides(tmp_path / "in", 2)
    paths[0].chmod(0)
    if os.geteuid() == 0:  # root may read it, but not where its owner has no number
        os.chown(paths[0], 54321, 54321)
        done = in_namespace(f"{CONVERT} out --jobs 1; echo first $?")
    else:
        done = subprocess.run(
            f"{CONVERT} out --jobs 1".split(), cwd=tmp_path, capture_output=True, text=True
        )
    assert "slide 1: failed: Permission denied" in done.stderr
    assert "1 done, 1 failed" in done.stderr


def test_ledger_whose_disk_fills_up_stops_the_run_and_more_room_ends_it(in_namespace, tmp_path):
    build_slides(tmp_path / "in", 8)
    (tmp_path / "out.vault").mkdir(mode=0o700)
    done = in_namespace(
        "mount -t tmpfs -o size=300k,mode=700 none out.vault;"
        f" {CONVERT} out --jobs 1 & p=$!;"
        " until ls out/*/*.certificate.json >/dev/null 2>&1; do sleep 0.02; done;"
        " cat /dev/zero >out.vault/full 2>/dev/null; wait $p; echo first $?; ls -A out;"
        " rm out.vault/full;"
        # Where there is no room to put the log of writes into the ledger, it stays beside it.
        f" {CONVERT} out --jobs 1; echo second $?; mkdir kept; cp out.vault/ledger.sqlite* kept"
    )
    assert "first 1" in done.stdout, done.stderr
    assert "the ledger cannot be read or written (SQLITE_FULL)" in done.stderr
    assert "Traceback" not in done.stderr
    assert ".coverslip" not in done.stdout.replace(MARK, "")
    assert "second 0" in done.stdout, done.stderr
    for file in (tmp_path / "kept").iterdir():
        file.rename(tmp_path / "out.vault" / file.name)
    assert_ledger_and_disk_agree(tmp_path / "out", 8, check=False)
