"""Reads what an output says of itself: its certificates, and which files are there.

An output may come from anywhere. Nothing is followed out of it, certificates have to be valid
against their schema, and no DICOM file is opened here.
"""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from coverslip.errors import CoverslipError, LimitError, SourceError
from coverslip.limits import LIMITS
from coverslip.verification.schema import certificate_schema, is_in_doubt, problems_of

CERTIFICATE = ".certificate.json"
_MARK = ".coverslip-ledger"
"""By which an output is known to the ledger of its vault."""
_MOST = 1 << 53
"""Larger numbers are none that a slide has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A slide that was not converted; it holds no value of the slide and not its name."""

    slide: int
    """Its number in the run, from 1."""
    state: str
    """``failed``, ``quarantined``, or where a run was stopped ``waiting``."""
    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """What a vault holds of a slide; printing it shows none of it."""

    source_path: str = field(repr=False)
    findings: tuple[tuple[str, str, str | None, str], ...] = field(repr=False)
    """Place, kind, text and fate of what was found; ``None`` where it is no text."""
    overview: bytes | None = field(default=None, repr=False)
    """A JPEG of the overview before it was masked, if there is one to be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One file that a certificate lists."""

    path: Path = field(repr=False)
    role: str
    """Third value of Image Type: ``VOLUME``, ``LABEL`` or ``OVERVIEW``."""
    series: int
    """Which of the certificate's series holds it, from 1."""
    record: dict[str, Any]
    """What the certificate says of it."""
    byte_count: int | None
    """``None`` if there is no such file."""

    @property
    def part(self) -> tuple[int, int] | None:
        """Which part of a level it is, from 1, and of how many; ``None`` if it is all of it."""
        names = ("in_concatenation_number", "in_concatenation_total_number")
        number, total = (self.record.get(name) for name in names)
        return None if number is None or total is None else (number, total)

    @property
    def columns(self) -> int:
        """Columns of the whole picture."""
        return int(self.record["total_pixel_matrix_columns"])

    @property
    def rows(self) -> int:
        """Rows of the whole picture."""
        return int(self.record["total_pixel_matrix_rows"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSlide:
    """A slide that has a valid certificate."""

    certificate: dict[str, Any]
    instances: tuple[Instance, ...]

    @property
    def pseudonym(self) -> str:
        """What stands for the slide."""
        return str(self.certificate["slide_pseudonym"])

    @property
    def levels(self) -> tuple[Instance, ...]:
        """One instance of each level, the first if it is divided among several."""
        levels = (instance for instance in self.instances if instance.role == "VOLUME")
        return tuple(level for level in levels if level.part is None or level.part[0] == 1)

    @property
    def is_in_doubt(self) -> bool:
        """Whether nobody knows that its levels do not show who is meant."""
        return is_in_doubt(self.certificate)

    @property
    def missing(self) -> int:
        """Instances that the certificate lists and that are not there."""
        return sum(instance.byte_count is None for instance in self.instances)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was found in an output."""

    slides: tuple[ReportedSlide, ...]
    unreadable: tuple[str, ...]
    """Why certificates could not be used, one sentence each."""
    unnamed: int
    """Files and links that no certificate names."""


def collect(out: Path) -> Collected:
    """Read all certificates below a folder, in the order of their names.

    Parameters
    ----------
    out
        The output folder, or one study in it.

    Raises
    ------
    SourceError
        If there is no certificate in it.
    LimitError
        If it has more files than are walked.
    OSError
        If it cannot be read; without its name.
    """
    slides, unreadable = [], []
    files = dict(_files(out))
    certificates = [path for path in files if path.name.endswith(CERTIFICATE)]
    if not certificates:
        raise SourceError(
            "there is no certificate in the output", hint="name the folder that convert wrote"
        )
    for number, path in enumerate(sorted(certificates), start=1):
        try:
            slides.append(_slide(path, files))
        except CoverslipError as error:
            unreadable.append(f"certificate {number}: {error}")
    named = {instance.path for slide in slides for instance in slide.instances}
    return Collected(
        slides=tuple(slides),
        unreadable=tuple(unreadable),
        unnamed=len(files.keys() - named - set(certificates) - {out / _MARK}),
    )


def read_regular(path: Path, most: int) -> bytes:
    """Return what a file holds; a link is not followed, and a pipe or device is not waited for.

    Raises
    ------
    LimitError
        If it has more than ``most`` bytes.
    SourceError
        If it is no regular file, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SourceError("it is not a regular file")
            data = file.read(most + 1)
    except OSError:
        raise SourceError("it cannot be read") from None
    if len(data) > most:
        raise LimitError(f"it has more than {most} bytes")
    return data


def _files(out: Path) -> Iterator[tuple[Path, int | None]]:
    """Yield all but folders with their byte counts, ``None`` for what is no regular file."""
    folders, entries = [out], 0
    while folders:
        with os.scandir(folders.pop()) as found:
            for entry in found:
                entries += 1
                if entries > LIMITS.report_entries:
                    raise LimitError(
                        "the output has more entries than the limit "
                        f"report_entries = {LIMITS.report_entries}"
                    )
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(Path(entry.path))
                else:
                    is_file = stat.S_ISREG(status.st_mode)
                    yield Path(entry.path), status.st_size if is_file else None


def _slide(path: Path, files: dict[Path, int | None]) -> ReportedSlide:
    certificate = _certificate(path)
    study, series = certificate["study_instance_uid"], certificate["series_instance_uids"]
    if path.absolute().parent.name != study:
        raise SourceError("it lies in the folder of another study")
    return ReportedSlide(
        certificate=certificate,
        instances=tuple(
            _instance(record, path.parent, series, files) for record in certificate["instances"]
        ),
    )


def _instance(
    record: dict[str, Any], study: Path, series: list[str], files: dict[Path, int | None]
) -> Instance:
    number = record["series_number"]
    if number > len(series):
        raise SourceError("it lists an instance of a series that it does not have")
    # The schema lets nothing but digits and dots into UIDs, so no path leads out of the study.
    path = study / series[number - 1] / f"{record['sop_instance_uid']}.dcm"
    return Instance(
        path=path,
        role=record["image_type"][2],
        series=number,
        record=record,
        byte_count=files.get(path),
    )


def _certificate(path: Path) -> dict[str, Any]:
    """Return a certificate that is valid against its schema.

    Raises
    ------
    SourceError
        If it is not; without any of its values.
    LimitError
        If it is longer than certificates are.
    """
    data = read_regular(path, LIMITS.certificate_bytes)
    try:
        document = json.loads(data, parse_constant=_refuse, parse_float=_number, parse_int=_number)
    except (ValueError, RecursionError):
        raise SourceError("it is not JSON") from None
    try:
        broken = next(problems_of(document, certificate_schema()), None)
    except RecursionError:
        broken = "deeper than any certificate"
    if broken is not None or not isinstance(document, dict):
        raise SourceError("it is not valid against the schema of this version")
    return document


def _refuse(_: str) -> NoReturn:
    raise ValueError("no number")


def _number(text: str) -> int | float:
    """Return a number of the size that slides have."""
    number = float(text)
    if not -_MOST <= number <= _MOST:
        raise ValueError("no number of a slide")
    return number if "." in text or "e" in text or "E" in text else int(text)
