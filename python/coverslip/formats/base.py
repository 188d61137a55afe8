"""What a format is."""

from typing import Protocol

from coverslip.model import Slide
from coverslip.tiff import Tiff


class Format(Protocol):
    """Recognises the files of one vendor and says what is in them."""

    @property
    def name(self) -> str:
        """Name for people, ``Aperio SVS`` for example."""

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether a file is of this format; by content, never by its name."""

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide.

        Raises
        ------
        UnsupportedSlideError
            If it is right but cannot be copied.
        SourceError
            If it is damaged.
        """
