from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_unknown_key_is_named(tmp_path):
    with pytest.raises(PolicyError, match="unknown key 'profil'"):
        read(tmp_path, 'profil = "care"')


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
        {"profile": "research", "year": "keep"},
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
names = ["profile", "dates", "keep", "link", "accession", "year", "project", "mpp_um", "colour"]


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
