"""That no colour profile of ours is found fault with, and that a changed one is."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coverslip.deid.icc import rebuild_profile, srgb_profile
from coverslip.verification import colours
from tests.unit import test_icc

REBUILT = {name: rebuild_profile(source) for name, source in test_icc.PROFILES.items()}
TEXT = b"Doe^John 1957-03-05 Ward 12 MRN 4711" * 40_000


@pytest.mark.parametrize("profile", [*REBUILT.values(), srgb_profile()], ids=[*REBUILT, "sRGB"])
def test_what_the_writer_makes_has_nothing_wrong(profile):
    assert list(colours.problems_of(profile)) == []


@given(
    st.sampled_from([*test_icc.PROFILES.values()]),
    st.lists(st.tuples(st.integers(0, 1500), st.binary(min_size=1, max_size=12)), max_size=3),
)
def test_what_the_writer_makes_of_a_hostile_one_has_nothing_wrong(source, changes):
    changed = bytearray(source)
    for at, new in changes:
        changed[at : at + len(new)] = new
    rebuilt = rebuild_profile(bytes(changed))
    assert rebuilt is None or list(colours.problems_of(rebuilt)) == []


@pytest.mark.parametrize("name", REBUILT)
def test_an_element_of_text_is_found_whatever_its_type(name):
    profile = REBUILT[name]
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(132, 132 + 12 * count, 12):
        start, size = struct.unpack_from(">II", profile, entry + 4)
        for begin in (0, 4, 8):
            text = TEXT[: size - begin]
            changed = profile[: start + begin] + text + profile[start + size :]
            assert list(colours.problems_of(changed)) != [], (entry, begin)


@pytest.mark.parametrize("name", REBUILT)
def test_an_element_one_byte_longer_or_shorter_is_found(name):
    profile = REBUILT[name]
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(132, 132 + 12 * count, 12):
        (size,) = struct.unpack_from(">I", profile, entry + 8)
        for other in (size - 4, size - 1, size + 1, size + 4):
            changed = profile[: entry + 8] + struct.pack(">I", other) + profile[entry + 12 :]
            assert list(colours.problems_of(changed)) != [], (entry, other - size)


def test_a_table_that_tells_of_more_tags_than_there_are_is_found():
    profile = REBUILT["matrix v4"]
    changed = profile[:128] + b"Doe^" + profile[132:]
    assert "its profile has a table that is none" in list(colours.problems_of(changed))


@pytest.mark.parametrize("source", ["matrix v2", "matrix v4", "stages"])
def test_text_in_the_place_of_white_or_curves_does_not_get_through(source):
    given = test_icc.PROFILES[source]
    names = (b"gXYZ", b"gTRC") if source != "stages" else (b"A2B0",)
    for name in names:
        entry = test_icc.entry(given, name)
        start, size = struct.unpack_from(">II", given, entry + 4)
        end = start + size
        changed = given[: start + 12] + TEXT[: end - start - 12] + given[end:]
        rebuilt = rebuild_profile(changed)
        assert rebuilt is None or TEXT[:12] not in rebuilt
