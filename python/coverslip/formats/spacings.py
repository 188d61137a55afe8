"""What spacing of pixels a microscope can have, and what TIFF's own tags say of it."""

from coverslip.model import Spacing
from coverslip.tiff import Directory

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_UNIT_MM = {2: 25.4, 3: 10.0}
"""Millimetres in the unit of resolution: inch, centimetre."""
_MPP_UM = (0.05, 20.0)
"""What a microscope can mean; 72 dpi, the value nobody set, is 353 micrometres."""


def microscope_spacing(row_mm: float, column_mm: float) -> Spacing | None:
    """Return a spacing, ``None`` if it cannot be a microscope's."""
    if all(_MPP_UM[0] <= mm * 1000 <= _MPP_UM[1] for mm in (row_mm, column_mm)):
        return Spacing(row_mm=row_mm, column_mm=column_mm)
    return None


def resolution(directory: Directory) -> Spacing | None:
    """Return the spacing of tags 282, 283 and 296, if it can be a microscope's."""
    unit_mm = _UNIT_MM.get(directory.integer(_RESOLUTION_UNIT, 2))
    x, y = directory.number_of(_X_RESOLUTION), directory.number_of(_Y_RESOLUTION)
    if unit_mm is None or not x or not y or _RESOLUTION_UNIT not in directory:
        return None
    return microscope_spacing(row_mm=unit_mm / y, column_mm=unit_mm / x)
