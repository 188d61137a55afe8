"""The shareable certificate of one slide: what was done, and nothing that was there before.

No value of the source can enter: the types it is made of hold none. A `Finding` says what kind of
thing was where, under names of ours.
"""

import functools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from coverslip.deid.policy import Policy, Profile
from coverslip.model import CheckResult as CheckResult
from coverslip.model import CleanMetadata, Fate, Finding, ItemKind, PixelChecks

SCHEMA_VERSION = 1

_IN_DIRECTORY = re.compile(
    r"(?P<directory>[A-Za-z]+) (?P<number>\d{1,9}) (?:tag (?P<tag>\d{1,5})|(?P<name>.+))"
)
_PRIVATE_TAGS = 32768
"""TIFF 6.0 section 8: from here on tags belong to whoever asked for them."""

_RISKS = {
    Profile.PUBLIC: "",
    Profile.RESEARCH: "Pseudonyms can be resolved by whoever holds the key or the vault. ",
    Profile.CARE: "The files name the patient: nothing of the operator's was taken out. ",
}
_DROPPED = "The slide's own label and thumbnail are not written."
_WITH_THUMBNAIL = (
    "The slide's own label is not written; its thumbnail is, which looks as the levels do."
)
_KEPT = "Label or overview are written as they were scanned."
_LINKABLE = (
    "Tiles or their pixels are kept bit for bit, so whoever holds the original slide can link this"
    " copy to it."
)
_RECODED = (
    "Levels were composed of decoded tiles and encoded anew, with a new loss and a geometry that is"
    " an average; whoever holds the original slide can still link this copy to it."
)
_SEARCHED = {"bar_codes": "bar codes", "pixel_text": "text"}
_FOUND = "The pixels of levels show what looks like {}."
_IN_DOUBT = (
    "The levels say that something may be burned into them: a person has to look at them before"
    " they are shared."
)
_REDUCED = (
    "Where no level is small the smallest was searched reduced, by up to {} times along each side."
)
_MASKED = (
    "The overview was masked and searched for bar codes and for the shapes of printed text;"
    " joined-up handwriting on the glass, and print that is pale or slants by more than 20 degrees,"
    " may have been missed."
)
_CLAIM = "This certificate states what was done; it makes no legal claim."


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """What was written into one instance."""

    sop_instance_uid: str
    series_number: int = 1
    """Which of the certificate's series holds it, from 1."""
    image_type: tuple[str, ...]
    total_pixel_matrix_columns: int
    total_pixel_matrix_rows: int
    frames_copied: int
    frames_stitched: int
    frames_retiled: int
    frames_pixel: int
    frames_blank: int
    frames_truncated: int
    """Copied frames whose tile had no end marker; they are among the copied ones."""
    transfer_syntax_uid: str
    photometric_interpretation: str
    is_inverted: bool
    """Whether black and white were exchanged, since zero was white in the source."""
    blake3: str | None
    """Digest of the whole file, in hexadecimal; ``None`` if it was not read back."""
    frames_picture: int = 0
    """A label, overview or thumbnail, stored without loss."""
    in_concatenation_number: int | None = None
    """Which part of a level it is, from 1; ``None`` if it is all of it."""
    in_concatenation_total_number: int | None = None
    frames_absent: int = 0
    """Missing tiles that became no frame."""
    frames_recoded: int = 0
    """Composed of tiles and encoded anew: neither bytes nor pixels are the source's."""
    segments_dropped: int | None = None
    """``APPn``, COM and boxes of copied tiles, of which each was looked at; ``None`` of others."""


def certificate(
    *,
    package_version: str,
    policy: Policy,
    clean: CleanMetadata,
    findings: Sequence[Finding],
    instances: Sequence[InstanceRecord],
    read_back: CheckResult,
    verified: CheckResult,
    key_id: str | None = None,
    pixels: PixelChecks | None = None,
) -> dict[str, Any]:
    """Return the certificate of one slide, valid against `certificate_schema`.

    The same arguments give the same certificate. There is no time of conversion in it: under the
    profile `public` that would be a date to find the slide by, in the logs of whoever exported it.

    Parameters
    ----------
    package_version
        Version of coverslip.
    policy
        What was allowed to leave.
    clean
        What was written about the slide.
    findings
        What was found in the source, and its fate.
    instances
        What was written, base level first.
    read_back
        Whether the written frames were compared with the tiles again.
    verified
        Whether the independent check ran on the finished files.
    key_id
        Tells which key the pseudonyms were derived from, if any.
    pixels
        What searching the pixels came to; ``None`` if they were not searched.
    """
    pixels = PixelChecks() if pixels is None else pixels
    checks = {"pixel_text": str(pixels.text), "bar_codes": str(pixels.bar_codes)}
    return {
        "schema_version": SCHEMA_VERSION,
        "package": {"name": "coverslip", "version": package_version},
        "policy": {
            "profile": str(policy.profile),
            "options": policy.options(),
            "sha256": policy.digest(),
        },
        "deidentification_codes": list(clean.deidentification_codes),
        "study_instance_uid": clean.study_instance_uid,
        "series_instance_uids": [region.series_instance_uid for region in clean.regions],
        "slide_pseudonym": clean.slide_pseudonym,
        "key_id": key_id,
        "colour_profile": "srgb_assumed" if clean.icc_is_synthetic else "rebuilt",
        "findings": {
            "count": len(findings),
            "by_kind_and_fate": _counts("kind", (str(f.kind) for f in findings), findings),
            "by_place_and_fate": _counts("place", map(place_class, findings), findings),
            **_keys(findings),
            "left_behind": list(_left_behind(findings)),
        },
        "instances": [
            {**asdict(record), "image_type": list(record.image_type)} for record in instances
        ],
        "checks": {**checks, "read_back": str(read_back), "verified": str(verified)},
        "residual_risk": _RISKS[policy.profile]
        + _residual_risk(
            checks, pixels, is_recoded=any(record.frames_recoded for record in instances)
        ),
    }


def _residual_risk(checks: dict[str, str], pixels: PixelChecks, *, is_recoded: bool) -> str:
    """Return what cannot be excluded after the searches of the pixels that ran."""
    dropped = _WITH_THUMBNAIL if pixels.is_thumbnail_written else _DROPPED
    sentences = [_KEPT if pixels.kept else dropped, _RECODED if is_recoded else _LINKABLE]
    for result, sentence in (
        (CheckResult.PASSED, "The lowest levels were searched for {}, larger ones were not."),
        (CheckResult.ATTESTED, "For {} in the pixels somebody vouches by name."),
        (CheckResult.FOUND, _FOUND),
        (CheckResult.NOT_RUN, "The pixels of levels were not searched for {}."),
    ):
        what = [name for check, name in _SEARCHED.items() if checks[check] == result]
        if what:
            sentences.append(sentence.format(" and ".join(what)))
    if pixels.reduction > 1 and pixels.bar_codes is CheckResult.PASSED:
        sentences.append(_REDUCED.format(pixels.reduction))
    if pixels.are_levels_in_doubt:
        sentences.append(_IN_DOUBT)
    if pixels.is_overview_masked:
        sentences.append(_MASKED)
    return " ".join((*sentences, _CLAIM))


def _counts(
    name: str, values: Iterable[str], findings: Iterable[Finding]
) -> list[dict[str, object]]:
    """Return how many findings have the same value and fate."""
    fates = (str(finding.fate) for finding in findings)
    counts = Counter(zip(values, fates, strict=True))
    return [
        {name: value, "fate": fate, "count": count}
        for (value, fate), count in sorted(counts.items())
    ]


def place_class(finding: Finding) -> str:
    """Return the place without the number of its directory, as one of the schema's words.

    A format of another package may name a place as it likes, so what is not listed is not told.
    """
    match = _IN_DIRECTORY.fullmatch(finding.place)
    if match is None:
        return finding.place if finding.place in _places() else "other"
    directory, name, tag = match["directory"], match["name"], match["tag"]
    if directory == "GPS":
        return directory
    if tag is not None:
        return "private tag" if int(tag) >= _PRIVATE_TAGS else "other tag"
    name = "ICC profile" if name == "ICCProfile" else name
    return name if name in _places() else "other"


@functools.cache
def _places() -> frozenset[str]:
    rows = certificate_schema()["properties"]["findings"]["properties"]["by_place_and_fate"]
    return frozenset(rows["items"]["properties"]["place"]["enum"])


def _keys(findings: Iterable[Finding]) -> dict[str, object]:
    """Return the known keys whose values did not go out, and how many had an unknown name."""
    gone = [f for f in findings if f.fate is not Fate.KEPT and not f.is_leftover]
    unknown = [item for item in gone if item.key is None and item.kind is ItemKind.UNKNOWN]
    return {
        "keys_removed": sorted({finding.key for finding in gone if finding.key is not None}),
        "unknown_keys_removed": len(unknown),
    }


def _left_behind(findings: Iterable[Finding]) -> Iterator[dict[str, object]]:
    """Yield a row for each kind of thing beside tags and pixels, at each place."""
    rows: dict[tuple[str, int | None, str | None, str], list[Finding]] = {}
    for finding in findings:
        if finding.is_leftover:
            match = _IN_DIRECTORY.fullmatch(finding.place)
            ifd = None if match is None else int(match["number"])
            key = (place_class(finding), ifd, finding.key, str(finding.kind))
            rows.setdefault(key, []).append(finding)
    for (place, ifd, what, kind), found in rows.items():
        yield {
            "place": place,
            "ifd": ifd,
            "what": what,
            "kind": kind,
            "pieces": sum(finding.pieces for finding in found),
            "bytes": sum(finding.byte_count or 0 for finding in found),
            "streams_looked_at": found[0].looked_at,
            "streams": found[0].among,
        }


@functools.cache
def certificate_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) that every certificate is valid against."""
    text = resources.files("coverslip").joinpath("certificate.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def write_certificate(path: Path, certificate: dict[str, Any]) -> None:
    """Write a certificate as JSON into a new file.

    Raises
    ------
    FileExistsError
        If there is something of that name, a symbolic link included.
    """
    text = json.dumps(certificate, indent=2, allow_nan=False)
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text + "\n")
