"""Where texts that the operator gave may stand, by what an instance itself says was retained.

What may be there is one value as a whole, at its place; the same text anywhere else is found. So a
name that is a part of the institution's, or a stain that the slide names as well, is no alarm, and
no word is exempt from the search.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from coverslip.codes import codes
from coverslip.verification.attributes import IS_DUMMY_TIME
from coverslip.verification.order import Value

_SEX, _AGE, _SERIAL, _STATION = 0x00100040, 0x00101010, 0x00181000, 0x00081010
_DEVICE_UID, _CALIBRATED = 0x00181002, 0x00181200
_DATES = (0x00080020, 0x00080023, 0x0008002A, _CALIBRATED)
_SPECIMENS, _PREPARATION, _STEP = 0x00400560, 0x00400610, 0x00400612
_CODE, _MEANING = 0x00080100, 0x00080104
_ISSUER = 0x00400031
_TEXT_VALUE = 0x0040A160
_STEP_TEXT = (_SPECIMENS, _PREPARATION, _STEP, _TEXT_VALUE)
_INSTITUTION = ((0x00080080,), (0x00080081,), (0x00081040,))
"""Name, address, department."""
_DEVICE = ((_SERIAL,), (_STATION,), (_DEVICE_UID,), (0x0018100A, 0x00181009))
"""The last one is its UDI."""

_RETAINED: dict[str, tuple[tuple[int, ...], ...]] = {
    "113106": tuple((tag,) for tag in _DATES),
    "113107": tuple((tag,) for tag in _DATES),
    "113108": ((_SEX,), (_AGE,)),
    "113109": _DEVICE,
    "113112": _INSTITUTION,
}
"""Values by the code of CID 7050 that claims them (PS3.15 E.3.6 to E.3.12)."""
_IDENTITY: tuple[tuple[int, ...], ...] = (
    *((tag,) for tag in (0x00100010, 0x00100020, 0x00100030, _SEX, _AGE, 0x00080050)),
    *_INSTITUTION,
    *_DEVICE,
    *((tag,) for tag in (0x00400512, *_DATES, 0x00080021, 0x00080031, 0x00080201, 0x00181201)),
    *((tag,) for tag in (0x00080030, 0x00080033, 0x00080090, 0x00081030, 0x0008103E)),
    *((tag,) for tag in (0x00081050, 0x00081070, 0x00100021, 0x00101020, 0x00101030)),
    *((tag,) for tag in (0x00102160, 0x001021A0, 0x00104000, 0x00181030, 0x0020000D, 0x00200010)),
    *((tag, _ISSUER) for tag in (0x00080051, 0x00400513)),
    (0x00400515, 0x00400512),
    *((0x00101002, tag) for tag in (0x00100020, 0x00100021)),
    *((tag,) for tag in (0x22000002, 0x22000005)),
    *((_SPECIMENS, tag) for tag in (0x00400551, 0x00400600, 0x00400602)),
    (_SPECIMENS, 0x00400562, _ISSUER),
    _STEP_TEXT,
    (_SPECIMENS, 0x00400620, _TEXT_VALUE),
)
"""Values of the patient, case, slide and specimen, where identity was not removed."""
_TRIAL = tuple(
    (tag,) for tag in (0x00120010, 0x00120020, 0x00120021, 0x00120030, 0x00120031, 0x00120040)
)
"""What a project calls itself and its subjects (PS3.3 C.7.1.3)."""
_CONCEPTS = {
    "111703": "Processing step description",
    "111718": "Location of Specimen",
    "9265001": "Specimen processing",
    "430863003": "Embedding medium",
    "430864009": "Tissue Fixative",
}
"""Names of content items (PS3.16 TID 8001, TID 8004), which are in some outputs only."""
_STEPS = frozenset({"Fixation", "Embedding", "Fixation and embedding"})
"""What a step of a preparation may be called."""
_ATTESTED = re.compile(
    rb'"(?:pixels_attested|project)": ?"(?:[^"\\]|\\.)*"|"max_instance_size": ?[0-9]+'
)
"""What the operator says by himself in a certificate."""
_COUNT = re.compile(
    rb'"(?:count|pieces|bytes|streams|streams_looked_at|segments_dropped|unknown_keys_removed'
    rb'|frames_[a-z]+)": ([0-9]{5,6})(?=[\s,}])'
)
"""Counts of a certificate. A dozen numbers of five digits in a slide meet three such counts by
chance in one of 2,500 slides (12 x 3 / 90,000); of more than six digits so seldom that it is found.
"""

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Claims:
    """What an instance says of its own identity."""

    identity_removed: bool
    codes: frozenset[str]
    """Of the de-identification methods."""
    is_research: bool = False
    """Whether the method names a project as its purpose, which may say what it is."""

    @property
    def profile(self) -> str:
        """Under which profile it was made: the strictest, if it does not say."""
        if not self.identity_removed:
            return "care"
        return "research" if self.is_research else "public"


def in_instance(data: bytes, values: list[Value], claims: Claims) -> Iterator[Range]:
    """Yield where values lie that the instance says were retained or given."""
    paths = {path for code in claims.codes for path in _RETAINED.get(code, ())}
    if not claims.identity_removed:
        paths |= set(_IDENTITY)
    if claims.is_research:
        paths |= set(_TRIAL)
    for value in values:
        text = _text(data, value)
        is_dummy = value.tags[-1] in _DATES and IS_DUMMY_TIME.fullmatch(text)
        is_step = value.tags == _STEP_TEXT and text in _STEPS
        if value.tags in paths or is_dummy or is_step:
            yield value.start, value.end
    yield from _coded(data, values)


def _coded(data: bytes, values: list[Value]) -> Iterator[Range]:
    """Yield where code and meaning of what a list holds stand, if they belong together."""
    lists = ("stains", "fixative", "embedding", "specimen_type", "anatomy")
    listed = {code: meaning for name in lists for code, meaning in codes(name).items()} | _CONCEPTS
    meanings = {value.item: value for value in values if value.tags[-1] == _MEANING}
    for value in values:
        meaning = meanings.get(value.item)
        if value.tags[-1] != _CODE or meaning is None:
            continue
        if listed.get(_text(data, value)) == _text(data, meaning):
            yield value.start, value.end
            yield meaning.start, meaning.end


def _text(data: bytes, value: Value) -> str:
    return data[value.start : value.end].rstrip(b" \0").decode(errors="replace")


def in_certificate(data: bytes, studies: Iterable[str]) -> Iterator[Range]:
    """Yield where a certificate tells a count, the operator's own words, a study with identity."""
    yield from (found.span() for found in _ATTESTED.finditer(data))
    yield from (found.span(1) for found in _COUNT.finditer(data))
    for study in studies:
        told = re.escape(f'"study_instance_uid": "{study}"'.encode())
        yield from (found.span() for found in re.finditer(told, data))


def in_name(name: str, studies: Iterable[str]) -> Iterator[Range]:
    """Yield where a path below an output names a study with identity by its folder."""
    for study in studies:
        if name == study or name.startswith(f"{study}/"):
            yield 0, len(study)
