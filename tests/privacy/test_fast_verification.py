"""``verify --fast``, which looks at no frame, and ``--identifiers``, which needs no slide."""

import time

import pytest

import coverslip
from coverslip.deid.custody import Custody
from coverslip.sample import write_sample
from tests.privacy import sites
from tests.program import command
from tests.synth import build_svs


@pytest.fixture
def made(tmp_path):
    slide = build_svs(tmp_path, levels=2, size=(300, 200))
    custody = Custody(vault=tmp_path / "vault")
    result = coverslip.convert(slide.path, tmp_path / "out", profile="research", custody=custody)
    return slide, result


def canary(slide):
    """Return a word of the file's name: the vault keeps that too."""
    return next(word for word in slide.path.stem.split("-") if word.isalpha() and len(word) > 6)


def run(*arguments):
    return command("verify", *arguments)


def test_clean_output_is_clean_and_what_was_left_out_is_told(made, tmp_path):
    slide, _ = made
    report = coverslip.verify(tmp_path / "out", slide.path, fast=True)
    assert report.is_clean
    assert report.terms > 20
    assert any("only headers" in what for what in report.out_of_scope)


@pytest.mark.parametrize(
    "plant",
    [sites.in_element(0x0010, 0x4000, "LT"), sites.in_certificate("residual_risk")],
    ids=["element", "certificate"],
)
def test_term_outside_of_frames_is_found(plant, made, tmp_path):
    slide, result = made
    plant(result.study_path, canary(slide).encode())
    found = coverslip.verify(tmp_path / "out", slide.path, fast=True).found
    assert any(survivor.encoding is not None for survivor in found)


def test_file_name_is_searched(made, tmp_path):
    slide, result = made
    (result.study_path / f"{canary(slide)}.txt").write_text("nothing")
    report = coverslip.verify(tmp_path / "out", slide.path, fast=True)
    assert any(survivor.place == "name" for survivor in report.found)


def test_it_takes_less_than_half_a_second_of_one_core(tmp_path):
    slide = tmp_path / "slide.svs"
    write_sample(slide, byte_count=30_000_000)
    coverslip.convert(slide, tmp_path / "out", verify=False)
    coverslip.verify(tmp_path / "out", slide, fast=True)  # loads what is loaded once
    took = []
    for _ in range(3):  # processes that share a core with it take its caches
        start = time.process_time()
        assert coverslip.verify(tmp_path / "out", slide, fast=True).is_clean
        took.append(time.process_time() - start)
    assert min(took) < 0.5


def test_originals_of_a_vault_are_looked_for_without_the_slide(made, tmp_path):
    slide, result = made
    slide.path.unlink()
    done = run(tmp_path / "out", "--identifiers", tmp_path / "vault")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no terms" not in done.stdout

    sites.in_element(0x0010, 0x4000, "LT")(result.study_path, canary(slide).encode())
    done = run(tmp_path / "out", "--identifiers", tmp_path / "vault", "--fast")
    assert done.returncode == 1
    assert "(kept in the vault)" in done.stdout
    assert canary(slide) not in done.stdout + done.stderr


def test_vault_of_other_slides_is_refused(made, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    coverslip.convert(build_svs(folder, levels=1, size=(200, 200)).path, folder / "out")
    done = run(folder / "out", "--identifiers", tmp_path / "vault")
    assert done.returncode == 4
    assert "keeps nothing of the slides" in done.stderr
