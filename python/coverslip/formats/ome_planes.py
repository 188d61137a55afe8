"""Where the planes of a picture of an OME-TIFF are, as its XML says."""

import itertools
import math
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from coverslip.errors import LimitError, SourceError
from coverslip.formats.likeness import SAMPLES_PER_PIXEL
from coverslip.formats.xml_items import children, integer_in
from coverslip.limits import LIMITS
from coverslip.tiff import Directory

_COLOURS = 3
Plane = tuple[int, int]
"""Number of the focal plane and of the channel."""
Plane3 = tuple[int, int, int]
"""The same, and that of the point in time."""


def plane_numbers(pixels: Element, chain: Sequence[Directory], following: int) -> dict[Plane3, int]:
    """Return the place in the chain of each plane; all of the first point in time are there.

    ``TiffData`` says which plane is in which directory; without a number they follow each other
    from ``following`` on, and what comes behind a named one follows it, as ``DimensionOrder`` says.

    Raises
    ------
    SourceError
        If it names planes or directories that are not there, or not all of them.
    LimitError
        If it says more planes than a file may have directories.
    """
    said = children(pixels, "TiffData")
    named = integer_in(said[0].get("IFD")) if said else None
    order = list(_in_order(pixels, _samples(chain, following if named is None else named)))
    places = {plane: place for place, plane in enumerate(order)}
    numbers: dict[Plane3, int] = {}
    for data in said:
        first = (_index(data, "FirstZ"), _index(data, "FirstC"), _index(data, "FirstT"))
        number, count = integer_in(data.get("IFD")), integer_in(data.get("PlaneCount"))
        if first not in places:
            raise SourceError("the OME-XML names a plane that the picture does not have")
        if count is None:
            count = 1 if number is not None else len(order)
        place, start = places[first], following if number is None else number
        for step, plane in enumerate(order[place : place + max(count, 0)]):
            if plane in numbers:
                raise SourceError("the OME-XML says twice where a plane is")
            numbers[plane] = start + step
    if not numbers or (len(said) == 1 and said[0].get("PlaneCount") is None and len(order) > 1):
        start = min(numbers.values(), default=following)
        numbers = {plane: start + step for step, plane in enumerate(order)}
    if any(plane not in numbers for plane in order if plane[2] == 0):
        raise SourceError("the OME-XML does not say where all planes are")
    if not all(0 <= number < len(chain) for number in numbers.values()):
        raise SourceError("the OME-XML names a directory that the file does not have")
    return numbers


def directories_of(
    pixels: Element, chain: Sequence[Directory], numbers: dict[Plane3, int]
) -> dict[Plane, tuple[Directory, ...]]:
    """Return the directories of each plane of the first point in time: one, or one a colour."""
    count = _apart(pixels, _samples(chain, numbers[0, 0, 0]))
    planes: dict[Plane, list[Directory]] = {}
    for (z, c, t), number in sorted(numbers.items()):
        if t == 0:
            planes.setdefault((z, c // count), []).append(chain[number])
    return {plane: tuple(found) for plane, found in planes.items()}


def _apart(pixels: Element, samples: int) -> int:
    """Return over how many directories the colours of a channel are spread, as the XML says."""
    channels = children(pixels, "Channel")
    said = {integer_in(channel.get("SamplesPerPixel")) for channel in channels}
    is_apart = samples == 1 and said == {_COLOURS}
    return _COLOURS if is_apart and size(pixels, "SizeC") == _COLOURS * len(channels) else 1


def _samples(chain: Sequence[Directory], number: int) -> int:
    """Return how many samples a pixel has in a directory, 1 where there is none."""
    is_there = 0 <= number < len(chain)
    return max(chain[number].integer(SAMPLES_PER_PIXEL, 1), 1) if is_there else 1


def _in_order(pixels: Element, samples: int) -> Iterator[Plane3]:
    """Yield focal plane, channel and time of each plane as ``DimensionOrder`` says."""
    listed = len(children(pixels, "Channel")) * _apart(pixels, samples)
    channels = listed or -(-size(pixels, "SizeC") // samples)
    sizes = {"Z": size(pixels, "SizeZ"), "C": channels, "T": size(pixels, "SizeT")}
    if math.prod(sizes.values()) > LIMITS.directories:
        raise LimitError(f"the OME-XML says more than {LIMITS.directories} planes")
    order = pixels.get("DimensionOrder", "")[2:]
    order = order if sorted(order) == sorted(sizes) else "ZCT"
    for values in itertools.product(*(range(sizes[axis]) for axis in reversed(order))):
        at = dict(zip(reversed(order), values, strict=True))
        yield at["Z"], at["C"], at["T"]


def _index(data: Element, name: str) -> int:
    return integer_in(data.get(name)) or 0


def size(pixels: Element, name: str) -> int:
    """Return ``SizeZ``, ``SizeC`` or ``SizeT``, 1 if the XML does not tell."""
    return integer_in(pixels.get(name)) or 1
