"""Text that came from somebody, and who may see it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from coverslip.errors import PolicyError


class SourceText:
    """Text of a slide, sealed: printing, formatting and encoding it show nothing.

    The DICOM writer's allow-list refuses it wherever it stands, so it cannot reach an output by
    mistake.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "<sealed>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceText) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """Return the text itself; for detection, scrubbing and verification only."""
        return self._text


class OperatorText:
    """Text that the operator gave about a slide: the only free text that may be written.

    It has a type of its own so that nothing of a slide can pass for it. Printing it shows
    nothing either.

    Parameters
    ----------
    text
        Printable characters without a backslash, which separates values in DICOM.
    longest
        How many there may be: those of a Long String (PS3.5 6.2), if it is not said.

    Raises
    ------
    PolicyError
        If it is empty, too long, or holds what may not be in a value; without the text.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str, longest: int = 64) -> None:
        if not isinstance(text, str):
            raise PolicyError("what the operator gives must be text")
        is_printable = re.fullmatch(r"[^\\\x00-\x1f\x7f-\x9f\ud800-\udfff]+", text)
        if not is_printable or len(text) > longest:
            what = f"1 to {longest} printable characters and no backslash"
            raise PolicyError(f"a text must have {what}")
        self._text = text

    def __repr__(self) -> str:
        return "<given>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OperatorText) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text


class Profile(StrEnum):
    """What the output is for; the strictest is the default.

    Aliases are accepted by the constructor: ``Profile("anonymised")`` is `PUBLIC`.
    """

    PUBLIC = "public"
    RESEARCH = "research"
    CARE = "care"

    @classmethod
    def _missing_(cls, value: object) -> "Profile":
        alias = _ALIASES.get(value) if isinstance(value, str) else None
        if alias is None:
            raise PolicyError(
                "there is no profile of this name", hint=f"choose one of {', '.join(cls)}"
            )
        return alias


_ALIASES = {
    "anonymised": Profile.PUBLIC,
    "pseudonymised": Profile.RESEARCH,
    "clinical": Profile.CARE,
}


class ItemKind(StrEnum):
    """What a piece of source metadata may give away."""

    NAME = "file name"
    IDENTIFIER = "identifier"
    DATE = "date"
    DEVICE = "device"
    PERSON = "person"
    PLACE = "place"
    TEXT = "free text"
    PICTURE = "picture"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceItem:
    """One place in the source that holds text.

    ``place`` and ``key`` are in our words (``IFD 0 ImageDescription``, ``Filename``): a key that
    is not in the vocabulary of its format is itself source text, and ``key`` is then ``None``.
    """

    place: str
    key: str | None
    kind: ItemKind
    text: SourceText


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """Where a value of a directory, or something else, lies in the file."""

    ifd: int | None
    tag: int | None
    offset: int
    byte_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Something that lies in a slide beside its tags and pixels, and goes nowhere.

    Pieces that say the same at one place are one.
    """

    place: str
    """In our words: ``IFD 0 tiles``, ``gap``."""
    key: str | None
    """What a stream calls it, ``COM`` or ``APP1``."""
    kind: ItemKind
    pieces: int
    """How many there are in what was looked at."""
    byte_count: int
    """Of all pieces."""
    looked_at: int | None = None
    """How many streams of that place were looked at, ``None`` if it lies in none."""
    among: int | None = None
    """How many streams that place has."""
    text: SourceText | None = None
    stored: StoredValue | None = field(default=None, repr=False)
    """Where the first piece lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMetadata:
    """What the source says beside its pixels; never written."""

    items: tuple[SourceItem, ...] = ()
    device: tuple[SourceText, ...] = ()
    """Texts that name the scanner; only a closed vocabulary is looked up in them."""
    icc_profile: bytes | None = field(default=None, repr=False)
    values: Mapping[str, StoredValue] = field(default_factory=dict, repr=False)
    """By the place of an item: the value that it was taken out of."""
    structure: tuple[tuple[int, int], ...] = ()
    """Offset and byte count of what belongs to directories beside their entries."""
