"""Who a slide is of, what stands for it, and where originals are kept: for one conversion."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from coverslip.deid.identity import Key, KeySource, LinkedIdentity, Subject, fingerprint, key_of
from coverslip.deid.metadata import Given, MetadataTable
from coverslip.deid.origins import Read, origins_of
from coverslip.deid.policy import Link, Policy, Profile
from coverslip.deid.scrub import Scrubbed
from coverslip.deid.uids import Identity, PseudonymKind, RandomIdentity, stream_of
from coverslip.deid.vault import SealedAudit, Vault, open_vault, vault_beside
from coverslip.errors import PolicyError
from coverslip.model import OperatorText, Slide


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """What the operator has beside the slides.

    Parameters
    ----------
    key
        Pseudonyms and UIDs are derived from it; without one they are random, and under the
        profiles `research` and `care` remembered in the vault. A `Key`, its 32 bytes, or what
        returns either: it is called once, here, and not by workers.
    metadata
        What is known of the slides.
    vault
        Folder for the originals; by default ``OUT.vault`` beside the output, under `public` none.
    recipient
        Whom the vault is encrypted to, ``age1...``; needs the extra ``age``.
    seed
        What random names are made of, so that a conversion that was cut off gives them again;
        by chance if ``None``.
    """

    key: KeySource | None = field(default=None, repr=False)
    metadata: MetadataTable | None = None
    vault: Path | None = None
    recipient: str | None = None
    seed: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.key is not None:
            object.__setattr__(self, "key", key_of(self.key))

    @contextmanager
    def of(self, slide: Slide, path: Path, out: Path, policy: Policy) -> Iterator["Charge"]:
        """Yield what is needed to convert one slide, its vault open.

        Raises
        ------
        PolicyError
            If the policy and what the operator gave contradict each other.
        """
        key = None if self.key is None else key_of(self.key)
        if key is not None and policy.link is Link.NONE:
            raise PolicyError(
                "a key links slides, and this policy links none",
                hint="leave the key out, or choose profile research",
            )
        row = None if self.metadata is None else self.metadata.row_for(path.absolute())
        given = row or Given()
        notes = tuple(_notes(row, policy, has_table=self.metadata is not None))
        folder = self.vault
        if folder is None and policy.profile is not Profile.PUBLIC:
            folder = vault_beside(out)
        if folder is None and self.recipient is not None:
            raise PolicyError("there is no vault to encrypt", hint="name one with --vault")
        if folder is None:
            identity = self._identity(slide, given, policy, None)
            yield Charge(path, policy, identity, given, key, notes=notes)
            return
        with open_vault(folder, out, self.recipient) as vault:
            identity = self._identity(slide, given, policy, vault)
            yield Charge(path, policy, identity, given, key, vault, notes)

    def _identity(
        self, slide: Slide, given: Given, policy: Policy, vault: Vault | None
    ) -> Identity:
        if policy.link is None or policy.link is Link.NONE:
            return RandomIdentity() if self.seed is None else RandomIdentity(stream_of(self.seed))
        subject = Subject(
            scan=fingerprint(slide),
            patient=given.patient_id,
            case=given.accession_number,
            study=given.study_instance_uid,
            container=given.container_identifier,
            specimen=given.specimen_identifier,
            device=given.device_serial_number,
        )
        if self.key is not None:
            return LinkedIdentity(key_of(self.key).draw(policy), subject, policy.link)
        if vault is None:  # `of` opens one for every profile that links
            raise AssertionError("nothing remembers what is drawn")
        return LinkedIdentity(vault.draw(policy), subject, policy.link)


def _notes(row: Given | None, policy: Policy, *, has_table: bool) -> Iterator[str]:
    """Yield what of the table is not as its author may think."""
    if has_table and row is None:
        yield "the metadata has no row for this slide"
    has_study = row is not None and row.study_instance_uid is not None
    if has_study and policy.profile is not Profile.CARE and not _links_studies(policy):
        yield "the Study Instance UID of the metadata stands for nothing here: no study is linked"


def _links_studies(policy: Policy) -> bool:
    return policy.link in (Link.PATIENT, Link.CASE)


@dataclass(frozen=True, slots=True)
class Charge:
    """One slide in custody."""

    path: Path
    policy: Policy
    identity: Identity
    given: Given
    key: Key | None = None
    vault: Vault | None = None
    notes: tuple[str, ...] = ()

    def seal(self, scrubbed: Scrubbed, slide: Slide, read: Read) -> None:
        """Put the originals into the vault, if there is one; ``read`` reads the slide's file."""
        if self.vault is None:
            return
        originals = (
            (PseudonymKind.PATIENT, self.given.patient_id),
            (PseudonymKind.CASE, self.given.accession_number),
            (PseudonymKind.CONTAINER, self.given.container_identifier),
            (PseudonymKind.SPECIMEN, self.given.specimen_identifier),
            (PseudonymKind.DEVICE, self.given.device_serial_number),
        )
        self.vault.seal(
            SealedAudit(
                source=self.path,
                study_instance_uid=scrubbed.clean.study_instance_uid,
                slide_pseudonym=scrubbed.clean.slide_pseudonym,
                policy=self.policy,
                key_id=None if self.key is None else self.key.key_id,
                format=slide.format,
                findings=tuple(
                    zip(
                        scrubbed.sealed,
                        origins_of(scrubbed.sealed, slide.metadata.values, read),
                        strict=True,
                    )
                ),
                pseudonyms=(
                    *(
                        (kind.name.lower(), original, self.identity.pseudonym(kind))
                        for kind, original in originals
                        if original is not None
                    ),
                    *self._study(scrubbed.clean.study_instance_uid),
                ),
            )
        )

    def _study(self, uid: str) -> Iterator[tuple[str, OperatorText, str]]:
        """Yield what stands for the Study Instance UID that was given, if something does."""
        given = self.given.study_instance_uid
        if given is not None and _links_studies(self.policy):
            yield "study", given, uid
