"""What the operator allows to leave a slide."""

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal

from coverslip.errors import PolicyError


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
    allow_pixel
        Whether tiles that cannot be frames as they are may be decoded, and their pixels stored with
        a lossless codec.

    Raises
    ------
    PolicyError
        If the profile is not available, or the pixel spacing is not a positive, finite number.
    """

    profile: Profile = Profile.PUBLIC
    mpp_um: float | None = None
    colour: Literal["RGB", "YBR"] | None = None
    allow_pixel: bool = False

    def __post_init__(self) -> None:
        if self.profile != Profile.PUBLIC:
            raise PolicyError(
                f"the profile {self.profile} is not available yet",
                hint="this version writes the profile public only",
            )
        if self.mpp_um is not None and not 0 < self.mpp_um < float("inf"):
            raise PolicyError("MPP must be positive and finite")

    def digest(self) -> str:
        """Return the SHA-256 of the effective policy as canonical JSON, in hexadecimal."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()
