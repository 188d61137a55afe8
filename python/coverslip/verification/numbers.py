"""What the numbers of an instance may be, attribute by attribute, wherever it stands.

From PS3.3 A.32.8, and not from the writer's table, as `coverslip.verification.forms` for texts.
A number has the bytes of its value representation and no more, so a text in its place is found by
its length, or since no such number can be so large.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping

from pydicom.datadict import dictionary_VM
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.multival import MultiValue

Numbers = tuple[float, ...]
Form = Callable[[Numbers], bool]
"""Returns whether all values of an element together may be there."""

_FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "AT": "HH"}
_PRINTABLE = 0x20202020
"""Four letters, digits or spaces are at least this number."""


def one_of(*values: float | Numbers) -> Form:
    """Return the form of the members of a closed list, each of one value or of more."""
    return frozenset(one if isinstance(one, tuple) else (one,) for one in values).__contains__


def between(least: float, most: float) -> Form:
    """Return the form of numbers of a range."""
    return lambda values: all(least <= value <= most for value in values)


def _indices(values: Numbers) -> bool:
    """Tell whether values are those of row and column, and of the focal plane where there are."""
    return len(values) in (2, 3) and _COUNT(values)


def _wave_length(values: Numbers) -> bool:
    """Tell whether a wavelength is one that microscopes have, in whole nanometres."""
    return all(200 <= value <= 2000 and value == int(value) for value in values)


_COUNT = between(1, _PRINTABLE - 1)
_SHORT_COUNT = between(1, 0xFFFF)
_LENGTH_MM = between(1e-6, 1e6)

NUMBERS: Mapping[str, Form] = {
    "SamplesPerPixel": one_of(1, 3),
    "PlanarConfiguration": one_of(0),
    "PixelRepresentation": one_of(0),
    **dict.fromkeys(("BitsAllocated", "BitsStored"), one_of(8, 16)),
    "HighBit": one_of(7, 15),
    "RecommendedAbsentPixelCIELabValue": one_of((0xFFFF, 0x8080, 0x8080), (0, 0x8080, 0x8080)),
    "DimensionIndexPointer": one_of(0x0040074A, 0x0048021E, 0x0048021F),
    "FunctionalGroupPointer": one_of(0x0048021A),
    "DimensionIndexValues": _indices,
    **dict.fromkeys(
        ("Rows", "Columns", "InConcatenationNumber", "InConcatenationTotalNumber"), _SHORT_COUNT
    ),
    "ConcatenationFrameOffsetNumber": between(0, _PRINTABLE - 1),
    **dict.fromkeys(("TotalPixelMatrixColumns", "TotalPixelMatrixRows"), _COUNT),
    **dict.fromkeys(
        ("ColumnPositionInTotalImagePixelMatrix", "RowPositionInTotalImagePixelMatrix"), _COUNT
    ),
    "TotalPixelMatrixFocalPlanes": between(1, 999),
    "NumberOfOpticalPaths": between(1, 999),
    **dict.fromkeys(("ImagedVolumeWidth", "ImagedVolumeHeight"), _LENGTH_MM),
    "ImagedVolumeDepth": between(1, 1e6),
    "IlluminationWaveLength": _wave_length,
}

FILE_META: Mapping[str, Form] = {"FileMetaInformationGroupLength": between(1, 0xFFFF)}
"""The same of file meta information."""


def problems_of_numbers(element: DataElement | RawDataElement, form: Form) -> Iterator[str]:
    """Check the values of an element, from its bytes where it was not converted yet."""
    numbers = _numbers_of(element)
    multiplicity = dictionary_VM(element.tag)
    if numbers is None:
        yield "not the bytes of a number"
    elif numbers and multiplicity.isdecimal() and len(numbers) != int(multiplicity):
        yield f"not {multiplicity} values, as it has to have"
    elif numbers and not (all(map(math.isfinite, numbers)) and form(numbers)):
        yield "a number that such an instance does not have there"


def _numbers_of(element: DataElement | RawDataElement) -> Numbers | None:
    """Return the values of an element, ``None`` if its bytes are not those of numbers."""
    value = element.value
    if isinstance(element, RawDataElement) or isinstance(value, bytes):
        form = _FORMATS[str(element.VR)]
        if len(value or b"") % struct.calcsize(f"<{form}"):
            return None
        unpacked = struct.iter_unpack(f"<{form}", value or b"")
        if element.VR == "AT":
            return tuple(group << 16 | number for group, number in unpacked)
        return tuple(number for (number,) in unpacked)
    if value is None:
        return ()
    return tuple(value) if isinstance(value, MultiValue | list | tuple) else (value,)
