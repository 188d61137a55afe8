"""What the operator allows to leave a slide."""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar

from coverslip.errors import PolicyError
from coverslip.model import Profile

Word = TypeVar("Word", bound=StrEnum)

__all__ = ["Dates", "Keep", "Link", "Policy", "Profile", "byte_count_of", "read_policy", "size_of"]

_BEST_QUALITY = 100
_MOST_FRAME = 8192
_WHO_LENGTH = 64
_MPP_UM = (0.001, 1000.0)
"""From below what light resolves to a picture of a whole slide 75 pixels long."""
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class Dates(StrEnum):
    """What becomes of the dates that the operator gives."""

    FULL = "full"
    SHIFT = "shift"
    DROP = "drop"


class Keep(StrEnum):
    """What may stay of what the operator gives, under the profile `research`."""

    PATIENT_CHARACTERISTICS = "patient_characteristics"
    DEVICE = "device"
    INSTITUTION = "institution"


class Link(StrEnum):
    """Whose slides share a Patient ID; slides of one case share a study down to `CASE`."""

    PATIENT = "patient"
    CASE = "case"
    SLIDE = "slide"
    NONE = "none"


_DEFAULT_DATES = {
    Profile.PUBLIC: Dates.DROP,
    Profile.RESEARCH: Dates.SHIFT,
    Profile.CARE: Dates.FULL,
}
_DEFAULT_LINK = {
    Profile.PUBLIC: Link.NONE,
    Profile.RESEARCH: Link.PATIENT,
    Profile.CARE: Link.PATIENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What decides over one conversion. A policy that exists can be carried out.

    Words that are given as text are turned into members of their enumerations, and what is left
    out into the profile's default, so that two policies that do the same are the same.

    Parameters
    ----------
    profile
        What the output is for.
    dates
        What becomes of the dates that the operator gives: ``drop`` under `public`; ``shift`` by
        whole weeks, the default, ``full`` or ``drop`` under `research`; ``full`` under `care`.
    keep
        Under `research`: ``patient_characteristics``, ``device``, ``institution``.
    link
        Whose slides share a Patient ID: ``patient``, ``case``, ``slide`` or ``none``.
    accession
        Under `research`: ``pseudonym`` writes that of the case, ``empty`` nothing.
    year
        Under `public`: ``keep`` writes the year of the acquisition date that the operator gives.
    time
        Under `research`: ``keep`` writes the time of day of the acquisition that the operator gives
        beside its date, moved or not; ``drop`` has midnight in its place.
    anatomy
        What becomes of the anatomic structure that the operator gives: ``keep``, the default of
        `research` and `care`, or ``drop``, that of `public`, since a rare site tells patients
        apart.
    project
        Another project gives other pseudonyms under the same key.
    mpp_um
        Micrometres per pixel of the base level, given by the operator, 0.001 to 1000; ``None``
        takes what the slide says.
    colour
        What the samples of three-component tiles are, given by the operator; ``None`` takes what
        the slide's signs and its picture say.
    allow_pixel
        Whether tiles that cannot be frames as they are may be decoded, and their pixels stored with
        a lossless codec.
    allow_recode
        Quality, 1 to 100, of the JPEG in which tiles that only fit together once they are decoded
        may be encoded; ``None`` does not let that happen.
    ndpi_frames
        Side in pixels of the frames that the one JPEG of an NDPI level is cut into, a multiple of
        16; ``native`` for frames that are whole restart intervals, so that nothing is coded anew;
        ``auto`` for those where no interval is wider than 2048 pixels, else 1024.
    j2k_ycc
        What becomes of YCbCr in JPEG 2000 that its own transformation does not know of: ``mct``
        switches that on, ``copy`` declares it as it is, ``pixel`` decodes it to RGB. ``None`` for
        ``mct`` where chroma is not halved, else ``copy``.
    deflated_frames
        Whether Deflate tiles without a predictor are copied to frames of Deflated Image Frame
        Compression, which few readers know.
    sparse
        Whether tiles that the slide does not have become no frame: such a level is TILED_SPARSE.
    max_instance_size
        Bytes that no file may have more of, or text such as ``2GB``: a level that would be larger
        is divided among several, a concatenation. ``None`` for one file a level.
    label
        What becomes of the label: ``drop``; ``substitute`` to write a drawn one that shows the
        Container Identifier; ``keep``, the default under `care` and only there.
    overview
        What becomes of the picture of the whole glass: ``drop``; ``mask`` to write it without its
        label where that is beyond doubt; ``keep``, the default under `care` and only there.
    thumbnail
        What becomes of the scanner's small picture of the scan: ``drop``; ``keep``, not under
        `public`, to write it where it is sure to show no label.
    pixels_attested
        Who vouches that the pixels show nothing that identifies; the name goes into the
        certificate. ``None`` if nobody does.

    Raises
    ------
    PolicyError
        If an option does not fit the profile, has a value that it does not have, or the pixel
        spacing is none that a picture of a slide can have.
    """

    profile: Profile = Profile.PUBLIC
    dates: Dates | None = None
    keep: frozenset[Keep] = frozenset()
    link: Link | None = None
    accession: Literal["empty", "pseudonym"] = "empty"
    year: Literal["drop", "keep"] = "drop"
    time: Literal["drop", "keep"] = "drop"
    anatomy: Literal["drop", "keep"] | None = None
    project: str = ""
    mpp_um: float | None = None
    colour: Literal["RGB", "YBR"] | None = None
    allow_pixel: bool = False
    allow_recode: int | None = None
    ndpi_frames: Literal["auto", "native"] | int = "auto"
    j2k_ycc: Literal["copy", "mct", "pixel"] | None = None
    deflated_frames: bool = False
    sparse: bool = False
    max_instance_size: int | None = None
    label: Literal["drop", "substitute", "keep"] | None = None
    overview: Literal["drop", "mask", "keep"] | None = None
    thumbnail: Literal["drop", "keep"] = "drop"
    pixels_attested: str | None = None

    def __post_init__(self) -> None:
        profile = _word(Profile, "profile", self.profile) or Profile.PUBLIC
        self._set("profile", profile)
        self._set("dates", _word(Dates, "dates", self.dates) or _DEFAULT_DATES[profile])
        pictures = "keep" if profile is Profile.CARE else "drop"
        self._set("label", pictures if self.label is None else self.label)
        self._set("overview", pictures if self.overview is None else self.overview)
        anatomy = "drop" if profile is Profile.PUBLIC else "keep"
        self._set("anatomy", anatomy if self.anatomy is None else self.anatomy)
        self._set("link", _word(Link, "link", self.link) or _DEFAULT_LINK[profile])
        if not isinstance(self.keep, frozenset | set | list | tuple):
            raise PolicyError("keep is a list of words")
        self._set("keep", frozenset(_word(Keep, "keep", word) for word in self.keep))
        self._check_words()
        self._check_profile()
        self._check_number()
        self._check_frames()
        self._check_quality()
        self._set("max_instance_size", size_of(self.max_instance_size))
        self._check_attestation()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_words(self) -> None:
        for name, words in (
            ("accession", ("empty", "pseudonym")),
            ("year", ("drop", "keep")),
            ("time", ("drop", "keep")),
            ("anatomy", ("drop", "keep")),
            ("colour", ("RGB", "YBR", None)),
            ("j2k_ycc", ("copy", "mct", "pixel", None)),
            ("label", ("drop", "substitute", "keep")),
            ("overview", ("drop", "mask", "keep")),
            ("thumbnail", ("drop", "keep")),
        ):
            if getattr(self, name) not in words:
                raise PolicyError(f"there is no such choice for {name}")
        if not (
            isinstance(self.project, str) and re.fullmatch(r"[0-9A-Za-z._-]{0,32}", self.project)
        ):
            raise PolicyError("a project is at most 32 letters, digits, dots and hyphens")

    def _check_profile(self) -> None:
        is_research = self.profile is Profile.RESEARCH
        if not is_research and self.dates is not _DEFAULT_DATES[self.profile]:
            raise PolicyError(f"the profile {self.profile} does not let you choose dates")
        if not is_research and self.keep:
            raise PolicyError(f"the profile {self.profile} has no keep")
        if not is_research and self.accession != "empty":
            raise PolicyError(f"the profile {self.profile} has no pseudonym for the accession")
        if self.profile is not Profile.CARE and "keep" in (self.label, self.overview):
            raise PolicyError(f"the profile {self.profile} keeps no label and no overview as it is")
        if self.profile is Profile.PUBLIC and self.thumbnail != "drop":
            raise PolicyError(
                "the profile public keeps no thumbnail of the slide's own",
                hint="viewers make one of the lowest level, which is written",
            )
        if self.profile is not Profile.PUBLIC and self.year != "drop":
            raise PolicyError(f"the profile {self.profile} has no choice of the year")
        if self.time != "drop" and not (is_research and self.dates is not Dates.DROP):
            raise PolicyError(
                "a time of day is kept beside a date only, and under research",
                hint="care writes those of the table, public none",
            )
        if self.profile is Profile.PUBLIC and self.link is not Link.NONE:
            raise PolicyError("the profile public links nothing", hint="choose research")

    def _check_number(self) -> None:
        mpp_um = self.mpp_um
        if mpp_um is None:
            return
        if isinstance(mpp_um, bool) or not isinstance(mpp_um, int | float):
            raise PolicyError("MPP must be a number")
        least, most = _MPP_UM
        if not least <= mpp_um <= most:
            raise PolicyError(f"MPP must be from {least:g} to {most:g} micrometres")

    def _check_frames(self) -> None:
        frames = self.ndpi_frames
        if frames == "auto" or frames == "native":
            return
        is_number = isinstance(frames, int) and not isinstance(frames, bool)
        if not is_number or frames % 16 or not 128 <= frames <= _MOST_FRAME:
            raise PolicyError(
                "frames of NDPI are auto or native, or have a side of 128 to "
                f"{_MOST_FRAME} pixels that is a multiple of 16"
            )

    def _check_quality(self) -> None:
        quality = self.allow_recode
        if quality is None:
            return
        is_number = isinstance(quality, int) and not isinstance(quality, bool)
        if not is_number or not 1 <= quality <= _BEST_QUALITY:
            raise PolicyError(f"the quality of JPEG is a number from 1 to {_BEST_QUALITY}")

    def _check_attestation(self) -> None:
        who = self.pixels_attested
        if who is None:
            return
        is_name = isinstance(who, str) and who.isprintable() and len(who.strip()) > 0
        if not is_name or len(who) > _WHO_LENGTH:
            raise PolicyError(
                f"who attests must be named in 1 to {_WHO_LENGTH} printable characters"
            )

    def options(self) -> dict[str, Any]:
        """Return the effective choices without the profile, fit for JSON."""
        options = asdict(self) | {"keep": sorted(self.keep)}
        del options["profile"]
        return options

    def digest(self) -> str:
        """Return the SHA-256 of the effective policy as canonical JSON, in hexadecimal."""
        document = self.options() | {"profile": self.profile}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def byte_count_of(size: str) -> int | None:
    """Return the bytes of a size such as 200MB, ``None`` if it is not like one."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]B)?", size.strip().upper())
    return None if match is None else int(Decimal(match[1]) * _UNITS[match[2] or ""])


def size_of(size: object) -> int | None:
    """Return a size in bytes.

    Raises
    ------
    PolicyError
        If it is none.
    """
    if size is None:
        return None
    byte_count = byte_count_of(size) if isinstance(size, str) else size
    if (
        isinstance(byte_count, bool)
        or not isinstance(byte_count, int)
        or not 0 < byte_count < 1 << 63
    ):
        raise PolicyError("a size is a number of bytes, or looks like 200MB or 2GB")
    return byte_count


def _word(kind: type[Word], name: str, value: object) -> Word | None:
    """Return a word as a member of its enumeration.

    Raises
    ------
    PolicyError
        If it is not one of them.
    """
    if value is None:
        return None
    if not isinstance(value, str) or value not in list(kind):
        raise PolicyError(
            f"there is no such choice for {name}", hint=f"choose of {', '.join(kind)}"
        )
    return kind(value)


def read_policy(path: Path, overrides: Mapping[str, object] | None = None) -> Policy:
    """Return the policy that a TOML file states.

    Parameters
    ----------
    path
        The file; its keys are the parameters of `Policy`.
    overrides
        Choices that count more than those of the file.

    Raises
    ------
    PolicyError
        If it is no TOML, has an unknown key, or states what cannot be carried out.
    OSError
        If it cannot be read.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise PolicyError("the policy is not TOML") from None
    known = [field.name for field in fields(Policy)]
    for number, key in enumerate(document, start=1):
        if key not in known:
            # Not by its name: somebody may have taken the file for the table of patients.
            raise PolicyError(
                f"key {number} of the policy is not known", hint=f"known are {', '.join(known)}"
            )
    return Policy(**{**document, **(overrides or {})})
