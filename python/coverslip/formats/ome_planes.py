"""Where the planes of a picture of an OME-TIFF are, as its XML says."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
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


class Chain:
    """The directories in the chains of all files, one file after the other.

    Parameters
    ----------
    directories
        Those in the chains.
    file_of
        Returns the number of the file that a ``TiffData`` means; of none, that of the XML.
    """

    def __init__(
        self, directories: Sequence[Directory], file_of: Callable[[Element | None], int]
    ) -> None:
        self.directories, self._file_of = directories, file_of
        self._homes: dict[int, range] = {}
        for place, directory in enumerate(directories):
            home = self._homes.setdefault(directory.file, range(place, place))
            self._homes[directory.file] = range(home.start, place + 1)
        self._following = {file: home.start for file, home in self._homes.items()}

    def home_of(self, data: Element | None) -> range:
        """Return the places of the directories of the file that is meant."""
        return self._homes.get(self._file_of(data), range(0))

    def place_of(self, data: Element | None) -> int:
        """Return the place that is meant; without a number, that behind what was used before."""
        number = None if data is None else integer_in(data.get("IFD"))
        if number is None:
            return self._following.get(self._file_of(data), 0)
        return self.home_of(data).start + number

    def use(self, places: Iterable[int]) -> None:
        """Note that directories are used: what has no number comes behind them in their file."""
        last: dict[int, int] = {}
        for place in places:
            file = self.directories[place].file
            last[file] = max(place, last.get(file, 0))
        self._following.update({file: place + 1 for file, place in last.items()})


def plane_numbers(pixels: Element, chain: Chain) -> dict[Plane3, int]:
    """Return the place in the chain of each plane; all of the first point in time are there.

    ``TiffData`` says which plane is in which directory; without a number they follow each other,
    and what comes behind a named one follows it, as ``DimensionOrder`` says.

    Raises
    ------
    SourceError
        If it names planes or directories that are not there, or not all of them.
    LimitError
        If it says more planes than a file may have directories.
    """
    said = children(pixels, "TiffData")
    begin = chain.place_of(said[0] if said else None)
    order = list(_in_order(pixels, _samples(chain.directories, begin)))
    places = {plane: place for place, plane in enumerate(order)}
    numbers: dict[Plane3, int] = {}
    are_there = True
    for data in said:
        first = (_index(data, "FirstZ"), _index(data, "FirstC"), _index(data, "FirstT"))
        count = integer_in(data.get("PlaneCount"))
        if first not in places:
            raise SourceError("the OME-XML names a plane that the picture does not have")
        if count is None:
            count = len(order) if data.get("IFD") is None else 1
        place, start, home = places[first], chain.place_of(data), chain.home_of(data)
        for step, plane in enumerate(order[place : place + max(count, 0)]):
            if plane in numbers:
                raise SourceError("the OME-XML says twice where a plane is")
            numbers[plane] = start + step
            are_there = are_there and start + step in home
    if not numbers or (len(said) == 1 and said[0].get("PlaneCount") is None and len(order) > 1):
        start, home = min(numbers.values(), default=begin), chain.home_of(said[0] if said else None)
        numbers = {plane: start + step for step, plane in enumerate(order)}
        are_there = all(number in home for number in numbers.values())
    if any(plane not in numbers for plane in order if plane[2] == 0):
        raise SourceError("the OME-XML does not say where all planes are")
    if not are_there:
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
