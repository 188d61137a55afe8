import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coverslip.deid.uids import (
    CROCKFORD,
    PseudonymKind,
    RandomIdentity,
    UidPurpose,
    check_character,
    pseudonym_of,
    uid_of,
    weeks_of,
)

bodies = st.text(alphabet=CROCKFORD, min_size=12, max_size=12)


def identity(*draws: bytes) -> RandomIdentity:
    remaining = iter(draws)
    return RandomIdentity(lambda count: next(remaining)[:count])


def test_uid_is_that_of_a_version_4_uuid():
    assert identity(bytes(16)).uid(UidPurpose.STUDY) == f"2.25.{0x00000000000040008000000000000000}"


def test_longest_uid_fits_sixty_four_characters():
    uid = identity(b"\xff" * 16).uid(UidPurpose.STUDY)

    assert len(uid) <= 64
    assert re.fullmatch(r"2\.25\.[1-9][0-9]*", uid)


def test_pseudonym_is_kind_hyphen_twelve_characters_and_check():
    assert identity(bytes(8)).pseudonym(PseudonymKind.PATIENT) == "P-0000000000000"
    assert identity(b"\xff" * 8).pseudonym(PseudonymKind.CONTAINER)[:14] == "C-ZZZZZZZZZZZZ"


@pytest.mark.parametrize("kind", PseudonymKind)
def test_pseudonym_fits_sh(kind):
    assert re.fullmatch(
        f"{kind}-[{CROCKFORD}]{{13}}", pseudonym := RandomIdentity().pseudonym(kind)
    )
    assert len(pseudonym) <= 16


def test_all_sixty_bits_count():
    draws = [bytes(8)] + [(1 << bit).to_bytes(8) for bit in range(4, 64)]

    assert len({pseudonym_of(PseudonymKind.PATIENT, drawn) for drawn in draws}) == 61


def test_identity_says_the_same_whenever_it_is_asked_and_whatever_before():
    source = RandomIdentity()
    first = source.uid(UidPurpose.SERIES), source.uid(UidPurpose.SERIES, 1), source.shift_weeks()

    assert source.uid(UidPurpose.SERIES, 1) == first[1] != first[0]
    assert (source.uid(UidPurpose.SERIES), source.shift_weeks()) == (first[0], first[2])


@given(st.binary(min_size=16, max_size=16))
def test_uid_of_drawn_bytes_is_that_of_a_version_8_uuid(drawn):
    made = uuid.UUID(int=int(uid_of(drawn).removeprefix("2.25.")))

    assert made.variant == uuid.RFC_4122
    assert made.hex[12] == "8"


@given(st.binary(min_size=8, max_size=8))
def test_dates_go_back_one_week_to_ten_years(drawn):
    assert 1 <= weeks_of(drawn) <= 521


def test_two_identities_share_nothing():
    first, second = RandomIdentity(), RandomIdentity()

    assert first.uid(UidPurpose.STUDY) != second.uid(UidPurpose.STUDY)
    assert first.pseudonym(PseudonymKind.PATIENT) != second.pseudonym(PseudonymKind.PATIENT)


@given(body=bodies, position=st.integers(0, 11), character=st.sampled_from(CROCKFORD))
def test_check_character_finds_every_wrong_character(body, position, character):
    changed = body[:position] + character + body[position + 1 :]

    assert changed == body or check_character(changed) != check_character(body)


@given(body=bodies, position=st.integers(0, 10))
def test_check_character_finds_neighbours_that_changed_places(body, position):
    first, second = body[position], body[position + 1]
    changed = body[:position] + second + first + body[position + 2 :]

    is_known_gap = {first, second} == {"0", "Z"}
    assert changed == body or is_known_gap or check_character(changed) != check_character(body)


def test_check_character_is_in_the_alphabet_of_file_names():
    assert {check_character("00000000000" + character) for character in CROCKFORD} == set(CROCKFORD)


def test_character_outside_the_alphabet_is_refused():
    with pytest.raises(ValueError, match="substring not found"):
        check_character("00000000000I")
