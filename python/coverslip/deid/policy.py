"""What the operator allows to leave a slide."""

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal, get_args

from coverslip.errors import PolicyError

Overview = Literal["drop", "mask"]
_WHO_LENGTH = 64


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What decides over one conversion. A policy that exists can be carried out.

    Parameters
    ----------
    profile
        What the output is for.
    mpp_um
        Micrometres per pixel of the base level, given by the operator; ``None`` takes what the
        slide says.
    colour
        What the samples of three-component tiles are, given by the operator; ``None`` takes what
        the slide's signs and its picture say.
    overview
        What becomes of the picture of the whole glass: ``drop``, or ``mask`` to write it without
        its label where that is beyond doubt.
    pixels_attested
        Who vouches that the pixels show nothing that identifies; the name goes into the
        certificate. ``None`` if nobody does.

    Raises
    ------
    PolicyError
        If the profile is not available, the pixel spacing is not a positive, finite number, or
        an option has a value that it does not have.
    """

    profile: Profile = Profile.PUBLIC
    mpp_um: float | None = None
    colour: Literal["RGB", "YBR"] | None = None
    overview: Overview = "drop"
    pixels_attested: str | None = None

    def __post_init__(self) -> None:
        if self.profile != Profile.PUBLIC:
            raise PolicyError(
                f"the profile {self.profile} is not available yet",
                hint="this version writes the profile public only",
            )
        if self.mpp_um is not None and not 0 < self.mpp_um < float("inf"):
            raise PolicyError("MPP must be positive and finite")
        if self.overview not in get_args(Overview):
            raise PolicyError(
                "there is no such choice for the overview",
                hint=f"choose one of {', '.join(get_args(Overview))}",
            )
        who = self.pixels_attested
        if who is not None and not (who.isprintable() and 0 < len(who.strip()) <= _WHO_LENGTH):
            raise PolicyError(
                f"who attests must be named in 1 to {_WHO_LENGTH} printable characters"
            )

    def digest(self) -> str:
        """Return the SHA-256 of the effective policy as canonical JSON, in hexadecimal."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()
