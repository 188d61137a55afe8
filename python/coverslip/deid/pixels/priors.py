"""Where each vendor's overview shows the label, before anyone has looked at the picture."""

from dataclasses import dataclass

from coverslip.deid.pixels.drawn import Colour
from coverslip.model import LabelSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """The side at which the label lies, and the share of the picture it takes there at most."""

    side: LabelSide | None
    """``None`` if it may be either end of the picture."""
    share: float
    frame: Colour | None = None
    """Of the frame that the scanner's software draws around what was scanned, if it draws one."""


UNKNOWN = Prior(side=None, share=0.35)
"""A glass is 75 mm long and a label 20 to 26 mm: 0.26 to 0.35."""

_PRIORS = {
    "Aperio SVS": Prior(side=LabelSide.LEFT, share=0.35, frame=(0, 255, 0)),
    "Argos": Prior(side=LabelSide.RIGHT, share=0.24),
    "Hamamatsu NDPI": Prior(side=LabelSide.LEFT, share=0.30),
    "Leica SCN": Prior(side=LabelSide.BOTTOM, share=0.28),
}
"""By name of the format. Other readers crop by the same numbers; none is enough by itself."""


def prior_of(format_name: str) -> Prior:
    """Return the prior of a format; of one that is not listed nothing is known."""
    return _PRIORS.get(format_name, UNKNOWN)
