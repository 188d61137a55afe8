"""What an instance says of being a part of a larger one (PS3.3 C.7.6.16.2.2.4)."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from coverslip.verification.elements import Problem
from coverslip.verification.order import Walk

_PLACE = "(0020,9161)"
_SAID = {
    "ConcatenationUID": 0x00209161,
    "SOPInstanceUIDOfConcatenationSource": 0x00200242,
    "InConcatenationNumber": 0x00209162,
    "InConcatenationTotalNumber": 0x00209163,
    "ConcatenationFrameOffsetNumber": 0x00209228,
}
_OWN = frozenset((0x00080018, 0x00280008, 0x00209162, 0x00209228))
"""SOP Instance UID, Number of Frames, which part it is: all else is the same in every part."""
_META_LENGTH, _META_END = 140, 144
_SHORT = 8
"""Tag, value representation and length of these, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which part of a concatenation an instance says that it is."""

    uid: str = field(repr=False)
    """Of the concatenation."""
    number: int
    """From 1."""
    total: int
    first_frame: int
    """Among those of all parts, from 0."""
    likeness: bytes = field(repr=False)
    """Digest of all that must be the same in every part."""
    problems: tuple[Problem, ...] = ()


def read(dataset: Dataset, header: bytes, walked: Walk) -> Part | None:
    """Return which part an instance is, ``None`` of one that is whole.

    ``header`` ends where the places of frames begin, if there are any.
    """
    if not any(keyword in dataset for keyword in _SAID):
        return None
    return Part(
        uid=str(dataset.get("ConcatenationUID")),
        number=int(dataset.get("InConcatenationNumber") or 0),
        total=int(dataset.get("InConcatenationTotalNumber") or 0),
        first_frame=int(dataset.get("ConcatenationFrameOffsetNumber") or 0),
        likeness=_likeness(header, walked),
        problems=tuple(_problems(dataset)),
    )


def _problems(dataset: Dataset) -> Iterator[Problem]:
    missing = [keyword for keyword in _SAID if dataset.get(keyword) in (None, "")]
    if missing:
        yield _PLACE, f"a part of a concatenation without {missing[0]}"
        return
    if not 1 <= int(dataset.InConcatenationNumber) <= int(dataset.InConcatenationTotalNumber):
        yield "(0020,9162)", "it is not one of the parts that there are"
    if "VOLUME" not in dataset.get("ImageType", ()):
        yield _PLACE, "a picture with one frame that is a part"
    uids = {str(dataset.get(f"{kind}UID")) for kind in ("SOPInstance", "Concatenation")}
    if str(dataset.SOPInstanceUIDOfConcatenationSource) in uids:
        yield "(0020,0242)", "it is not the UID of the whole"


def _likeness(header: bytes, walked: Walk) -> bytes:
    """Return the digest of the data set without what is a part's own."""
    at = _META_END + int.from_bytes(header[_META_LENGTH:_META_END], "little")
    digest = hashlib.sha256()
    for value in walked.values:
        if len(value.tags) == 1 and value.tags[0] in _OWN:
            digest.update(header[at : value.start - _SHORT])
            at = value.end
    digest.update(header[at:])
    return digest.digest()
