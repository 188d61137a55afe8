"""TIFFs that are not the slide themselves: refused by name, with what the user can do."""

from coverslip.errors import UnsupportedSlideError
from coverslip.model import Slide
from coverslip.tiff import Tiff

_OLYMPUS = 33560


class OlympusVsi:
    """The index of an Olympus or Evident slide: a TIFF with a small picture."""

    name = "Olympus VSI"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether Olympus' own tag is there, and no tiles."""
        first = tiff.directories[0] if tiff.directories else None
        return first is not None and _OLYMPUS in first and not first.is_tiled

    def read(self, tiff: Tiff) -> Slide:
        """Raise: the tiles are in other files, in a format of their own."""
        raise UnsupportedSlideError(
            f"{self.name} slides are not supported",
            hint="the tiles are in ETS files beside it: export it as an SVS, an OME-TIFF or a "
            "generic TIFF with JPEG or JPEG 2000 tiles",
        )
