"""``coverslip report``."""

import sys
from io import BytesIO
from pathlib import Path

from coverslip.archive.ledger import FILE_NAME as LEDGER
from coverslip.archive.ledger import reading
from coverslip.archive.records import SlideRecord, State
from coverslip.archive.summary import is_there
from coverslip.cli.passphrase import identities_from
from coverslip.cli.progress import size_of
from coverslip.cli.status import earlier_state
from coverslip.deid.originals import read_vault
from coverslip.deid.vault import FILE_NAME as VAULT
from coverslip.deid.vault import vault_beside
from coverslip.errors import CoverslipError, PolicyError, UsageError
from coverslip.limits import LIMITS
from coverslip.model import Role
from coverslip.pictures import rgb_of
from coverslip.report.collect import Collected, Failure, Original, collect
from coverslip.report.page import write_report
from coverslip.slide import open

_NAME = "report.html"
_OVERVIEW_EDGE = 320


def run(
    out: Path,
    *,
    page: Path | None,
    vault: Path | None,
    identity: Path | None,
    passphrase: Path | None,
    overwrite: bool,
) -> None:
    """Write the page about an output and say where it is."""
    path = page or (Path(_NAME) if vault is None else vault / _NAME)
    if vault is not None and path.resolve().is_relative_to(out.resolve()):
        raise PolicyError(
            "a page with originals may not lie in the output",
            hint="leave -o out: the page goes into the vault",
        )
    if path.exists() and not overwrite:
        raise CoverslipError("the page exists", hint="replace it with --overwrite")
    if not out.exists():
        raise UsageError("there is no such output")
    collected = collect(out)
    originals = None
    if vault is not None:
        _require_originals(vault)
        identities = identities_from(vault, identity, passphrase)
        if identities and path.resolve().is_relative_to(vault.resolve()):
            raise UsageError(
                "the vault is encrypted, and a page in it would show its originals in clear",
                hint="say with -o where the page goes; whoever has it can tell whose slides "
                "they are",
            )
        originals = _originals(vault, identities, collected)
    byte_count = write_report(
        collected,
        path,
        failures=_failures(vault or vault_beside(out), out),
        originals=originals,
        overwrite=overwrite,
    )
    slides = "1 slide" if len(collected.slides) == 1 else f"{len(collected.slides)} slides"
    sys.stderr.write(f"wrote a page of {size_of(byte_count)} about {slides}\n")
    if collected.unreadable:
        sys.stderr.write(f"note: {len(collected.unreadable)} certificates cannot be used\n")
    sys.stdout.write(f"{path}\n")


def _require_originals(vault: Path) -> None:
    """Raise where a run left its ledger and no originals, as under the profile public."""
    if (vault / LEDGER).is_file() and not (vault / VAULT).is_file():
        raise UsageError(
            "the folder holds the ledger of a run and no originals",
            hint="the profile public keeps none unless convert is given --vault",
        )


def _failures(vault: Path, out: Path) -> list[Failure]:
    """Return the slides that a run did not convert; none where there is no ledger to be read."""
    try:
        with reading(vault) as ledger:
            others = [state for state in State if state is not State.DONE]
            return [_failure(record, out) for record in ledger.records(*others)]
    except (PolicyError, OSError):
        return []


def _failure(record: SlideRecord, out: Path) -> Failure:
    hint = record.hint
    if is_there(record, out):
        earlier = earlier_state(record)
        hint = earlier if hint is None else f"{hint}; {earlier}"
    return Failure(
        slide=record.number,
        state=str(record.state),
        reason=record.reason or "its turn has not come",
        hint=hint,
    )


def _originals(
    vault: Path, identities: tuple[str, ...], collected: Collected
) -> dict[str, Original]:
    """Return what the vault holds of the slides that are reported, by pseudonym."""
    kept = {slide.slide_pseudonym: slide for slide in read_vault(vault, identities)}
    masked = {
        slide.pseudonym
        for slide in collected.slides[: LIMITS.report_pictures]
        if any(instance.role == "OVERVIEW" for instance in slide.instances)
    }
    return {
        pseudonym: Original(
            source_path=kept[pseudonym].source_path,
            findings=tuple(
                (row.place, row.kind, row.text, row.fate) for row in kept[pseudonym].findings
            ),
            overview=_overview(Path(kept[pseudonym].source_path)) if pseudonym in masked else None,
        )
        for pseudonym in (slide.pseudonym for slide in collected.slides)
        if pseudonym in kept
    }


def _overview(path: Path) -> bytes | None:
    """Return the overview of a slide as a small JPEG, ``None`` if the slide is not there."""
    from PIL import Image

    try:
        slide = open(path)
        (image,) = (one for one in slide.associated_images if one.role is Role.OVERVIEW)
        if image.pixels is None:
            return None
        picture = Image.fromarray(rgb_of(slide.source, image.pixels))
    except (CoverslipError, OSError, ValueError):
        return None
    picture.thumbnail((_OVERVIEW_EDGE, _OVERVIEW_EDGE))
    file = BytesIO()
    picture.save(file, "JPEG", quality=70)
    return file.getvalue()
