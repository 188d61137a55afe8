"""Formats that are recognised but not supported yet: refused by name, not guessed at."""

from collections.abc import Callable
from dataclasses import dataclass

from coverslip.errors import UnsupportedSlideError
from coverslip.model import Slide
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION, SOFTWARE

_MAKE, _OLYMPUS, _ARGOS = 271, 33560, 65000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A format known by a sign; reading it raises with its name and the reason."""

    name: str
    sign: Callable[[Tiff], bool]
    hint: str = "export it as one of the formats that the README lists"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the sign is there."""
        return bool(tiff.directories) and self.sign(tiff)

    def read(self, tiff: Tiff) -> Slide:
        """Raise: no tile of this format is copied yet."""
        raise UnsupportedSlideError(
            f"{self.name} slides are not supported yet",
            hint=self.hint,
        )


def _text(directory: Directory, tag: int) -> str:
    text = directory.text(tag)
    return "" if text is None else text.reveal()


def _first(
    tag: int, *, begins: str = "", holds: str = "", ends: str = ""
) -> Callable[[Tiff], bool]:
    """Return a sign in a text tag of the first directory."""

    def sign(tiff: Tiff) -> bool:
        text = _text(tiff.directories[0], tag).strip()
        return text.startswith(begins) and holds in text and text.endswith(ends)

    return sign


AFTER_APERIO = (
    Refused(
        name="Olympus VSI",
        sign=lambda tiff: _OLYMPUS in tiff.directories[0] and not tiff.directories[0].is_tiled,
        hint="its tiles are in ETS files beside it: export it as an SVS, an OME-TIFF or a generic "
        "TIFF with JPEG or JPEG 2000 tiles",
    ),
    Refused(name="Argos", sign=lambda tiff: "Argos" in _text(tiff.directories[0], _ARGOS)),
    Refused(name="Trestle", sign=_first(SOFTWARE, begins="MedScan")),
    Refused(name="Huron", sign=_first(_MAKE, begins="Huron")),
    Refused(name="Motic", sign=_first(IMAGE_DESCRIPTION, begins="Motic")),
    Refused(name="Mikroscan", sign=_first(IMAGE_DESCRIPTION, holds="Mikroscan Image Structure")),
    Refused(name="3DHISTECH TIFF", sign=_first(IMAGE_DESCRIPTION, holds="3dh_PixelSizeX")),
)
