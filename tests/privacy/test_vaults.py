"""Who may enter a vault, what is in it, and the key beside it."""

import sqlite3

import pytest

import coverslip
from coverslip.deid.custody import Custody
from coverslip.deid.identity import new_key, read_key
from coverslip.errors import PolicyError
from tests.privacy.given import GIVEN, KEY, convert, custody, header


def test_vault_holds_every_original_and_only_its_owner_may_enter(slide, tmp_path):
    result = convert(slide, tmp_path / "out", "research", custody(tmp_path))

    vault = tmp_path / "out.vault"
    assert vault.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in vault.iterdir()} == {0o600}
    connection = sqlite3.connect(vault / "vault.sqlite")
    opened = coverslip.open(slide.path)
    kept = connection.execute("SELECT value FROM finding WHERE value IS NOT NULL").fetchall()
    texts = [item.text.reveal() for item in opened.description.metadata.items]
    texts += [left.text.reveal() for left in opened.leftovers() if left.text is not None]
    assert sorted(row[0] for row in kept) == sorted([*texts, str(slide.path)])
    (count,) = connection.execute("SELECT count(*) FROM finding").fetchone()
    assert count == result.certificate["findings"]["count"]
    pairs = dict(connection.execute("SELECT original, pseudonym FROM pseudonym"))
    assert pairs[GIVEN["patient_id"]] == header(result).PatientID
    assert str(slide.path) in connection.execute("SELECT source_path FROM slide").fetchone()
    connection.close()


@pytest.mark.parametrize("vault", ["out", "out/vault", "."])
def test_vault_and_output_may_not_lie_in_one_another(vault, slide, tmp_path):
    given = Custody(key=KEY, vault=tmp_path / vault)
    with pytest.raises(PolicyError, match="in one another"):
        convert(slide, tmp_path / "out", "research", given)

    assert not (tmp_path / "out").exists()


def test_vault_that_others_may_enter_is_refused(slide, tmp_path):
    (tmp_path / "out.vault").mkdir(mode=0o755)
    with pytest.raises(PolicyError, match="others than its owner"):
        convert(slide, tmp_path / "out", "research", Custody(key=KEY))


def test_public_has_no_vault_unless_asked(slide, tmp_path):
    convert(slide, tmp_path / "out", "public", None)
    assert {path.name for path in tmp_path.iterdir()} == {"slide", "out"}

    convert(slide, tmp_path / "out", "public", Custody(vault=tmp_path / "vault"))
    assert (tmp_path / "vault" / "vault.sqlite").exists()


def test_public_with_a_key_is_refused(slide, tmp_path):
    with pytest.raises(PolicyError, match="key links"):
        convert(slide, tmp_path / "out", "public", Custody(key=KEY))


def test_key_file_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "key"
    key = new_key(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path) == key
    assert key.secret.hex() not in repr(key)
    with pytest.raises(FileExistsError):
        new_key(path)
    path.chmod(0o640)
    with pytest.raises(PolicyError, match="others"):
        read_key(path)
