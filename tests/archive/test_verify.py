"""A whole output is checked against the slides that its ledger names."""

import json

import pytest

from tests.archive.runs import build_slides
from tests.privacy import sites
from tests.program import command


def run(*arguments):
    return command("verify", *arguments)


def convert(folder, *options):
    said = command("convert", folder / "in", "-o", folder / "out", "--jobs", "1", *options)
    assert said.returncode == 0, said.stderr


@pytest.fixture
def archive(tmp_path):
    """Return an output of three slides, its vault, and the slides."""
    slides = build_slides(tmp_path / "in", 3)
    convert(tmp_path, "--profile", "research")
    return tmp_path / "out", tmp_path / "out.vault", slides


def test_each_slide_of_a_vault_is_checked_against_its_own_source(archive):
    out, vault, slides = archive
    done = run(out, "--vault", vault, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["found"], report["unchecked"]) == (0, [], [])
    assert report["frames_equal"] > 0
    assert report["instances"] == len(list(out.rglob("*.dcm")))
    other = slides[0].stem.split("-")[0].encode()
    study = next(path.parents[1] for path in out.rglob("*.dcm"))
    sites.in_certificate("residual_risk")(study, other)
    (out / "notes.txt").write_text("x")
    done = run(out, "--vault", vault)
    assert done.returncode == 1
    assert "left by no slide of the vault" in done.stdout
    assert str(slides[0]) not in done.stdout + done.stderr


def test_a_slide_that_is_gone_was_not_checked(archive):
    out, vault, slides = archive
    slides[1].unlink()
    done = run(out, "--vault", vault)
    assert done.returncode == 4
    assert "it or its output cannot be read" in done.stdout
    assert slides[1].name not in done.stdout + done.stderr


def test_a_table_tells_what_else_to_look_for(archive, tmp_path):
    out, vault, slides = archive
    table = tmp_path / "table.csv"
    table.write_text("file,patient_name\n*,Quillfeather^Ottoline\n")
    assert run(out, "--vault", vault, "--metadata", table).returncode == 0
    study = next(path.parents[1] for path in out.rglob("*.dcm"))
    sites.in_certificate("residual_risk")(study, b"quillfeather")
    done = run(out, "--vault", vault, "--metadata", table)
    assert done.returncode == 1
    assert "given by the operator" in done.stdout
    assert run(out, "--vault", vault, "--source", slides[0]).returncode == 2
    assert run(out, "--metadata", table).returncode == 2


def test_vault_that_keeps_no_links_is_told_so(tmp_path):
    build_slides(tmp_path / "in", 1)
    convert(tmp_path)
    done = run(tmp_path / "out", "--vault", tmp_path / "out.vault")
    assert done.returncode == 4
    assert "does not keep which study came from which slide" in done.stderr
    assert run(tmp_path / "out").returncode == 0
