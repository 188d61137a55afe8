"""Runs with slides that are set aside: to be looked at, vouched for, tried again."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from coverslip.archive.ledger import State, read_ledger
from coverslip.archive.many import convert_many
from coverslip.deid.policy import Policy, Profile
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


def test_what_is_tried_again_takes_the_place_of_what_was(slides, tmp_path):
    first = in_doubt(run(slides, tmp_path / "out"))
    second = run(slides, tmp_path / "out")
    assert list(second) == [first.number]
    assert set_aside(tmp_path / "out") == [second[first.number].set_aside]
    assert second[first.number].set_aside != first.set_aside


def test_what_was_set_aside_goes_when_somebody_vouches(slides, tmp_path):
    first = in_doubt(run(slides, tmp_path / "out"))
    vouched = run(slides, tmp_path / "out", policy=Policy(pixels_attested="Dr. Who"))
    assert {o.number: o.state for o in vouched.values()} == {first.number: State.DONE}
    assert set_aside(tmp_path / "out") is None
    assert all(record.set_aside is None for record in read_ledger(tmp_path / "out.vault"))


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
    summary = json.loads((tmp_path / "out.vault" / "summary.json").read_text())
    assert sum(DOUBT in str(row["doubt"]) for row in summary["studies"]) == 1


def test_commands_say_where_a_slide_was_set_aside(slides, tmp_path):
    done = command("convert", slides, "-o", tmp_path / "out")
    assert done.returncode == 3
    (study,) = set_aside(tmp_path / "out")
    assert f"; set aside as study {study}" in done.stderr
    told = command("status", tmp_path / "out")
    assert told.returncode == 3
    assert f"; set aside as study {study}" in told.stdout
    rows = json.loads(command("status", tmp_path / "out", "--json").stdout)["rows"]
    assert [row["set_aside"] for row in rows if row["set_aside"]] == [study]
    summary = json.loads((tmp_path / "out.vault" / "summary.json").read_text())
    assert [row["set_aside"] for row in summary["not_converted"]] == [study]


def test_quarantine_inside_an_input_holds_no_slides(slides, tmp_path):
    out = slides / "out"
    run(slides, out)
    shutil.copy(next(slides.glob("*.tif*")), slides / "out.quarantine" / "stray.tif")
    assert len(run(slides, out)) == 1


def test_ledger_of_an_earlier_state_of_this_version_is_taken_on(slides, tmp_path):
    run(slides, tmp_path / "out", policy=Policy(profile=Profile.RESEARCH))
    path = tmp_path / "out.vault" / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE slide DROP COLUMN set_aside")
    assert [record.set_aside for record in read_ledger(path.parent)] == [None, None]
    assert run(slides, tmp_path / "out", policy=Policy(profile=Profile.RESEARCH)) == {}
