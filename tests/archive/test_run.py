"""Many slides: what is found, what the ledger remembers, what happens when something fails."""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import CancelledError

import pytest

import coverslip
from coverslip.archive.discovery import discover, natural_key
from coverslip.archive.ledger import State, open_ledger, read_ledger
from coverslip.archive.stopping import StoppedError
from coverslip.archive.workers import Outcome, convert_task
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from coverslip.errors import PolicyError
from tests.archive.runs import assert_ledger_and_disk_agree, build_slides, start
from tests.privacy.search import places_of, survivors
from tests.synth import build_generic
from tests.synth.overview import with_bar_code


class Inline:
    """The smallest executor: it works when it is told to."""

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        future = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 (as an executor does)
            future.set_exception(error)
        return future


class Twice(Inline):
    """Does everything twice, as Dask does when a worker dies before its result was fetched."""

    def submit(self, function, *arguments):
        super().submit(function, *arguments)
        return super().submit(function, *arguments)


def convert_all(slides, out, **options):
    options = {"executor": Inline(), "jobs": 1, **options}
    return list(coverslip.convert_many(slides, out, **options))


def test_slides_are_found_by_what_is_in_them_in_natural_order(tmp_path):
    (tmp_path / "in" / "a").mkdir(parents=True)
    for name in ("s10.dat", "s9", "a/s1.svs"):
        shutil.copy(build_slides(tmp_path / name.replace("/", "-"), 1)[0], tmp_path / "in" / name)
    (tmp_path / "in" / "notes.tif").write_text("no TIFF")
    (tmp_path / "in" / "photo.svs").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "in" / "other").write_bytes(b"ZISRAWFILE" + bytes(50))

    found = discover([tmp_path / "in"])
    assert [candidate.path.name for candidate in found] == ["s1.svs", "other", "s9", "s10.dat"]
    assert [c.path.name for c in discover([tmp_path / "in"], include=["s*"], exclude=["a/*"])] == [
        "s9",
        "s10.dat",
    ]


def test_lists_and_patterns_name_slides_once(tmp_path):
    paths = build_slides(tmp_path / "in", 2)
    (tmp_path / "list.txt").write_text("".join(f"{path}\n\n" for path in paths))

    found = discover([tmp_path / "list.txt", tmp_path / "in" / "*" / "*", paths[0]])
    assert sorted(candidate.path for candidate in found) == sorted(paths)
    with pytest.raises(PolicyError, match="nothing at input 2"):
        discover([paths[0], tmp_path / "not-there.svs"])


def test_numbers_sort_by_their_value():
    assert sorted(["b2", "b10", "a", "b02"], key=natural_key) == ["a", "b2", "b02", "b10"]


def test_run_converts_each_once_and_running_again_does_nothing(tmp_path):
    build_slides(tmp_path / "in", 4)

    first = list(coverslip.convert_many(tmp_path / "in", tmp_path / "out", jobs=2))
    assert sorted(outcome.number for outcome in first) == [1, 2, 3, 4]
    assert_ledger_and_disk_agree(tmp_path / "out", 4)
    assert convert_all(tmp_path / "in", tmp_path / "out") == []


def test_bad_slide_stops_nobody_and_is_tried_again(tmp_path):
    paths = build_slides(tmp_path / "in", 3)
    good = paths[1].read_bytes()
    paths[1].write_bytes(good[: len(good) // 2])

    states = {o.number: o.state for o in convert_all(tmp_path / "in", tmp_path / "out")}
    assert states == {1: State.DONE, 2: State.FAILED, 3: State.DONE}
    paths[1].write_bytes(good)
    (again,) = convert_all(tmp_path / "in", tmp_path / "out")
    assert (again.number, again.state) == (2, State.DONE)
    assert_ledger_and_disk_agree(tmp_path / "out", 3)


def test_slide_that_changed_replaces_what_it_was(tmp_path):
    (path, other) = build_slides(tmp_path / "in", 2)
    convert_all(tmp_path / "in", tmp_path / "out")
    shutil.copy(other, path)

    (again,) = convert_all(tmp_path / "in", tmp_path / "out")
    assert again.number == 1
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_output_that_is_gone_is_made_again(tmp_path):
    build_slides(tmp_path / "in", 2)
    first, _ = convert_all(tmp_path / "in", tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / first.outputs.study)

    (again,) = convert_all(tmp_path / "in", tmp_path / "out")
    assert again.number == first.number
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_other_policy_converts_anew_and_leaves_nothing_of_the_old(tmp_path):
    build_slides(tmp_path / "in", 2)
    convert_all(tmp_path / "in", tmp_path / "out")

    policy = Policy(label="substitute")
    assert len(convert_all(tmp_path / "in", tmp_path / "out", policy=policy)) == 2
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_slide_in_doubt_is_quarantined(tmp_path):
    (tmp_path / "in").mkdir()
    build_generic(tmp_path / "in", levels=2, picture=with_bar_code(610, 450))

    (outcome,) = convert_all(tmp_path / "in", tmp_path / "out")
    assert outcome.state is State.QUARANTINED
    assert "--pixels-attested" in outcome.hint


class Deadly(Inline):
    """Loses the worker of the first slide that it gets, some times."""

    def __init__(self, times):
        self.times, self.victim = times, None

    def submit(self, function, task):
        self.victim = self.victim or task.number
        if task.number == self.victim and self.times:
            self.times -= 1
            return super().submit(self._die)
        return super().submit(function, task)

    @staticmethod
    def _die():
        raise ConnectionResetError


@pytest.mark.parametrize(("times", "state"), [(1, State.DONE), (2, State.FAILED)])
def test_slide_whose_worker_died_has_one_more_chance(times, state, tmp_path):
    build_slides(tmp_path / "in", 3)

    outcomes = convert_all(tmp_path / "in", tmp_path / "out", executor=Deadly(times))
    assert {o.number: o.state for o in outcomes} == {1: state, 2: State.DONE, 3: State.DONE}


def test_full_disk_ends_the_run_and_the_rest_waits(tmp_path, monkeypatch):
    build_slides(tmp_path / "in", 5)

    def full(task):
        return Outcome(
            number=task.number, state=State.FAILED, seconds=0, byte_count=1, disk_is_full=True
        )

    monkeypatch.setattr("coverslip.archive.run.convert_task", full)
    with pytest.raises(StoppedError, match="disk is full"):
        convert_all(tmp_path / "in", tmp_path / "out")
    states = [record.state for record in read_ledger(tmp_path / "out.vault")]
    assert states.count(State.WAITING) == 3
    monkeypatch.setattr("coverslip.archive.run.convert_task", convert_task)
    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 5, check=False)


def test_second_run_at_the_same_time_is_refused(tmp_path):
    build_slides(tmp_path / "in", 1)
    out = tmp_path / "out"
    with open_ledger(tmp_path / "out.vault", out), pytest.raises(PolicyError, match="another run"):
        convert_all(tmp_path / "in", out)


def test_ledger_that_is_no_data_base_is_told(tmp_path):
    build_slides(tmp_path / "in", 1)
    (tmp_path / "out.vault").mkdir(mode=0o700)
    (tmp_path / "out.vault" / "ledger.sqlite").write_bytes(b"no data base" * 100)
    with pytest.raises(PolicyError, match="ledger cannot be read"):
        convert_all(tmp_path / "in", tmp_path / "out")


def test_ledger_is_in_the_vault_and_for_its_owner_only(tmp_path):
    build_slides(tmp_path / "in", 1)
    convert_all(tmp_path / "in", tmp_path / "out")
    path = tmp_path / "out.vault" / "ledger.sqlite"
    assert path.stat().st_mode & 0o077 == 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_command_tells_all_and_names_nothing(tmp_path):
    paths = build_slides(tmp_path / "in", 3)
    paths[2].write_bytes(paths[2].read_bytes()[:5000])
    done = start(tmp_path / "in", tmp_path / "out", "--jobs", "2")
    out, error = done.communicate()

    assert done.returncode == 1, error
    assert "3 slides found, 0 are done already" in error
    assert "2 done, 1 failed" in error
    names = [path.stem for path in paths]
    summary = (tmp_path / "out.vault" / "summary.json").read_text()
    assert survivors(names, places_of(tmp_path / "out", out, error, summary)) == set()
    assert json.loads(summary)["slides"] == {
        **{"waiting": 0, "running": 0, "done": 2, "failed": 1, "quarantined": 0}
    }
    with (tmp_path / "out.vault" / "slides.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    status = [sys.executable, "-m", "coverslip", "status", tmp_path / "out"]
    told = subprocess.run(status, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "done        2" in told.stdout
    assert "slide 3: failed" in told.stdout


@pytest.mark.parametrize(
    ("option", "rows"), [("--json", '"rows_unused": 2}'), ("--quiet", "2 rows")]
)
def test_rows_that_fit_no_slide_are_told(option, rows, tmp_path):
    build_slides(tmp_path / "in", 1)
    (tmp_path / "table.csv").write_text("file,sex\n*.svs,F\nMRN-1.svs,M\nMRN-2.svs,M\n")
    command = [
        sys.executable,
        "-m",
        "coverslip",
        "convert",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
    ]
    command += ["--metadata", tmp_path / "table.csv", "--dry-run", option]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert rows in done.stdout + done.stderr
    assert "MRN" not in done.stdout + done.stderr


def test_executor_that_loses_a_result_and_repeats_the_task_costs_no_slide(tmp_path):
    build_slides(tmp_path / "in", 3)
    outcomes = convert_all(tmp_path / "in", tmp_path / "out", executor=Twice())
    assert {outcome.state for outcome in outcomes} == {State.DONE}
    assert_ledger_and_disk_agree(tmp_path / "out", 3)


def test_events_are_json_lines(tmp_path):
    build_slides(tmp_path / "in", 2)
    out, _ = start(tmp_path / "in", tmp_path / "out", "--json", "--jobs", "1").communicate()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["start", "slide", "slide", "end"]
    assert events[0]["slides"] == 2


def test_dry_run_says_what_would_become_and_writes_nothing(tmp_path):
    build_slides(tmp_path / "in", 2)
    out, _ = start(tmp_path / "in", tmp_path / "out", "--dry-run").communicate()
    assert "input 1: Aperio SVS: copy" in out
    assert "2 slides, 0 would be refused" in out
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.vault").exists()


def test_caller_who_leaves_early_finds_each_slide_once_when_he_comes_again(tmp_path):
    build_slides(tmp_path / "in", 4)
    run = coverslip.convert_many(tmp_path / "in", tmp_path / "out", jobs=1)
    next(run)
    run.close()
    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 4, check=False)


class Forgetful(Inline):
    """Does the work of the first slide and then loses it, some times."""

    def __init__(self, times, error=ConnectionResetError):
        self.times, self.error = times, error

    def submit(self, function, task):
        future = super().submit(function, task)
        if task.number == 1 and self.times:
            self.times -= 1
            future = super().submit(self._lose)
        return future

    def _lose(self):
        raise self.error


def test_slide_that_was_lost_behind_its_last_rename_is_there_once(tmp_path):
    build_slides(tmp_path / "in", 2)
    outcomes = convert_all(tmp_path / "in", tmp_path / "out", executor=Forgetful(2))
    assert {o.number: o.state for o in outcomes} == {1: State.FAILED, 2: State.DONE}

    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 2, check=False)


def test_slide_that_somebody_else_cancels_ends_the_run_and_the_next_has_it_once(tmp_path):
    build_slides(tmp_path / "in", 2)
    with pytest.raises(StoppedError, match="executor gave slides up"):
        convert_all(tmp_path / "in", tmp_path / "out", executor=Forgetful(1, CancelledError))

    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 2, check=False)


class Closed(Inline):
    """Takes some slides and then no more."""

    def __init__(self, count):
        self.count = count

    def submit(self, function, task):
        if not self.count:
            raise RuntimeError(f"cannot take {task.path}")
        self.count -= 1
        return super().submit(function, task)


def test_executor_that_takes_no_more_slides_ends_the_run_and_the_next_goes_on(tmp_path):
    build_slides(tmp_path / "in", 3)
    with pytest.raises(StoppedError, match=r"takes no slides \(RuntimeError\)"):
        convert_all(tmp_path / "in", tmp_path / "out", executor=Closed(2))

    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 3, check=False)


def test_profiles_with_a_vault_share_it_with_the_ledger(tmp_path):
    build_slides(tmp_path / "in", 2)
    outcomes = convert_all(
        tmp_path / "in", tmp_path / "out", policy=Policy(profile="research"), custody=Custody()
    )
    assert [outcome.state for outcome in outcomes] == [State.DONE] * 2
    assert {path.name for path in (tmp_path / "out.vault").glob("*.sqlite")} == {
        "ledger.sqlite",
        "vault.sqlite",
    }


HOSTILE_NAMES = [
    b"\xff\xfe.svs",
    b"\x1b]0;title\x07\x1b[2J.svs",
    "a\u202egnp\n.svs".encode(),
    "é".encode(),
]


def test_paths_do_nothing_to_the_terminal_they_are_shown_on(tmp_path):
    (path,) = build_slides(tmp_path / "made", 1)
    (tmp_path / "in").mkdir()
    for name in HOSTILE_NAMES:
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(path.read_bytes()[:3000])
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    shown = b""
    commands = [["convert", "in", "-o", "out"], ["status", "out"]]
    for command in [*commands, ["convert", "in", "-o", "new", "--dry-run"]]:
        done = subprocess.run(
            [sys.executable, "-m", "coverslip", *command, "--show-paths"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=False,
        )
        told = done.stdout + done.stderr
        assert b"Traceback" not in told
        assert rb"\xff\xfe.svs" in told
        assert rb"\x1b]0;title\x07\x1b[2J.svs" in told
        assert rb"a\u202egnp\n.svs" in told
        assert rb"\xe9" in told
        shown += told
    assert set(shown) <= {*b"\n", *range(0x20, 0x7F)}
