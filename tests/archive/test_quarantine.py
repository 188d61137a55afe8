"""Runs with slides that are set aside: to be looked at, vouched for, tried again."""

import errno
import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from coverslip import conversion
from coverslip.archive import ledger
from coverslip.archive import run as archive_run
from coverslip.archive.ledger import Outputs, State, read_ledger
from coverslip.archive.many import convert_many
from coverslip.archive.stopping import StoppedError
from coverslip.archive.workers import Outcome
from coverslip.cli.progress import is_to_be_told
from coverslip.deid.policy import Policy, Profile
from tests.archive.test_run import Inline
from tests.program import command
from tests.synth import build_generic, build_svs
from tests.synth.overview import with_bar_code

DOUBT = "shows what looks like bar codes"


@pytest.fixture
def slides(tmp_path):
    folder = tmp_path / "in"
    (folder / "a").mkdir(parents=True)
    build_svs(folder / "a", 1, levels=1, size=(300, 200))
    build_generic(folder, 2, levels=2, picture=with_bar_code(610, 450))
    return folder


def run(slides, out, **options):
    return {o.number: o for o in convert_many(slides, out, jobs=1, **options)}


def set_aside(out):
    folder = out.with_name(f"{out.name}.quarantine")
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else None


def in_doubt(outcomes):
    (outcome,) = (o for o in outcomes.values() if o.state is State.QUARANTINED)
    return outcome


def test_slide_in_doubt_is_set_aside_and_the_others_are_done(slides, tmp_path):
    outcome = in_doubt(run(slides, tmp_path / "out"))
    assert DOUBT in outcome.reason
    assert "--pixels-attested" in outcome.hint
    assert set_aside(tmp_path / "out") == [outcome.set_aside]
    assert outcome.outputs is None
    (record,) = (r for r in read_ledger(tmp_path / "out.vault") if r.number == outcome.number)
    assert (record.state, record.set_aside) == (State.QUARANTINED, outcome.set_aside)


def test_what_is_set_aside_and_did_not_change_waits(slides, tmp_path):
    first = in_doubt(run(slides, tmp_path / "out"))
    assert run(slides, tmp_path / "out") == {}
    assert set_aside(tmp_path / "out") == [first.set_aside]
    done = command("convert", slides, "-o", tmp_path / "out")
    assert done.returncode == 3
    assert "1 are set aside" in done.stderr
    planned = command("convert", slides, "-o", tmp_path / "out", "--dry-run")
    assert "set aside already" in planned.stdout
    assert "1 are done already; 1 are set aside" in planned.stdout


def remove(slides, out):
    shutil.rmtree(out.with_name("out.quarantine"))


def change(slides, _):
    (slide,) = slides.glob("*.tif*")
    os.utime(slide, (1, 1))


@pytest.mark.parametrize("changed", [remove, change, None])
def test_what_is_tried_again_takes_the_place_of_what_was(changed, slides, tmp_path):
    out = tmp_path / "out"
    first = in_doubt(run(slides, out))
    if changed is not None:
        changed(slides, out)
    second = run(slides, out, overwrite=changed is None)
    (again,) = (o for o in second.values() if o.state is State.QUARANTINED)
    assert again.number == first.number
    assert set_aside(out) == [again.set_aside]
    assert again.set_aside != first.set_aside


def test_what_was_set_aside_goes_when_somebody_vouches(slides, tmp_path):
    first = in_doubt(run(slides, tmp_path / "out"))
    vouched = run(slides, tmp_path / "out", policy=Policy(pixels_attested="Dr. Who"))
    assert {o.number: o.state for o in vouched.values()} == {first.number: State.DONE}
    assert set_aside(tmp_path / "out") == []
    assert all(record.set_aside is None for record in read_ledger(tmp_path / "out.vault"))


class Killed(BaseException):
    pass


def killed_before(name, monkeypatch):
    """Have the coordinator end where it calls something of the ledger, as if it were killed."""

    def end(*_, **__):
        raise Killed

    monkeypatch.setattr(ledger.Ledger, name, end)


@pytest.mark.parametrize("step", ["fail", "finish"])
def test_run_that_is_killed_between_two_steps_leaves_one_study_of_a_slide(
    step, slides, tmp_path, monkeypatch
):
    """Before it is noted that a slide is set aside, and before that it is done after all."""
    out, vouched = tmp_path / "out", Policy(pixels_attested="Dr. Who")
    if step == "finish":
        run(slides, out)
    with monkeypatch.context() as patched:
        killed_before(step, patched)
        with pytest.raises(Killed):
            run(slides, out, policy=vouched if step == "finish" else None)
    run(slides, out, policy=vouched)
    assert {record.state for record in read_ledger(tmp_path / "out.vault")} == {State.DONE}
    assert set_aside(out) == []
    assert len(list(out.glob("*/*.certificate.json"))) == 2


def test_slide_that_was_cut_off_is_set_aside_under_the_same_name(slides, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        killed_before("fail", patched)
        with pytest.raises(Killed):
            run(slides, out)
    (study,) = set_aside(out)
    assert in_doubt(run(slides, out)).set_aside == study
    assert in_doubt(run(slides, out, overwrite=True)).set_aside == study
    assert set_aside(out) == [study]


def test_what_no_slide_is_known_to_have_become_is_counted(slides, tmp_path):
    run(slides, tmp_path / "out")
    (tmp_path / "out.quarantine" / "2.25.7").mkdir()
    done = command("convert", slides, "-o", tmp_path / "out")
    assert "note: 1 studies in OUT.quarantine are of no slide that waits" in done.stderr


def test_quarantine_that_cannot_be_emptied_stops_nobody(slides, tmp_path, monkeypatch):
    def refuses(*_):
        raise PermissionError(1, "no")

    run(slides, tmp_path / "out")
    monkeypatch.setattr(archive_run, "release_from_quarantine", refuses)
    vouched = run(slides, tmp_path / "out", policy=Policy(pixels_attested="Dr. Who"))
    assert [outcome.state for outcome in vouched.values()] == [State.DONE]


def test_disk_that_is_full_while_a_slide_is_set_aside_ends_the_run(slides, tmp_path, monkeypatch):
    real = conversion.assemble

    def full(work, out, *seen):
        if out.name.endswith(".quarantine"):
            raise OSError(errno.ENOSPC, "full")
        return real(work, out, *seen)

    monkeypatch.setattr(conversion, "assemble", full)
    with pytest.raises(StoppedError, match="the disk is full"):
        list(convert_many(slides, tmp_path / "out", executor=Inline(), jobs=1))
    assert State.FAILED in {record.state for record in read_ledger(tmp_path / "out.vault")}


def test_leftovers_of_killed_conversions_in_the_quarantine_go(slides, tmp_path):
    run(slides, tmp_path / "out")
    left = tmp_path / "out.quarantine" / ".coverslip-0123456789abcdef"
    left.mkdir()
    left.with_name(left.name + ".lock").touch()
    run(slides, tmp_path / "out")
    assert not left.exists()


def test_slide_in_doubt_is_told_to_those_who_do_not_want_to_see_each():
    outputs = Outputs(study="2.25.1", series=(), certificate="c", doubt="level 0 shows")
    done = Outcome(number=1, state=State.DONE, seconds=1.0, byte_count=1, outputs=outputs)
    assert is_to_be_told(done)
    assert not is_to_be_told(replace(done, outputs=replace(outputs, doubt=None)))


def test_slide_that_fails_later_keeps_what_was_set_aside(slides, tmp_path):
    first = in_doubt(run(slides, tmp_path / "out"))
    (slide,) = slides.glob("*.tif*")
    slide.write_bytes(slide.read_bytes()[:2000])
    assert run(slides, tmp_path / "out")[first.number].state is State.FAILED
    assert set_aside(tmp_path / "out") == [first.set_aside]


def test_research_slide_is_done_and_everybody_is_warned(slides, tmp_path):
    arguments = ("convert", slides, "-o", tmp_path / "out", "--profile", "research")
    done = command(*arguments, "--quiet")
    assert done.returncode == 0, done.stderr
    assert f"warning: level 0 {DOUBT}" in done.stderr
    assert set_aside(tmp_path / "out") is None
    (tmp_path / "again").mkdir()
    told = command(*arguments[:2], "-o", tmp_path / "again" / "out", *arguments[4:], "--json")
    events = map(json.loads, told.stdout.splitlines())
    doubts = [event["outputs"]["doubt"] for event in events if event["event"] == "slide"]
    assert sum(DOUBT in str(doubt) for doubt in doubts) == 1
    status = command("status", tmp_path / "out")
    assert f"done: warning: level 0 {DOUBT}" in status.stdout
    checked = command("verify", tmp_path / "out", "--vault", tmp_path / "out.vault")
    assert checked.returncode == 3
    assert checked.stdout.count("(0028,0301) says that its pixels may identify") == 2
    summary = json.loads((tmp_path / "out.vault" / "summary.json").read_text())
    assert sum(DOUBT in str(row["doubt"]) for row in summary["studies"]) == 1


def test_commands_say_where_a_slide_was_set_aside(slides, tmp_path):
    done = command("convert", slides, "-o", tmp_path / "out")
    assert done.returncode == 3
    (study,) = set_aside(tmp_path / "out")
    assert f"; set aside as study {study}" in done.stderr
    told = command("status", tmp_path / "out")
    assert told.returncode == 3
    assert f": set aside as study {study}" in told.stdout
    rows = json.loads(command("status", tmp_path / "out", "--json").stdout)["rows"]
    assert [row["set_aside"] for row in rows if row["set_aside"]] == [study]
    summary = json.loads((tmp_path / "out.vault" / "summary.json").read_text())
    assert [row["set_aside"] for row in summary["not_converted"]] == [study]


def test_quarantine_inside_an_input_holds_no_slides(slides, tmp_path):
    out = slides / "out"
    run(slides, out)
    shutil.copy(next(slides.glob("*.tif*")), slides / "out.quarantine" / "stray.tif")
    assert run(slides, out) == {}
    assert "2 slides found" in command("convert", slides, "-o", out).stderr


def test_ledger_of_an_earlier_state_of_this_version_is_taken_on(slides, tmp_path):
    run(slides, tmp_path / "out", policy=Policy(profile=Profile.RESEARCH))
    path = tmp_path / "out.vault" / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE slide DROP COLUMN set_aside")
    assert [record.set_aside for record in read_ledger(path.parent)] == [None, None]
    assert run(slides, tmp_path / "out", policy=Policy(profile=Profile.RESEARCH)) == {}
