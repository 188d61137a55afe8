"""What a run leaves out since it is done, and what it must not leave out."""

import json
import os
import sqlite3
import sys

import pytest

import coverslip
from coverslip.archive.ledger import State, read_ledger
from coverslip.deid.custody import Custody
from coverslip.deid.identity import new_key
from coverslip.deid.metadata import read_metadata
from coverslip.deid.policy import Policy
from coverslip.errors import PolicyError
from tests.archive import test_run
from tests.archive.runs import assert_ledger_and_disk_agree, build_slides
from tests.synth import build_generic
from tests.synth.overview import with_bar_code


@pytest.fixture
def slides(tmp_path):
    """Two slides."""
    return build_slides(tmp_path / "in", 2)


def convert_all(slides, out, **options):
    """Run where the ledger remembers what each slide became."""
    return test_run.convert_all(slides, out, **{"custody": test_run.linking(out.parent), **options})


def again(tmp_path, **options):
    """Return the numbers of the slides that a run converts."""
    outcomes = convert_all(tmp_path / "in", tmp_path / "out", **options)
    return sorted(outcome.number for outcome in outcomes)


def test_slide_under_another_spelling_of_its_path_is_the_same_slide(slides, tmp_path, monkeypatch):
    assert again(tmp_path) == [1, 2]
    (tmp_path / "link").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path / "in")
    for spelling in ("../in", f"{tmp_path}/in/../in", f"{tmp_path}/link", "."):
        assert convert_all(spelling, tmp_path / "out") == []
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_output_belongs_to_one_ledger(slides, tmp_path):
    again(tmp_path)
    with pytest.raises(PolicyError, match="belongs to the ledger of another vault"):
        again(tmp_path, custody=Custody(vault=tmp_path / "other"))
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_mark_of_the_ledger_says_nothing_and_disturbs_no_check(slides, tmp_path):
    again(tmp_path)
    (mark,) = (path for path in (tmp_path / "out").iterdir() if path.is_file())
    assert int(mark.read_text(), 16) > 0
    assert coverslip.verify(tmp_path / "out").is_clean
    mark.write_text("DOE-1")
    assert not coverslip.verify(tmp_path / "out").is_clean


def test_output_that_stays_empty_is_not_left_behind(tmp_path):
    (path,) = build_slides(tmp_path / "in", 1)
    path.write_bytes(path.read_bytes()[:3000])
    (outcome,) = convert_all(tmp_path / "in", tmp_path / "deep" / "out")
    assert outcome.state is State.FAILED
    assert not (tmp_path / "deep" / "out").exists()


def test_another_key_converts_again_and_never_mixes_pseudonyms(slides, tmp_path):
    policy = Policy(profile="research")
    keys = [Custody(key=new_key(tmp_path / name)) for name in ("k1", "k2")]
    assert again(tmp_path, policy=policy, custody=keys[0]) == [1, 2]
    assert again(tmp_path, policy=policy, custody=keys[0]) == []
    assert again(tmp_path, policy=policy, custody=keys[1]) == [1, 2]
    found = {json.loads(p.read_text())["key_id"] for p in tmp_path.rglob("*.certificate.json")}
    assert found == {keys[1].key.key_id}
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_row_of_metadata_that_changed_converts_its_slide_again(slides, tmp_path):
    table = tmp_path / "table.csv"
    policy, key = Policy(profile="care"), new_key(tmp_path / "key")

    def run(first, second):
        names = [path.name for path in slides]
        table.write_text(f"file,patient_id\n{names[0]},{first}\n{names[1]},{second}\n")
        custody = Custody(metadata=read_metadata(table), key=key)
        return again(tmp_path, policy=policy, custody=custody)

    assert run("A", "B") == [1, 2]
    assert run("A", "B") == []
    assert run("A", "C") == [2]
    assert b"MRN" not in (tmp_path / "out.vault" / "ledger.sqlite").read_bytes()
    assert_ledger_and_disk_agree(tmp_path / "out", 2, check=False)


def test_what_was_not_verified_is_converted_again_with_verification(slides, tmp_path):
    assert again(tmp_path, verify=False) == [1, 2]
    assert again(tmp_path, verify=False) == []
    assert again(tmp_path) == [1, 2]
    assert again(tmp_path, verify=False) == []  # better than asked for
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_overwrite_converts_everything_again(slides, tmp_path):
    again(tmp_path)
    assert again(tmp_path, overwrite=True) == [1, 2]
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_linked_slides_may_replace_themselves(slides, tmp_path):
    options = {
        "policy": Policy(profile="research"),
        "custody": Custody(key=new_key(tmp_path / "k")),
    }
    again(tmp_path, **options)
    assert again(tmp_path, **options, overwrite=True) == [1, 2]
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_overwrite_replaces_what_no_run_has_written(slides, tmp_path):
    policy, custody = Policy(profile="research"), Custody(key=new_key(tmp_path / "k"))
    coverslip.convert(slides[0], tmp_path / "out", policy=policy, custody=custody)
    states = [o.state for o in convert_all(slides[0], tmp_path / "out", policy=policy,
                                           custody=custody)]  # fmt: skip
    assert states == [State.FAILED]
    options = {"policy": policy, "custody": custody, "overwrite": True}
    assert [o.state for o in convert_all(slides[0], tmp_path / "out", **options)] == [State.DONE]
    assert_ledger_and_disk_agree(tmp_path / "out", 1)


def _deleted(instance):
    instance.unlink()


def _truncated(instance):
    os.truncate(instance, instance.stat().st_size // 2)


@pytest.mark.parametrize("damage", [_deleted, _truncated])
def test_instance_that_is_gone_or_shorter_is_made_again(damage, slides, tmp_path):
    first, _ = convert_all(tmp_path / "in", tmp_path / "out")
    damage(next((tmp_path / "out" / first.outputs.study).rglob("*.dcm")))
    assert again(tmp_path) == [1]
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_other_bytes_of_the_same_length_and_time_are_another_slide(slides, tmp_path):
    again(tmp_path)
    path, stat = slides[0], slides[0].stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert again(tmp_path) == [1]


def test_ledger_knows_how_many_frames_took_each_route(slides, tmp_path):
    again(tmp_path)
    for record in read_ledger(tmp_path / "out.vault"):
        assert sum(record.outputs.routes.values()) == record.outputs.frames > 0
        assert set(record.outputs.routes) <= {"copied", "stitched", "retiled", "pixel", "blank"}


def test_slide_that_is_vouched_for_costs_no_other_a_conversion(slides, tmp_path):
    (tmp_path / "in" / "x").mkdir()
    (tmp_path / "in" / "x" / "doubt.tif").write_bytes(
        build_generic(tmp_path, levels=2, picture=with_bar_code(610, 450)).path.read_bytes()
    )
    states = {o.number: o.state for o in convert_all(tmp_path / "in", tmp_path / "out")}
    assert states[3] is State.QUARANTINED

    vouched = Policy(pixels_attested="Dr. Who")
    assert again(tmp_path, policy=vouched, include=["doubt.tif"]) == [3]
    assert again(tmp_path) == []
    assert again(tmp_path, policy=vouched) == []
    assert_ledger_and_disk_agree(tmp_path / "out", 3, check=False)


def test_what_a_changed_slide_was_before_is_told_while_it_lies_there(slides, tmp_path):
    first, _ = convert_all(tmp_path / "in", tmp_path / "out")
    good = slides[0].read_bytes()
    slides[0].write_bytes(good[:3000])
    assert again(tmp_path) == [1]
    record, _ = read_ledger(tmp_path / "out.vault")
    assert record.state is State.FAILED
    assert record.stale.study == first.outputs.study
    slides[0].write_bytes(good)
    assert again(tmp_path) == [1]
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_what_was_replaced_goes_even_if_the_run_was_killed_before_it_could(slides, tmp_path):
    again(tmp_path)
    old = tmp_path / "out" / "2.25.1"
    (old / "2.25.2").mkdir(parents=True)
    stale = ["2.25.1", ["2.25.2"], "c.certificate.json", [], 0, 0]
    with sqlite3.connect(tmp_path / "out.vault" / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE slide SET stale = ? WHERE number = 1", (json.dumps(stale),))
    assert again(tmp_path) == []
    assert not old.exists()
    assert_ledger_and_disk_agree(tmp_path / "out", 2)


def test_failed_slide_that_is_gone_from_the_source_fails_no_longer(slides, tmp_path):
    slides[1].write_bytes(slides[1].read_bytes()[:3000])
    again(tmp_path)
    slides[1].unlink()
    assert again(tmp_path) == []
    states = [record.state for record in read_ledger(tmp_path / "out.vault")]
    assert states == [State.DONE, State.GONE]
    slides[0].unlink()  # what is done stays done
    build_slides(tmp_path / "in" / "more", 1)
    assert again(tmp_path) == [3]
    states = [record.state for record in read_ledger(tmp_path / "out.vault")]
    assert states == [State.DONE, State.GONE, State.DONE]


OLD = """
CREATE TABLE slide (
    number INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE,
    byte_count INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT, hint TEXT, attempts INTEGER NOT NULL DEFAULT 0,
    seed BLOB, policy_sha256 TEXT, seconds REAL, updated TEXT NOT NULL,
    outputs TEXT, stale TEXT
);
"""


def test_ledger_of_the_first_version_is_read_and_gone_on_with(slides, tmp_path):
    again(tmp_path)
    records = read_ledger(tmp_path / "out.vault")
    path = tmp_path / "out.vault" / "ledger.sqlite"
    path.unlink()
    (tmp_path / "out" / ".coverslip-ledger").unlink()
    with sqlite3.connect(path) as old:
        old.executescript(OLD)
        for r in records:
            outputs = json.dumps(
                (r.outputs.study, r.outputs.series, r.outputs.certificate, [], 9, 7)
            )
            values = (r.number, os.fsencode(r.path), r.byte_count, r.mtime_ns)
            made = (Policy().digest(), 1.5, r.updated, outputs)
            query = (
                "INSERT INTO slide VALUES (?, ?, ?, ?, 'done', NULL, NULL, 1, NULL, ?, ?, ?, ?, "
                "NULL)"
            )
            old.execute(query, (*values, *made))
        more = (
            3,
            os.fsencode(tmp_path / "in" / ".." / "in" / slides[0].relative_to(tmp_path / "in")),
        )
        old.execute(query, (*more, *values[2:], *made))
    assert [record.outputs.frames for record in read_ledger(tmp_path / "out.vault")] == [7, 7, 7]
    assert again(tmp_path) == []
    assert again(tmp_path, policy=Policy(label="substitute")) == [1, 2]


@pytest.mark.parametrize(
    "change", ["PRAGMA user_version = 99", "ALTER TABLE slide RENAME seed TO s"]
)
def test_ledger_of_another_schema_is_told(change, slides, tmp_path):
    again(tmp_path)
    with sqlite3.connect(tmp_path / "out.vault" / "ledger.sqlite") as ledger:
        ledger.execute(change)
    for use in (lambda: again(tmp_path), lambda: read_ledger(tmp_path / "out.vault")):
        with pytest.raises(PolicyError, match="another version of coverslip"):
            use()


def test_vault_that_may_only_be_read_tells_the_status(in_namespace, slides, tmp_path):
    again(tmp_path)
    done = in_namespace(
        "mount --bind out.vault out.vault; mount -o remount,bind,ro out.vault;"
        f" {sys.executable} -m coverslip status out"
    )
    assert "done        2" in done.stdout, done.stderr
    assert done.returncode == 0
