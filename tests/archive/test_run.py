"""Many slides: what is found, what the ledger remembers, what happens when something fails."""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import CancelledError

import pydicom
import pytest

import coverslip
from coverslip.archive.ledger import State, open_ledger, read_ledger
from coverslip.archive.stopping import StoppedError
from coverslip.archive.workers import Outcome, convert_task
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from coverslip.errors import PolicyError
from tests.archive.runs import assert_ledger_and_disk_agree, build_slides, start
from tests.privacy.search import places_of, survivors
from tests.program import command
from tests.synth import build_svs


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


def hidden_in(folder):
    return {path.name for path in folder.iterdir() if path.name.startswith(".")}


def convert_all(slides, out, **options):
    options = {"executor": Inline(), "jobs": 1, **options}
    return list(coverslip.convert_many(slides, out, **options))


def linking(folder):
    """Return a custody under which the ledger remembers what each slide became."""
    return Custody(vault=folder / "out.vault")


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
    convert_all(tmp_path / "in", tmp_path / "out", custody=linking(tmp_path))
    shutil.copy(other, path)

    (again,) = convert_all(tmp_path / "in", tmp_path / "out", custody=linking(tmp_path))
    assert again.number == 1
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_output_that_is_gone_is_made_again(tmp_path):
    build_slides(tmp_path / "in", 2)
    first, _ = convert_all(tmp_path / "in", tmp_path / "out", custody=linking(tmp_path))
    shutil.rmtree(tmp_path / "out" / first.outputs.study)

    (again,) = convert_all(tmp_path / "in", tmp_path / "out", custody=linking(tmp_path))
    assert again.number == first.number
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


@pytest.mark.parametrize("recipient", [False, True])
def test_nothing_in_the_vault_leads_from_a_slide_to_its_study(recipient, tmp_path):
    paths = build_slides(tmp_path / "in", 3)
    options = {}
    if recipient:
        pyrage = pytest.importorskip("pyrage")
        to = str(pyrage.x25519.Identity.generate().to_public())
        options["policy"] = Policy(profile="research", link="none")
        options["custody"] = Custody(recipient=to)
    convert_all(tmp_path / "in", tmp_path / "out", **options)
    assert_ledger_and_disk_agree(tmp_path / "out", 3, check=False)

    vault = tmp_path / "out.vault"
    assert not (vault / "slides.csv").exists()
    for path in vault.iterdir():
        data = path.read_bytes()
        assert not any(str(slide).encode() in data for slide in paths)
    with sqlite3.connect(vault / "ledger.sqlite") as connection:
        rows = list(connection.execute("SELECT * FROM slide"))
        uids = [uid for (uid,) in connection.execute("SELECT uid FROM unlinked")]
    assert len(rows) == len(uids) == 3
    assert uids == sorted(uids)
    sizes = {path.stat().st_size for path in paths}
    for row in rows:
        assert not sizes & set(row)
        assert not any(uid in str(row) for uid in uids)
    assert convert_all(tmp_path / "in", tmp_path / "out", **options) == []


def test_study_that_is_gone_is_told_where_links_are_not_kept(tmp_path):
    build_slides(tmp_path / "in", 2)
    first, _ = convert_all(tmp_path / "in", tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / first.outputs.study)

    done = command("convert", tmp_path / "in", "-o", tmp_path / "out", "--jobs", "1")
    assert done.returncode == 0
    assert "note: 1 studies of earlier runs are not in the output" in done.stderr


def test_slide_that_changed_is_made_again_where_links_are_not_kept(tmp_path):
    (path, other) = build_slides(tmp_path / "in", 2)
    convert_all(tmp_path / "in", tmp_path / "out")
    shutil.copy(other, path)

    error = command("convert", tmp_path / "in", "-o", tmp_path / "out", "--jobs", "1").stderr
    assert "2 slides found, 1 are done already" in error
    assert "note: of 1 slides that are converted again what they were before stays" in error
    assert len(list((tmp_path / "out").glob("[!.]*"))) == 3


def test_other_policy_converts_anew_and_leaves_nothing_of_the_old(tmp_path):
    build_slides(tmp_path / "in", 2)
    convert_all(tmp_path / "in", tmp_path / "out", custody=linking(tmp_path))

    policy, custody = Policy(label="substitute"), linking(tmp_path)
    again = convert_all(tmp_path / "in", tmp_path / "out", policy=policy, custody=custody)
    assert len(again) == 2
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


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
    vault = str(tmp_path / "out.vault")
    done = start(tmp_path / "in", tmp_path / "out", "--jobs", "2", "--vault", vault)
    out, error = done.communicate()

    assert done.returncode == 1, error
    assert "3 slides found, 0 are done already" in error
    assert "2 done, 1 failed" in error
    names = [path.stem for path in paths]
    summary = (tmp_path / "out.vault" / "summary.json").read_text()
    assert survivors(names, places_of(tmp_path / "out", out, error, summary)) == set()
    assert json.loads(summary)["slides"] == {
        **{"waiting": 0, "running": 0, "done": 2, "failed": 1, "quarantined": 0, "gone": 0}
    }
    with (tmp_path / "out.vault" / "slides.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    told = command("status", tmp_path / "out")
    assert told.returncode == 1
    assert "done        2" in told.stdout
    assert "slide 3: failed" in told.stdout


@pytest.mark.parametrize(
    ("option", "rows"), [("--json", '"rows_unused": 2,'), ("--quiet", "2 rows")]
)
def test_rows_that_fit_no_slide_are_told(option, rows, tmp_path):
    build_slides(tmp_path / "in", 1)
    (tmp_path / "table.csv").write_text("file,sex\n*.svs,F\nMRN-1.svs,M\nMRN-2.svs,M\n")
    slides_and_table = tmp_path / "in", "--metadata", tmp_path / "table.csv"
    done = command("convert", *slides_and_table, "-o", tmp_path / "out", "--dry-run", option)
    assert rows in done.stdout + done.stderr
    assert "MRN" not in done.stdout + done.stderr


@pytest.mark.parametrize("profile", ["care", "research"])
def test_two_slides_of_one_name_never_get_one_row(profile, tmp_path):
    for patient in ("patA", "patB"):
        (tmp_path / "in" / patient).mkdir(parents=True)
        slide = build_svs(tmp_path / "in" / patient)
        slide.path.rename(tmp_path / "in" / patient / "1.svs")
    (tmp_path / "table.csv").write_text("file,patient_id\n1.svs,MRN-A\n")
    words = "convert", "in", "-o", "out", "--profile", profile, "--metadata", "table.csv"
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "row 1 of the metadata names 2 slides" in done.stderr
    assert not (tmp_path / "out").exists()

    (tmp_path / "table.csv").write_text("file,patient_id\npatA/1.svs,MRN-A\n")
    done = command(*words, cwd=tmp_path)
    assert "1 slides have no row in the metadata" in done.stderr
    datasets = [pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")]
    named = {dataset.PatientID for dataset in datasets if dataset.PatientID == "MRN-A"}
    studies = {dataset.StudyInstanceUID for dataset in datasets}
    assert (len(named), len(studies)) == ((1, 1) if profile == "care" else (0, 2))


def test_executor_that_loses_a_result_and_repeats_the_task_costs_no_slide(tmp_path):
    build_slides(tmp_path / "in", 3)
    outcomes = convert_all(tmp_path / "in", tmp_path / "out", executor=Twice())
    assert {outcome.state for outcome in outcomes} == {State.DONE}
    assert_ledger_and_disk_agree(tmp_path / "out", 3)


def test_events_are_json_lines(tmp_path):
    build_slides(tmp_path / "in", 2)
    told = command("convert", tmp_path / "in", "-o", tmp_path / "out", "--json", "--jobs", "1")
    events = [json.loads(line) for line in told.stdout.splitlines()]
    assert [event["event"] for event in events] == ["start", "slide", "slide", "end"]
    assert events[0]["slides"] == 2


def test_dry_run_says_what_would_become_and_writes_nothing(tmp_path):
    build_slides(tmp_path / "in", 2)
    out = command("convert", tmp_path / "in", "-o", tmp_path / "out", "--dry-run").stdout
    assert "slide 1: Aperio SVS: copy" in out
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
    for words in [*commands, ["convert", "in", "-o", "new", "--dry-run"]]:
        done = subprocess.run(
            [sys.executable, "-m", "coverslip", *words, "--show-paths"],
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
