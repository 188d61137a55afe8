"""What the commands say of a run, and with which status they end."""

import hashlib
import json
import sqlite3
import sys

import pytest

from coverslip.archive.claim import MARK
from coverslip.archive.ledger import open_ledger
from tests.archive.runs import build_slides
from tests.archive.test_run import convert_all, hidden_in, linking
from tests.program import command
from tests.synth import build_generic


def cut_off(out):
    """Make the ledger say that a run died with its first slide in hand."""
    with sqlite3.connect(out.with_name("out.vault") / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE slide SET state = 'running' WHERE number = 1")
        ledger.execute("UPDATE slide SET state = 'waiting' WHERE number = 2")


def test_status_knows_whether_a_run_is_alive_and_all_is_converted(tmp_path):
    build_slides(tmp_path / "in", 3)
    convert_all(tmp_path / "in", tmp_path / "out")
    assert command("status", "out", cwd=tmp_path).returncode == 0

    cut_off(tmp_path / "out")
    told = command("status", "out", cwd=tmp_path)
    assert told.returncode == 1
    assert "cut off     1" in told.stdout
    assert "waiting     1" in told.stdout
    with open_ledger(tmp_path / "out.vault", tmp_path / "out"):
        told = command("status", "out", cwd=tmp_path)
        assert "running     1" in told.stdout
        assert json.loads(command("status", "out", "--json", cwd=tmp_path).stdout)["run_is_alive"]


def test_output_of_an_earlier_state_is_told_with_what_to_do(tmp_path):
    paths = build_slides(tmp_path / "in", 2)
    convert_all(tmp_path / "in", tmp_path / "out", custody=linking(tmp_path))
    paths[0].write_bytes(paths[0].read_bytes()[:3000])
    done = command("convert", "in", "-o", "out", "--vault", "out.vault", cwd=tmp_path)
    assert "of 1 slides an earlier state is still in the output" in done.stderr
    assert "1 were done of another state of the slide: they are converted again" in done.stderr

    told = command("status", "out", cwd=tmp_path).stdout
    assert "slide 1: of an earlier state of it" in told
    assert "remove it, or mend the slide and run again" in told
    told = json.loads(command("status", "out", "--json", cwd=tmp_path).stdout)
    summary = json.loads((tmp_path / "out.vault" / "summary.json").read_text())
    (left,) = summary["superseded"]
    study = tmp_path / "out" / left["study_instance_uid"]
    assert told["rows"][0]["superseded"]["study"] == study.name
    assert command("report", "out", "-o", "page.html", cwd=tmp_path).returncode == 0
    assert left["certificate"] in (tmp_path / "page.html").read_text()
    study.rename(tmp_path / "gone")
    assert "earlier state" not in command("status", "out", cwd=tmp_path).stdout


def test_summary_certifies_the_run(tmp_path):
    build_slides(tmp_path / "in", 2)
    done = command("convert", "in", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0
    summary = json.loads((tmp_path / "out.vault" / "summary.json").read_text())
    assert summary["read_back"] == {"passed": 2, "not_run": 0}
    assert summary["frames"] == sum(summary["frames_by_route"].values())
    for study in summary["studies"]:
        certificate = tmp_path / "out" / study["study_instance_uid"] / study["certificate"]
        digest = hashlib.sha256(certificate.read_bytes()).hexdigest()
        assert (study["certificate_sha256"], study["read_back"]) == (digest, "passed")


def test_dry_run_tells_room_hints_and_what_is_done_and_says_so_with_its_status(tmp_path):
    build_slides(tmp_path / "in", 2)
    convert_all(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "x").mkdir()
    build_generic(tmp_path / "in" / "x", levels=1, size=(200, 150), mpp=False)
    done = command("convert", "in", "-o", "out", "--dry-run", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("done already\n") == 2
    assert "slide 3: refused: the slide does not tell its pixel spacing (give it" in done.stdout
    assert "3 slides, 1 would be refused, 2 are done already" in done.stdout
    assert "kB needed" in done.stdout
    told = command("convert", "in", "-o", "out", "--dry-run", "--json", cwd=tmp_path)
    plan = json.loads(told.stdout)
    assert (plan["done"], plan["refused"], len(plan["plan"])) == (2, 1, 3)
    assert plan["room_free"] > 0

    again = command("convert", "in", "-o", "new", "--dry-run", "--mpp", "0.5", cwd=tmp_path)
    assert again.returncode == 0, again.stdout
    plan = command(
        "convert", "in", "-o", "new", "--dry-run", "--mpp", "0.5", "--json", cwd=tmp_path
    )
    needed = json.loads(plan.stdout)["room_needed"]
    command("convert", "in", "-o", "new", "--mpp", "0.5", cwd=tmp_path)
    written = sum(p.stat().st_size for p in (tmp_path / "new").rglob("*.dcm"))
    assert 0.8 < needed / written < 1.3


def test_dry_run_fails_where_there_is_no_room(in_namespace, tmp_path):
    build_slides(tmp_path / "in", 2)
    (tmp_path / "disk").mkdir()
    done = in_namespace(
        f"mount -t tmpfs -o size=8k none disk; {sys.executable} -m coverslip convert in"
        " -o disk/out --dry-run; echo first $?"
    )
    assert "first 1" in done.stdout
    assert "error: the output has not enough room" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["convert", "DOE-1.svs", "-o", "out"], "there is nothing at input 1"),
        (["inspect", "DOE-1.svs"], "there is no such slide"),
        (["convert", "in", "-o", "out", "--profile", "DOE"], "there is no such choice for profile"),
        (["--limit", "doe=1", "convert", "in", "-o", "out"], "--limit: there is no limit"),
        (["convert", "in", "-o", "out", "--key", "DOE"], "the key cannot be read"),
        (["convert", "in", "-o", "out", "--metadata", "DOE"], "the metadata cannot be read"),
        (["convert", "in", "-o", "out", "--policy", "DOE"], "the policy cannot be read"),
        (["status", "DOE"], "there is no ledger"),
        (["report", "DOE"], "there is no such output"),
    ],
)
def test_what_is_wrong_with_the_command_is_told_with_status_2(arguments, error, tmp_path):
    build_slides(tmp_path / "in", 1)
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {error}")
    assert "DOE" not in done.stderr


def test_only_errors_of_a_slide_name_the_slide(tmp_path):
    build_slides(tmp_path / "in", 1)
    with open_ledger(tmp_path / "out.vault", tmp_path / "out"):
        done = command("convert", "in", "-o", "out", cwd=tmp_path)
    assert done.stderr.startswith("error: another run is at work")
    assert done.returncode == 1
    (tmp_path / "file").write_text("")
    done = command("convert", next((tmp_path / "in").rglob("*.svs")), "-o", "file", cwd=tmp_path)
    assert done.stderr.startswith("error: the output is a file")


def test_options_that_one_slide_has_no_use_for_are_told(tmp_path):
    (path,) = build_slides(tmp_path / "in", 1)
    options = ["--jobs", "2", "--include", "*.tif"]
    done = command("convert", path, "-o", "out", *options, cwd=tmp_path)
    assert done.returncode == 0
    assert "note: --jobs, --include: only of use for many slides" in done.stderr


def test_help_of_the_vault_tells_of_the_ledger_under_public(tmp_path):
    told = " ".join(command("convert", "--help", cwd=tmp_path).stdout.replace("│", " ").split())
    assert "under public too, the ledger lies there" in told


def test_events_and_outputs_hold_nothing_to_find_the_source_by(tmp_path):
    build_slides(tmp_path / "in", 1)
    done = command("convert", "in", "-o", "out", "--json", cwd=tmp_path)
    assert "quick_digest" not in done.stdout
    assert hidden_in(tmp_path / "out") == {MARK}
