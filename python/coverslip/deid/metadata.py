"""Reads what the operator knows of slides: a table with one row for a file or a pattern."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from coverslip.deid.columns import form_of
from coverslip.errors import PolicyError, UsageError
from coverslip.model import OperatorText

FILE = "file"
MAX_BYTES = 64_000_000  # a row is about 100 bytes
_WILD = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the operator gave about one slide; a field's name is the column's."""

    patient_id: OperatorText | None = None
    patient_id_issuer: OperatorText | None = None
    other_patient_id: OperatorText | None = None
    """What somebody else calls the patient, an earlier hospital for example."""
    other_patient_id_issuer: OperatorText | None = None
    patient_name: OperatorText | None = None
    birth_date: OperatorText | None = None
    sex: OperatorText | None = None
    age: OperatorText | None = None
    ethnic_group: OperatorText | None = None
    patient_size_m: OperatorText | None = None
    patient_weight_kg: OperatorText | None = None
    smoking_status: OperatorText | None = None
    patient_comments: OperatorText | None = None
    accession_number: OperatorText | None = None
    accession_number_issuer: OperatorText | None = None
    study_instance_uid: OperatorText | None = None
    """Of an order that exists already."""
    study_id: OperatorText | None = None
    study_date: OperatorText | None = None
    study_time: OperatorText | None = None
    acquisition_date: OperatorText | None = None
    acquisition_time: OperatorText | None = None
    timezone_offset: OperatorText | None = None
    """Of all dates and times, from UTC."""
    study_description: OperatorText | None = None
    series_description: OperatorText | None = None
    protocol_name: OperatorText | None = None
    referring_physician: OperatorText | None = None
    performing_physician: OperatorText | None = None
    operator_name: OperatorText | None = None
    container_identifier: OperatorText | None = None
    container_identifier_issuer: OperatorText | None = None
    alternate_container_identifier: OperatorText | None = None
    specimen_identifier: OperatorText | None = None
    specimen_identifier_issuer: OperatorText | None = None
    specimen_short_description: OperatorText | None = None
    specimen_detailed_description: OperatorText | None = None
    specimen_location: OperatorText | None = None
    """Where it lies on the glass, or beside what."""
    institution_name: OperatorText | None = None
    institution_address: OperatorText | None = None
    institution_department: OperatorText | None = None
    device_serial_number: OperatorText | None = None
    device_uid: OperatorText | None = None
    device_udi: OperatorText | None = None
    """The Unique Device Identifier that regulators ask for."""
    station_name: OperatorText | None = None
    calibration_date: OperatorText | None = None
    """Of the scanner's last calibration."""
    calibration_time: OperatorText | None = None
    trial_sponsor: OperatorText | None = None
    trial_protocol_id: OperatorText | None = None
    trial_protocol_name: OperatorText | None = None
    trial_site_id: OperatorText | None = None
    trial_site_name: OperatorText | None = None
    trial_subject_id: OperatorText | None = None
    stains: OperatorText | None = None
    """Codes of SNOMED CT with spaces between them."""
    fixative: OperatorText | None = None
    """One code of SNOMED CT, as the next ones are."""
    embedding: OperatorText | None = None
    specimen_type: OperatorText | None = None
    anatomy: OperatorText | None = None

    def texts(self) -> tuple[OperatorText, ...]:
        """Return all that was given."""
        values = (getattr(self, column.name) for column in fields(self))
        return tuple(value for value in values if value is not None)


_COLUMNS = tuple(column.name for column in fields(Given))
_NEEDED = (
    # PS3.3 C.7.1.3, of Type 1
    (
        "a trial",
        {column for column in _COLUMNS if column.startswith("trial_")},
        {"trial_sponsor", "trial_protocol_id"},
    ),
    # PS3.3 C.7.1.1, of Type 1
    ("the issuer of another patient ID", {"other_patient_id_issuer"}, {"other_patient_id"}),
)
"""What cannot be written without the rest of it: its name, its columns, those that it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """How the rows of a table fit the slides of a run."""

    rows_unused: int
    slides_without_row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataTable:
    """The rows of a table, by the name of a file, the end of its path, or a pattern of either."""

    rows: Mapping[str, Given] = field(repr=False)

    def row_for(self, path: PurePath) -> Given | None:
        """Return the row of a file: the one that names it, else the one whose pattern fits.

        Of several that name it, the one with the most folders counts.

        Raises
        ------
        PolicyError
            If several patterns fit: which one is meant cannot be known.
        """
        name = self._name_of(path)
        if name is not None:
            return self.rows[name]
        fitting = list(_fitting(path, self._patterns()))
        if len(fitting) > 1:
            raise PolicyError(f"{len(fitting)} rows of the metadata fit one file")
        return self.rows[fitting[0]] if fitting else None

    def assign(self, paths: Iterable[PurePath]) -> Assignment:
        """Return how the rows fit some slides; of two patterns that fit one, neither counts.

        Raises
        ------
        UsageError
            If a row names several of them: it is about one slide, and which one cannot be known.
        """
        used, missing = Counter[str](), 0
        patterns = self._patterns()
        fit = set[str]()
        for path in paths:
            name = self._name_of(path)
            if name is not None:
                used[name] += 1
                continue
            fitting = list(_fitting(path, patterns))
            fit.update(fitting)
            missing += not fitting
        for number, row in enumerate(self.rows, start=1):
            if used[row] > 1:
                raise UsageError(
                    f"row {number} of the metadata names {used[row]} slides",
                    hint="say which one with its folders, as in folder/name",
                )
        return Assignment(
            rows_unused=sum(row not in used and row not in fit for row in self.rows),
            slides_without_row=missing,
        )

    def _name_of(self, path: PurePath) -> str | None:
        """Return the key of the row that names a file, with as many folders as one does."""
        parts = path.parts
        for first in range(len(parts)):
            name = str(PurePath(*parts[first:]))
            if name in self.rows:
                return name
        return None

    def _patterns(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the keys that may be patterns, with their parts."""
        return [(row, PurePath(row).parts) for row in self.rows if _WILD.search(row)]


def _fitting(path: PurePath, patterns: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[str]:
    """Yield the patterns that fit the end of a path, part by part."""
    for row, parts in patterns:
        end = path.parts[-len(parts) :]
        if len(end) == len(parts) and all(map(fnmatchcase, end, parts)):
            yield row


def read_metadata(path: Path) -> MetadataTable:
    """Return the table in a CSV or JSON file.

    Raises
    ------
    PolicyError
        If it is neither, has an unknown column, or a value that cannot be; the message names row
        and column, never the value.
    OSError
        If it cannot be read.
    """
    if path.stat().st_size > MAX_BYTES:
        raise PolicyError(f"the metadata has more than {MAX_BYTES} bytes")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PolicyError("the metadata is not UTF-8") from None
    records = _json_records(text) if path.suffix.lower() == ".json" else _csv_records(text)
    rows: dict[str, Given] = {}
    for number, record in enumerate(records, start=1):
        name, given = _row(number, record)
        if name in rows:
            raise PolicyError(f"row {number} of the metadata names a file that another row names")
        rows[name] = given
    return MetadataTable(rows=rows)


def _csv_records(text: str) -> list[dict[str, object]]:
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        raise PolicyError("the metadata is not CSV") from None
    if not lines:
        raise PolicyError("the metadata is empty")
    header = [name.strip() for name in lines[0]]
    if len(set(header)) != len(header):
        raise PolicyError("the metadata has two columns of one name")
    _check_columns(header)
    records: list[dict[str, object]] = []
    for number, line in enumerate(filter(None, lines[1:]), start=1):
        if len(line) != len(header):
            raise PolicyError(f"row {number} of the metadata has not as many values as the header")
        records.append(dict(zip(header, line, strict=True)))
    return records


def _json_records(text: str) -> list[dict[str, object]]:
    try:
        records = json.loads(text)
    except (ValueError, RecursionError):
        raise PolicyError("the metadata is not JSON") from None
    if not isinstance(records, list) or not all(isinstance(row, dict) for row in records):
        raise PolicyError("the metadata is not a list of objects")
    for record in records:
        _check_columns(record)
    return records


def _check_columns(names: Iterable[str]) -> None:
    """Raise for a column that is not known.

    It is told by its number: a table without a header begins with a patient.
    """
    names = list(names)
    if FILE not in names:
        raise PolicyError(f"the metadata has no column {FILE!r}", hint=_known())
    for number, name in enumerate(names, start=1):
        if name != FILE and name not in _COLUMNS:
            raise PolicyError(
                f"the name of column {number} of the metadata is not known", hint=_known()
            )


def _known() -> str:
    return f"known are {', '.join([FILE, *_COLUMNS])}"


def _row(number: int, record: Mapping[str, object]) -> tuple[str, Given]:
    texts = {}
    for column, value in record.items():
        if not isinstance(value, str | None):
            raise PolicyError(f"row {number} of the metadata: {column} is not text")
        if value is not None and value.strip():
            texts[column] = value.strip()
    name = texts.pop(FILE, "")
    if not name:
        raise PolicyError(f"row {number} of the metadata names no file")
    given = {}
    for column, text in texts.items():
        try:
            given[column] = form_of(column)(text)
        except ValueError as error:
            reason = str(error) if isinstance(error, PolicyError) else "it cannot be read"
            raise PolicyError(f"row {number} of the metadata: {column}: {reason}") from None
    for what, columns, needed in _NEEDED:
        if columns & given.keys() and not needed <= given.keys():
            rest = " and ".join(sorted(needed))
            raise PolicyError(f"row {number} of the metadata: {what} needs {rest}")
    return str(PurePath(name)), Given(**given)
