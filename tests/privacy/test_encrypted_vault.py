"""A vault that is encrypted: who writes it cannot read it again, who has the identity can."""

import json
import os
import sys

import pytest
from pyrage import x25519

import coverslip
from coverslip.deid.custody import Custody
from coverslip.deid.identity import Key
from coverslip.deid.metadata import Given, MetadataTable
from coverslip.deid.originals import open_documents, read_vault
from coverslip.deid.sealing import (
    check_recipient,
    decrypted,
    encrypted,
    read_identities,
    read_passphrase,
)
from coverslip.deid.vault import open_vault
from coverslip.errors import PolicyError
from coverslip.model import OperatorText
from tests.privacy.search import places_of, survivors
from tests.synth import build_svs
from tests.test_cli import run

PATIENT = "MRN-QUILLFEATHER-4711"


@pytest.fixture(scope="module")
def identity():
    return x25519.Identity.generate()


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return build_svs(tmp_path_factory.mktemp("slide"))


@pytest.fixture(scope="module")
def sealed(slide, identity, tmp_path_factory):
    """A folder with an output and its encrypted vault."""
    folder = tmp_path_factory.mktemp("sealed")
    given = Given(patient_id=OperatorText(PATIENT))
    custody = Custody(
        key=Key(bytes(range(32))),
        metadata=MetadataTable(rows={slide.path.name: given}),
        recipient=str(identity.to_public()),
    )
    coverslip.convert(slide.path, folder / "out", profile="research", custody=custody)
    return folder


def test_no_original_is_in_any_byte_of_the_vault(sealed, slide):
    # Of shorter ones a form may have a single character, which chance writes too.
    originals = [text for text in (*slide.identifiers, PATIENT, slide.path.name) if len(text) > 5]

    assert len(originals) > 40
    assert not survivors(originals, places_of(sealed / "out.vault"))


def test_the_identity_opens_everything(sealed, slide, identity):
    (document,) = open_documents(sealed / "out.vault", (str(identity),))

    assert document["source_path"] == str(slide.path)
    assert document["pseudonyms"][0]["original"] == PATIENT
    texts = " ".join(finding["value"] or "" for finding in document["findings"])
    assert sum(identifier in texts for identifier in slide.identifiers) > 20
    assert len(read_vault(sealed / "out.vault", (str(identity),))[0].findings) > 50


def test_nothing_opens_it_without_the_right_identity(sealed):
    with pytest.raises(PolicyError, match="the vault is encrypted"):
        read_vault(sealed / "out.vault")
    with pytest.raises(PolicyError, match="does not open"):
        read_vault(sealed / "out.vault", (str(x25519.Identity.generate()),))
    with pytest.raises(PolicyError, match="does not open"):
        read_vault(sealed / "out.vault", ("AGE-SECRET-KEY-1NONE",))


def test_it_stays_encrypted_and_to_the_same_recipient(sealed, identity):
    vault, out = sealed / "out.vault", sealed / "out"

    with open_vault(vault, out) as opened:
        assert opened._recipient == str(identity.to_public())
    other = str(x25519.Identity.generate().to_public())
    with pytest.raises(PolicyError, match="another recipient"), open_vault(vault, out, other):
        pass


def test_a_vault_in_clear_is_not_continued_encrypted(slide, identity, tmp_path):
    coverslip.convert(slide.path, tmp_path / "out", profile="research", verify=False)

    with (
        pytest.raises(PolicyError, match="not encrypted"),
        open_vault(tmp_path / "out.vault", tmp_path / "out", str(identity.to_public())),
    ):
        pass


def test_random_pseudonyms_that_must_be_remembered_are_refused(slide, identity, tmp_path):
    custody = Custody(recipient=str(identity.to_public()))

    with pytest.raises(PolicyError, match="cannot remember"):
        coverslip.convert(slide.path, tmp_path / "out", profile="research", custody=custody)
    assert not (tmp_path / "out").exists()


def test_recipient_without_a_vault_is_refused(slide, identity, tmp_path):
    custody = Custody(recipient=str(identity.to_public()))

    with pytest.raises(PolicyError, match="no vault to encrypt"):
        coverslip.convert(slide.path, tmp_path / "out", custody=custody)


def test_text_that_is_no_recipient_is_refused_without_quoting_it(identity):
    with pytest.raises(PolicyError, match="this is no recipient") as error:
        check_recipient(str(identity))  # the secret in place of the public half
    assert str(identity) not in str(error.value) + str(error.value.hint)


def test_without_pyrage_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrage", None)

    with pytest.raises(PolicyError) as error:
        encrypted(b"", "age1")
    assert "coverslip[age]" in error.value.hint


def test_what_is_encrypted_is_age(identity):
    """Anybody's age opens it: the header is that of the published format."""
    data = encrypted(b"text", str(identity.to_public()))

    assert data.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert decrypted(data, (str(identity),)) == b"text"


def test_a_passphrase_locks_continues_and_opens(slide, tmp_path):
    secret, other, opened = (tmp_path / name for name in ("secret", "other", "opened.jsonl"))
    secret.write_text("four words in a row\n")
    other.write_text("some other long words\n")
    for path in (secret, other):
        path.chmod(0o600)
    out, vault = tmp_path / "out", tmp_path / "out.vault"
    options = ("convert", slide.path, "--profile", "research", "--link", "none", "--no-verify")
    done = run(*options, "-o", out, "--vault-passphrase", secret)
    assert done.returncode == 0, done.stderr
    wrong = run(*options, "-o", out, "--vault-passphrase", other)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "passphrase does not open" in wrong.stderr
    assert run(*options, "-o", out).returncode == 0  # it stays locked without being told

    assert not survivors([slide.path.name, *slide.identifiers[:40]], places_of(vault))
    environment = {**os.environ, "COVERSLIP_VAULT_PASSPHRASE": "four words in a row"}
    done = run("vault", "open", vault, "-o", opened, env=environment)
    assert done.returncode == 0, done.stderr
    documents = [json.loads(line) for line in opened.read_text().splitlines()]
    assert [document["source_path"] for document in documents] == [str(slide.path)] * 2


def test_passphrase_is_long_and_its_file_its_owner_s_alone(tmp_path):
    path = tmp_path / "secret"
    path.write_text("short\n")
    path.chmod(0o600)
    with pytest.raises(PolicyError, match="at least 12"):
        read_passphrase(path)
    path.chmod(0o640)
    with pytest.raises(PolicyError, match="others"):
        read_passphrase(path)


def test_commands_encrypt_open_and_report(slide, identity, tmp_path):
    keys, out, opened = (tmp_path / name for name in ("age.key", "out", "opened.jsonl"))
    keys.write_text(f"# created: now\n# public key: {identity.to_public()}\n{identity}\n")
    assert read_identities(keys) == (str(identity),)
    run("key", "new", tmp_path / "key")
    options = ("--profile", "research", "--key", tmp_path / "key", "--no-verify")
    options += ("--vault-recipient", identity.to_public())
    done = run("convert", slide.path, "-o", out, *options)
    assert done.returncode == 0, done.stderr

    vault = tmp_path / "out.vault"
    assert "hint: open it with the identity's file" in run("report", out, "--vault", vault).stderr
    done = run("vault", "open", vault, "--identity", keys, "-o", opened)
    for inside in ((), ("-o", vault / "page.html")):
        refused = run("report", out, "--vault", vault, "--identity", keys, *inside)
        assert refused.returncode == 2
        assert "show its originals in clear" in refused.stderr
    assert not list(vault.glob("*.html"))
    written = tmp_path / "page.html"
    page = run("report", out, "--vault", vault, "--identity", keys, "-o", written)

    assert done.stdout == f"{opened}\n"
    assert opened.stat().st_mode & 0o777 == 0o600
    assert json.loads(opened.read_text())["source_path"] == str(slide.path)
    assert page.returncode == 0
    assert str(slide.path) in written.read_text()
    assert not any(i in done.stderr + done.stdout + page.stderr for i in slide.identifiers)
