"""Keys of the environment and of a program: the same names as by a key file, and seen nowhere."""

import base64
import json
import os

import pydicom
import pytest

import coverslip
from coverslip.cli.convert import custody_from
from coverslip.deid.custody import Custody
from coverslip.deid.identity import KEY_VARIABLE, Key
from coverslip.deid.policy import Policy, Profile
from coverslip.errors import PolicyError
from tests import program
from tests.archive.runs import build_slides
from tests.privacy.search import places_of, survivors
from tests.synth import build_generic

SECRET = bytes(range(100, 132))
OTHER = bytes(range(32))
SPELLINGS = [SECRET.hex(), SECRET.hex().upper(), base64.b64encode(SECRET).decode(), repr(SECRET)]
SOURCES = {"key": Key(SECRET), "bytes": SECRET, "callable": lambda: SECRET}
MALFORMED = ["", SECRET.hex()[:-1], SECRET.hex()[:-1] + "g", "a passphrase and no key"]


def uids(out):
    return sorted(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
                  for path in out.rglob("*.dcm"))  # fmt: skip


def command(*arguments, key):
    environment = {**os.environ, KEY_VARIABLE: key}
    return program.command("convert", *arguments, env=environment)


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(SECRET.hex() + "\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_key_and_none_is_shown(name):
    custody = Custody(key=SOURCES[name])

    assert custody.key == Key(SECRET)
    assert survivors(SPELLINGS, {"repr": repr(custody).encode()}) == set()


@pytest.mark.parametrize("source", [b"short", "text", lambda: None, lambda: b"short"])
def test_what_is_no_key_is_refused(source):
    with pytest.raises(PolicyError, match="a key"):
        Custody(key=source)


def test_function_is_called_once_and_never_pickled(tmp_path):
    calls = []
    build_slides(tmp_path / "in", 2)
    custody = Custody(key=lambda: calls.append(1) or SECRET)
    policy = Policy(profile="research")
    outcomes = list(
        coverslip.convert_many(tmp_path / "in", tmp_path / "out", policy=policy, custody=custody)
    )

    assert [outcome.reason for outcome in outcomes] == [None, None]
    assert calls == [1]


@pytest.mark.parametrize("profile", Profile)
def test_environment_counts_where_the_profile_uses_keys_and_is_emptied(profile, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, SECRET.hex() + "\n")
    key = custody_from(None, None, None, None, Policy(profile=profile)).key

    assert key == (None if profile is Profile.PUBLIC else Key(SECRET))
    assert KEY_VARIABLE not in os.environ


def test_key_file_counts_more_than_the_environment(key_file, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, OTHER.hex())
    key = custody_from(key_file, None, None, None, Policy(profile="research")).key

    assert key == Key(SECRET)
    assert KEY_VARIABLE not in os.environ


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_variable_is_an_error_that_does_not_show_it(text, tmp_path):
    slide = build_generic(tmp_path)
    done = command(slide.path, "-o", tmp_path / "out", "--profile", "research", key=text)

    assert done.returncode == 2
    assert f"{KEY_VARIABLE} holds no key" in done.stderr
    assert not text or text not in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()


def test_variable_that_public_does_not_use_changes_nothing(tmp_path):
    slide = build_generic(tmp_path)
    done = command(slide.path, "-o", tmp_path / "out", "--json", key=MALFORMED[-1])

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["certificate"]["key_id"] is None


def test_workers_of_an_archive_have_the_key_of_the_environment_and_nobody_sees_it(
    key_file, tmp_path
):
    build_slides(tmp_path / "in", 3)
    done = command(tmp_path / "in", "-o", tmp_path / "out", "--profile", "research",
                   "--jobs", 2, "--json", key=SECRET.hex())  # fmt: skip
    assert done.returncode == 0, done.stderr
    by_file = command(tmp_path / "in", "-o", tmp_path / "again", "--profile", "research",
                      "--key", key_file, key=OTHER.hex())  # fmt: skip
    assert by_file.returncode == 0, by_file.stderr

    assert uids(tmp_path / "out") == uids(tmp_path / "again")
    assert survivors(SPELLINGS, places_of(tmp_path / "out", done.stdout + done.stderr)) == set()
    vault = {
        path.name: path.read_bytes() for path in (tmp_path / "out.vault").rglob("*")
        if path.is_file()
    }  # fmt: skip
    assert vault
    assert not any(SECRET in data or SECRET.hex().encode() in data for data in vault.values())
    certificate = next((tmp_path / "out").rglob("*.certificate.json"))
    assert json.loads(certificate.read_text())["key_id"] == Key(SECRET).key_id
