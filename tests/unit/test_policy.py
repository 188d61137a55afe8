import json
from contextlib import suppress
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from coverslip.cli import convert
from coverslip.cli.app import app
from coverslip.deid.policy import Dates, Keep, Link, Policy, Profile, read_policy
from coverslip.errors import PolicyError


def read(folder, text, **overrides):
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return read_policy(path, overrides)


def test_file_states_a_policy_and_options_count_more(tmp_path):
    text = 'profile = "research"\ndates = "full"\nkeep = ["device"]\nproject = "A"\n'

    assert read(tmp_path, text, dates="drop") == Policy(
        profile=Profile.RESEARCH, dates=Dates.DROP, keep=frozenset({Keep.DEVICE}), project="A"
    )


OPTIONS = {
    "dates": ("research", "drop"),
    "keep": ("research", ["device", "institution"]),
    "link": ("research", "slide"),
    "accession": ("research", "pseudonym"),
    "project": ("research", "TRIAL-7"),
    "year": ("public", "keep"),
    "time": ("research", "keep"),
    "anatomy": ("public", "keep"),
    "label": ("public", "substitute"),
    "overview": ("public", "mask"),
    "thumbnail": ("research", "keep"),
    "pixels_attested": ("public", "A. Reader"),
    "mpp_um": ("public", 0.25),
    "colour": ("public", "RGB"),
    "allow_pixel": ("public", True),
    "allow_recode": ("public", 85),
    "ndpi_frames": ("public", 512),
    "j2k_ycc": ("public", "pixel"),
    "deflated_frames": ("public", True),
    "sparse": ("public", True),
    "max_instance_size": ("public", 2_000_000_000),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_says_the_same_on_the_command_line_and_in_a_file(
    option, tmp_path, monkeypatch
):
    profile, value = OPTIONS[option]
    path = tmp_path / "policy.toml"
    path.write_text(f"profile = {json.dumps(profile)}\n{option} = {json.dumps(value)}\n")
    (tmp_path / "slide").touch()
    seen = []
    monkeypatch.setattr(convert, "run", lambda slide, out, *, policy, **_: seen.append(policy))
    named = {"mpp_um": "--mpp"}.get(option, f"--{option.replace('_', '-')}")
    words = value if isinstance(value, list) else [value]
    typed = (
        [named]
        if value is True
        else [part for word in words for part in (named, {"RGB": "rgb"}.get(word, str(word)))]
    )
    slide, out = str(tmp_path / "slide"), str(tmp_path / "out")
    for choice in (["--profile", profile, *typed], ["--policy", str(path)]):
        done = CliRunner().invoke(app, ["convert", slide, "-o", out, *choice])
        assert done.exit_code == 0, done.output

    assert seen[0] == seen[1] == Policy(**{"profile": profile, option: value})
    assert seen[0].digest() == seen[1].digest() != Policy(profile=profile).digest()


def test_every_option_of_a_policy_is_among_them():
    assert {field.name for field in fields(Policy)} == {"profile", *OPTIONS}


def test_unknown_key_is_told_by_its_number(tmp_path):
    with pytest.raises(PolicyError, match="key 2 of the policy is not known") as raised:
        read(tmp_path, 'profile = "care"\n"Doe Jane" = "4711"')
    assert "Doe" not in str(raised.value)


def test_default_that_is_said_makes_no_other_policy():
    said = Policy(profile="research", dates="shift", link="patient")

    assert said == Policy(profile="research")
    assert said.digest() == Policy(profile="research").digest()


@pytest.mark.parametrize(
    "options",
    [
        {"dates": "shift"},
        {"dates": "full"},
        {"keep": ["device"]},
        {"link": "patient"},
        {"accession": "pseudonym"},
        {"profile": "care", "dates": "shift"},
        {"profile": "care", "keep": ["device"]},
        {"profile": "care", "year": "keep"},
        {"profile": "care", "time": "keep"},
        {"profile": "public", "time": "keep"},
        {"profile": "research", "time": "keep", "dates": "drop"},
        {"profile": "research", "time": "full"},
        {"profile": "research", "year": "keep"},
        {"thumbnail": "keep"},
        {"profile": "care", "thumbnail": "mask"},
        {"profile": "research", "dates": "sometimes"},
        {"profile": "research", "keep": "device"},
        {"profile": "research", "keep": [["device"]]},
        {"profile": "research", "accession": "yes"},
        {"project": "a b"},
        {"project": 7},
        {"profile": []},
        {"mpp_um": "0.25"},
        {"mpp_um": True},
        {"colour": "CMYK"},
    ],
)
def test_policy_that_cannot_be_carried_out_is_refused(options):
    with pytest.raises(PolicyError):
        Policy(**options)


words = st.sampled_from([*Profile, *Dates, *Keep, *Link, "keep", "pseudonym", "RGB", "", "x"])
scalars = st.one_of(words, st.integers(), st.floats(), st.booleans(), st.none(), st.lists(words))
names = [
    "profile",
    "dates",
    "keep",
    "link",
    "accession",
    "year",
    "time",
    "project",
    "mpp_um",
    "colour",
]


@given(st.dictionaries(st.sampled_from(names), scalars))
def test_any_choices_are_a_policy_with_a_digest_or_a_policy_error(choices):
    try:
        policy = Policy(**choices)
    except PolicyError:
        return
    assert len(policy.digest()) == 64
    assert Policy(profile=policy.profile, **policy.options()) == policy


@given(text=st.text(max_size=200))
def test_any_text_is_a_policy_or_a_policy_error(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "policy.toml"
    path.write_text(text, encoding="utf-8")

    with suppress(PolicyError):
        read_policy(path)
