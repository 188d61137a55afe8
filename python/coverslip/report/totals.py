"""Counts over all slides of an output, and the plain words for what certificates say."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from coverslip.report.collect import Collected, Failure, ReportedSlide

FATES = {
    "dropped": "left out",
    "replaced": "replaced",
    "cleaned": "reduced",
    "masked": "painted over",
    "kept": "kept",
}
"""Short words for fates, in the order of the columns."""
FATE_MEANINGS = {
    "dropped": "it is not in the output",
    "replaced": "a pseudonym, a new UID or a dummy date stands in its place",
    "cleaned": "only a name or numbers that coverslip itself lists are written",
    "masked": "the part of the picture that shows it was painted over",
    "kept": "it was written, because an option said so",
}
CHECKS = {
    "pixel_text": "Text in small levels",
    "bar_codes": "Bar codes in small levels",
    "read_back": "Frames compared with the slide after they were written",
    "verified": "Finished files checked by the independent check",
}
RESULTS = {
    "passed": "searched, nothing found",
    "attested": "a person vouches for it",
    "found": "found something: a person has to look",
    "not_run": "not checked",
}
_EQUAL = "compared, all equal"
KINDS = {
    "file name": "name of a file",
    "identifier": "number or code",
    "date": "date or time",
    "device": "device",
    "person": "person",
    "place": "place or computer",
    "free text": "free text",
    "picture": "picture",
    "unknown": "not known what",
}
"""What a finding may give away, in plain words."""
PLACES = {
    "ImageDescription": "notes of the scanner's software",
    "private tag": "of the vendor's own",
    "XMP": "document of metadata",
    "LABEL": "picture of the label",
    "OVERVIEW": "picture of the whole glass",
    "THUMBNAIL": "small picture of the scan",
    "unrecognised picture": "maybe of the label: never written",
    "ICC profile": "colours of the scanner",
}
"""What a place is, where its name does not say it."""
PICTURES = {"VOLUME": "lowest level", "LABEL": "label", "OVERVIEW": "overview"}
CODES = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113106": "Retain Longitudinal Temporal Information Full Dates Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
    "113112": "Retain Institution Identity Option",
}
"""PS3.16 CID 7050."""
SYNTAXES = {
    "1.2.840.10008.1.2.4.50": "JPEG Baseline",
    "1.2.840.10008.1.2.4.90": "JPEG 2000, lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame",
}
FRAMES = {
    "frames_copied": "copied",
    "frames_stitched": "stitched",
    "frames_retiled": "cut",
    "frames_pixel": "decoded and stored without loss",
    "frames_recoded": "composed and encoded anew, with a new loss",
    "frames_picture": "as one picture",
    "frames_blank": "blank",
    "frames_absent": "no frame, since the slide has no tile there",
}
"""What frames are; truncated ones are among the copied."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table of fates."""

    name: str
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """Findings of the line."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """One policy that slides were converted under, by one version."""

    profile: str
    options: dict[str, str]
    codes: tuple[str, ...]
    sha256: str
    version: str
    slides: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the top of the page says."""

    slides: int
    profiles: dict[str, int]
    failed: dict[str, int]
    """Slides that were not converted, by state."""
    instances: int
    byte_count: int
    frames: dict[str, int]
    findings: int
    kept: int
    missing: int
    unnamed: int
    fates: tuple[str, ...]
    """Those that occur, in the order of columns."""
    kinds: tuple[Row, ...]
    places: tuple[Row, ...]
    checks: dict[str, dict[str, int]]
    """Results by check: in how many slides."""
    risks: dict[str, int]
    """What cannot be excluded: in how many slides."""
    policies: tuple[PolicyRow, ...]

    @property
    def unchecked(self) -> dict[str, int]:
        """What was not checked: in how many slides."""
        counts = {check: results.get("not_run", 0) for check, results in self.checks.items()}
        return {check: count for check, count in counts.items() if count}


def totals_of(collected: Collected, failures: Sequence[Failure]) -> Totals:
    """Return the counts over all slides."""
    slides = collected.slides
    certificates = [slide.certificate for slide in slides]
    kinds, places = (
        rows_of(name, (c["findings"][f"by_{name}_and_fate"] for c in certificates))
        for name in ("kind", "place")
    )
    fates = {fate: sum(row.counts.get(fate, 0) for row in kinds) for fate in FATES}
    return Totals(
        slides=len(slides),
        profiles=_sorted(c["policy"]["profile"] for c in certificates),
        failed=_sorted(failure.state for failure in failures),
        instances=sum(len(slide.instances) for slide in slides),
        byte_count=sum(i.byte_count or 0 for slide in slides for i in slide.instances),
        frames=_frames(slides),
        findings=sum(c["findings"]["count"] for c in certificates),
        kept=fates["kept"],
        missing=sum(slide.missing for slide in slides),
        unnamed=collected.unnamed,
        fates=tuple(fate for fate, count in fates.items() if count),
        kinds=kinds,
        places=places,
        checks=_checks(certificates),
        risks=_sorted(c["residual_risk"] for c in certificates),
        policies=_policies(certificates),
    )


def thousands(number: int) -> str:
    """Return a number with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def size(byte_count: int) -> str:
    """Return a byte count in the unit that suits it."""
    for unit, bytes_of_it in (("TB", 10**12), ("GB", 10**9)):
        if byte_count >= bytes_of_it:
            return f"{byte_count / bytes_of_it:.1f}\u202f{unit}"
    return f"{byte_count / 10**6:.1f}\u202fMB"


def rows_of(name: str, tables: Iterable[list[dict[str, Any]]]) -> tuple[Row, ...]:
    """Return the sum of tables of fates, the most frequent first."""
    counts: dict[str, Counter[str]] = {}
    for table in tables:
        for row in table:
            counts.setdefault(row[name], Counter())[row["fate"]] += row["count"]
    rows = (Row(value, dict(fates)) for value, fates in counts.items())
    return tuple(sorted(rows, key=lambda row: (-row.total, row.name)))


def frames_of(record: dict[str, Any]) -> dict[str, int]:
    """Return what the frames of an instance are, in words, without what there is none of."""
    return {word: record[key] for key, word in FRAMES.items() if record.get(key)}


def kind_of(name: str) -> str:
    """Return what a finding may be, in plain words."""
    return KINDS.get(name, name)


def place_of(name: str) -> str:
    """Return a place, with what it is where its name does not say it."""
    meaning = PLACES.get(name)
    return name if meaning is None else f"{name}: {meaning}"


def result_of(check: str, result: str) -> str:
    """Return in words how a check came out."""
    if (check, result) == ("read_back", "passed"):
        return _EQUAL
    return RESULTS.get(result, result)


def options_of(certificate: dict[str, Any]) -> dict[str, str]:
    """Return the options of a policy that say something, as text."""
    options = certificate["policy"]["options"]
    said = {name: value for name, value in options.items() if value not in (None, "", [], False)}
    return {name: _option(value) for name, value in sorted(said.items())}


def _option(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "yes" if value is True else str(value)


def _frames(slides: Iterable[ReportedSlide]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for slide in slides:
        for instance in slide.instances:
            counts.update(frames_of(instance.record))
    return {word: counts[word] for word in FRAMES.values() if counts[word]}


def _checks(certificates: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    checks: dict[str, Counter[str]] = {}
    for certificate in certificates:
        for check, result in certificate["checks"].items():
            checks.setdefault(check, Counter())[result] += 1
    return {check: dict(results) for check, results in checks.items()}


def _policies(certificates: Iterable[dict[str, Any]]) -> tuple[PolicyRow, ...]:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for certificate in certificates:
        key = (
            certificate["policy"]["sha256"],
            certificate["package"]["version"],
            *certificate["deidentification_codes"],
        )
        groups.setdefault(key, []).append(certificate)
    rows = [
        PolicyRow(
            profile=members[0]["policy"]["profile"],
            options=options_of(members[0]),
            codes=tuple(members[0]["deidentification_codes"]),
            sha256=sha256,
            version=version,
            slides=len(members),
        )
        for (sha256, version, *_), members in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.slides, row.sha256, row.version)))


def _sorted(values: Iterable[str]) -> dict[str, int]:
    counts = Counter(values)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
