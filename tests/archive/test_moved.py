"""A slide that was moved is not converted again, and a copy of one is a copy."""

import json
import shutil

import pytest

from coverslip.archive.ledger import State, read_ledger
from coverslip.archive.records import SlideRecord
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from tests.archive.runs import assert_ledger_and_disk_agree, build_slides
from tests.archive.test_run import convert_all
from tests.program import command

PROFILES = {
    "research": ("research", True),
    "public with links": ("public", True),
    "public": ("public", False),
}


class Archive:
    def __init__(self, folder, profile, has_vault):
        self.folder, self.out, self.profile = folder, folder / "out", profile
        self.vault = folder / "out.vault" if has_vault else None
        build_slides(folder / "A", 3)

    def run(self, *inputs, **options):
        """Convert folders, and return the outcomes."""
        custody = Custody() if self.vault is None else Custody(vault=self.vault)
        paths = [self.folder / name for name in inputs]
        policy = Policy(profile=self.profile, **options.pop("policy", {}))
        return convert_all(paths, self.out, policy=policy, custody=custody, **options)

    def rows(self) -> list[SlideRecord]:
        return list(read_ledger(self.folder / "out.vault"))

    def move(self, old, new):
        (self.folder / old).rename(self.folder / new)


@pytest.fixture(params=PROFILES)
def archive(request, tmp_path):
    """Three slides that are done."""
    made = Archive(tmp_path, *PROFILES[request.param])
    assert [one.state for one in made.run("A")] == [State.DONE] * 3
    return made


def test_moved_folder_is_done_and_its_slides_have_its_paths(archive):
    before = sorted(archive.out.iterdir())
    archive.move("A", "B")

    assert archive.run("B") == []

    rows = archive.rows()
    assert [row.state for row in rows] == [State.DONE] * 3
    assert sorted(archive.out.iterdir()) == before
    if rows[0].outputs is not None:
        assert {row.path.parts[-3] for row in rows} == {"B"}
    assert archive.run("B") == []


def test_moved_back_and_one_renamed_is_done_too(archive):
    archive.move("A", "B")
    archive.run("B")
    archive.move("B", "A")
    archive.move("A/case 0", "A/zero")
    assert archive.run("A") == []
    assert len(archive.rows()) == 3


def test_moved_slides_are_replaced_on_demand_and_not_doubled(archive):
    archive.move("A", "B")
    outcomes = archive.run("B", overwrite=True)
    assert [one.state for one in outcomes] == [State.DONE] * 3
    assert len(archive.rows()) == 3
    if archive.rows()[0].outputs is not None:
        assert_ledger_and_disk_agree(archive.out, 3)


def test_moved_slide_whose_policy_changed_is_converted_again(archive):
    archive.move("A", "B")
    outcomes = archive.run("B", policy={"sparse": True})
    assert [one.state for one in outcomes] == [State.DONE] * 3
    assert len(archive.rows()) == 3


def test_copy_beside_its_original_is_no_moved_slide(archive):
    shutil.copytree(archive.folder / "A", archive.folder / "B")  # with its times
    outcomes = archive.run("A", "B")
    expected = State.FAILED if archive.profile == "research" else State.DONE
    assert [one.state for one in outcomes] == [expected] * 3
    assert len(archive.rows()) == 6


def test_other_slide_of_the_same_size_is_no_moved_one(archive):
    archive.move("A", "B")
    path = next((archive.folder / "B" / "case 1").iterdir())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert len(archive.run("B")) == 1
    assert len(archive.rows()) == 4  # what it was is done still


def test_run_and_dry_run_say_so_without_a_path(tmp_path):
    build_slides(tmp_path / "DOE-1", 2)
    options = ("-o", tmp_path / "out", "--profile", "research")
    assert command("convert", tmp_path / "DOE-1", *options).returncode == 0
    (tmp_path / "DOE-1").rename(tmp_path / "DOE-2")

    planned = command("convert", tmp_path / "DOE-2", *options, "--dry-run")
    assert planned.returncode == 0
    assert "slide 1" in planned.stdout

    done = command("convert", tmp_path / "DOE-2", *options, "--json")
    start = json.loads(done.stdout.splitlines()[0])
    assert (start["found"], start["slides"], start["moved"]) == (2, 0, 2)
    for text in (planned.stdout, planned.stderr, done.stdout, done.stderr):
        assert "DOE" not in text
    status = command("status", tmp_path / "out")
    assert status.returncode == 0
    assert status.stdout.split() == ["done", "2"]
