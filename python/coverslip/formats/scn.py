"""Leica SCN (SCN400): an XML in the first directory gives every other one its role."""

import base64
import binascii
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from coverslip.errors import SourceError, UnsupportedSlideError
from coverslip.formats.likeness import passed_over, size_of, with_reduced
from coverslip.formats.planes import light_notes, stacked_pyramids
from coverslip.formats.pyramid import private_ranges, raw_metadata, to_level, told_image
from coverslip.formats.spacings import microscope_spacing, resolution
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import (
    Vocabulary,
    children,
    integer_in,
    number_in,
    text_of,
    xml_items,
)
from coverslip.model import (
    AssociatedImage,
    ItemKind,
    LabelSide,
    Level,
    OpticalPath,
    Region,
    Role,
    Slide,
    SourceItem,
    SourceText,
    Spacing,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION

_NAMESPACE = "leica-microsystems.com/scn/"
_BRIGHTFIELD, _FLUORESCENCE = "brightfield", "fluorescence"
_NM_IN_MM = 1e6
_NM_IN_UM = 1e3
_SPACING_TOLERANCE = 0.02
_WHOLE_GLASS = 0.95
"""An overview has the very size of the glass; what is rounded by a few pixels is one too."""
_FURTHER = {"label": Role.LABEL}
"""What a picture shows that belongs to no scan, by its type in the XML."""
_LABEL_FROM = 0.72
"""Where along the glass its label begins, as other readers of this format have it."""

_VOCABULARY = Vocabulary(
    kinds={
        "barcode": ItemKind.IDENTIFIER,
        "@barcode": ItemKind.IDENTIFIER,
        "ocr": ItemKind.TEXT,
        "@uuid": ItemKind.IDENTIFIER,
        "@name": ItemKind.NAME,
        "creationDate": ItemKind.DATE,
        "device@model": ItemKind.DEVICE,
        "device@version": ItemKind.DEVICE,
        "user": ItemKind.PERSON,
        "comment": ItemKind.TEXT,
        "comments": ItemKind.TEXT,
    },
    plain=frozenset(
        {
            *("@sizeX", "@sizeY", "@offsetX", "@offsetY", "@spacingZ", "@ifd", "@r", "@z", "@c"),
            *("objective", "numericalAperture", "illuminationSource", "supplementalImage@type"),
        }
    ),
    values=frozenset({_BRIGHTFIELD, _FLUORESCENCE, "label"}),
    structure=frozenset(
        {
            *("scn", "collection", "image", "device", "pixels", "dimension", "view"),
            *("scanSettings", "objectiveSettings", "illuminationSettings", "supplementalImage"),
        }
    ),
)


Plane = tuple[int, int]
"""Number of the focal plane and of the channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """One ``image`` of the XML: what it covers of the glass, and its directories."""

    size_nm: tuple[int, int]
    offset_nm: tuple[int, int]
    pyramids: dict[Plane, list[Directory]]
    """Of each plane and channel, the largest first."""
    element: Element

    @property
    def directories(self) -> list[Directory]:
        """All, the largest first."""
        found = [directory for pyramid in self.pyramids.values() for directory in pyramid]
        return sorted(found, key=_by_size)


class LeicaScn:
    """An SCN file: an overview, and one pyramid for each region and channel that was scanned."""

    name = "Leica SCN"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the first description is in Leica's namespace."""
        if not tiff.directories:
            return False
        text = tiff.directories[0].text(IMAGE_DESCRIPTION)
        return text is not None and _NAMESPACE in text.reveal()

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide, each region that is not the whole glass as a pyramid."""
        first = tiff.directories[0]
        root = parse(first.text(IMAGE_DESCRIPTION) or SourceText(""))
        glass, images = _collection(root, tiff)
        scanned = [image for image in images if not _covers(image, glass)]
        if not scanned:
            raise UnsupportedSlideError("the SCN holds an overview of the glass and no scan of it")
        lights = [_light(image) for image in scanned]
        paths = list(dict.fromkeys(light for of_image in lights for light in of_image))
        levels = tuple(
            level
            for number, image in enumerate(scanned)
            for level in _levels(image, number, [paths.index(light) for light in lights[number]])
        )
        optical_paths = tuple(OpticalPath(is_fluorescence=glows) for glows, _ in paths)
        associated, unnamed = _associated(tiff, root, levels, images, glass)
        place = f"{first.place} ImageDescription"
        items = (_decoded(item) for item in xml_items(root, place, _VOCABULARY))
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=associated,
            metadata=raw_metadata(tiff, tuple(items), tuple(_device(scanned)), levels),
            spacing=levels[0].spacing,
            objective_power=_objective_power(scanned),
            label_side=LabelSide.BOTTOM,
            private_ranges=private_ranges(tiff, levels),
            regions=tuple(Region(corner_mm=_corner_mm(image, glass)) for image in scanned),
            optical_paths=optical_paths,
            notes=(
                *_notes_on(scanned, glass),
                *_passed_over(scanned, unnamed),
                *light_notes(optical_paths),
            ),
        )


def _collection(root: Element, tiff: Tiff) -> tuple[tuple[int, int], list[_Image]]:
    """Return the size of the glass in nanometres, and what was taken of it."""
    for collection in children(root, "collection")[:1]:
        chain = [directory for directory in tiff.directories if directory.kind == "IFD"]
        images = [_image(element, chain) for element in children(collection, "image")]
        numbers = [directory.number for image in images for directory in image.directories]
        if len(set(numbers)) < len(numbers):
            raise SourceError("the SCN's XML gives a directory two roles")
        return _pair(collection, "sizeX", "sizeY"), images
    raise SourceError("the SCN's XML has no collection")


def _image(element: Element, chain: list[Directory]) -> _Image:
    views = children(element, "view")
    if not views:
        raise SourceError("the SCN's XML has an image without a view")
    pyramids: dict[Plane, list[Directory]] = {}
    for dimension in children(element, "pixels", "dimension"):
        number = integer_in(dimension.get("ifd"))
        if number is None or not 0 <= number < len(chain):
            raise SourceError("the SCN's XML names a directory that the file does not have")
        if size_of(chain[number]) != _pair(dimension, "sizeX", "sizeY"):
            raise SourceError(f"IFD {number} has another size than the SCN's XML says")
        plane = (integer_in(dimension.get("z")) or 0, integer_in(dimension.get("c")) or 0)
        pyramids.setdefault(plane, []).append(chain[number])
    if not pyramids:
        raise SourceError("the SCN's XML has an image without pixels")
    return _Image(
        size_nm=_pair(views[0], "sizeX", "sizeY"),
        offset_nm=_pair(views[0], "offsetX", "offsetY"),
        pyramids={plane: sorted(found, key=_by_size) for plane, found in pyramids.items()},
        element=element,
    )


def _by_size(directory: Directory) -> int:
    return -math.prod(size_of(directory))


def _pair(element: Element, first: str, second: str) -> tuple[int, int]:
    x, y = integer_in(element.get(first)), integer_in(element.get(second))
    if x is None or y is None:
        raise SourceError(f"the SCN's XML has no numbers in {first} and {second}")
    return x, y


def _covers(image: _Image, glass: tuple[int, int]) -> bool:
    """Tell whether an image shows the whole glass or nearly, so its label too."""
    sides = zip(image.size_nm, glass, strict=True)
    return all(side >= _WHOLE_GLASS * whole for side, whole in sides)


def _light(image: _Image) -> list[tuple[bool, int]]:
    """Return of each channel whether it glows, and its number; regions have channels in common.

    Raises
    ------
    UnsupportedSlideError
        If the light is neither brightfield nor fluorescence.
    """
    said = text_of(image.element, "scanSettings", "illuminationSettings", "illuminationSource")
    if said not in (None, "", _BRIGHTFIELD, _FLUORESCENCE):
        raise UnsupportedSlideError("the SCN was lit by neither brightfield nor fluorescence")
    return [(said == _FLUORESCENCE, channel) for channel in _channels(image)]


def _channels(image: _Image) -> list[int]:
    return sorted({channel for _, channel in image.pyramids})


def _levels(image: _Image, region: int, paths: list[int]) -> Iterator[Level]:
    """Yield the levels of each channel, with all focal planes of each; ``paths`` are theirs.

    Raises
    ------
    UnsupportedSlideError
        If a channel lacks a focal plane.
    """
    heights = sorted({z for z, _ in image.pyramids})
    for channel, path in zip(_channels(image), paths, strict=True):
        if any((z, channel) not in image.pyramids for z in heights):
            raise UnsupportedSlideError("not all channels of the SCN have the same focal planes")
        pyramids = [_pyramid(image, image.pyramids[z, channel], region) for z in heights]
        for stack in stacked_pyramids(pyramids, _plane_distance_um(image)):
            yield replace(stack, optical_path=path)


def _pyramid(image: _Image, directories: list[Directory], region: int) -> list[Level]:
    base, *lower = directories
    return [
        replace(to_level(directory), region=region, spacing=_spacing(image, directory))
        for directory in with_reduced(base, lower)
    ]


def _plane_distance_um(image: _Image) -> float | None:
    distance_nm = number_in(children(image.element, "view")[0].get("spacingZ"))
    return None if distance_nm is None else distance_nm / _NM_IN_UM


def _spacing(image: _Image, directory: Directory) -> Spacing | None:
    width, length = size_of(directory)
    across_nm, down_nm = image.size_nm
    return microscope_spacing(
        row_mm=down_nm / length / _NM_IN_MM, column_mm=across_nm / width / _NM_IN_MM
    )


def _corner_mm(image: _Image, glass: tuple[int, int]) -> tuple[float, float]:
    """Return where the first pixel's outer corner lies; the label is below, X goes left."""
    return (glass[0] - image.offset_nm[0]) / _NM_IN_MM, image.offset_nm[1] / _NM_IN_MM


def _associated(
    tiff: Tiff,
    root: Element,
    levels: tuple[Level, ...],
    images: list[_Image],
    glass: tuple[int, int],
) -> tuple[tuple[AssociatedImage, ...], list[Directory]]:
    """Return overview, label and whatever the XML does not explain, the last once more."""
    roles = {
        directory.number: Role.OVERVIEW
        for image in images
        if _covers(image, glass)
        for directory in image.directories
    }
    further = {
        integer_in(element.get("ifd")): _FURTHER.get(element.get("type", ""))
        for element in children(root, "collection", "supplementalImage")
    }
    used = {ifd for level in levels for ifd in level.ifds}
    found, unnamed = [], []
    for directory in tiff.directories:
        if directory.number in used or min(size_of(directory)) < 1:
            continue
        told = roles.get(directory.number, further.get(directory.number))
        found.append(told_image(directory, told))
        if directory.number not in roles and directory.number not in further:
            unnamed.append(directory)
    return tuple(found), unnamed


def _passed_over(scanned: list[_Image], unnamed: list[Directory]) -> Iterator[str]:
    """Yield a note on each picture that is not explained, if none can be part of a region."""
    notes = [note for image in scanned for note in passed_over(image.directories[0], unnamed)]
    yield from dict.fromkeys(notes)


def _notes_on(scanned: list[_Image], glass: tuple[int, int]) -> Iterator[str]:
    if len(scanned) > 1:
        yield f"{len(scanned)} regions were scanned: each becomes a series of its own"
    for number, image in enumerate(scanned):
        if image.offset_nm[1] + image.size_nm[1] > _LABEL_FROM * glass[1]:
            yield f"region {number} reaches to where the label usually is: look at its pictures"
        said, tags = _spacing(image, image.directories[0]), resolution(image.directories[0])
        if said and tags and abs(said.row_mm - tags.row_mm) > _SPACING_TOLERANCE * said.row_mm:
            yield f"region {number}: tag 283 and the XML disagree on its spacing; the XML counts"


def _objective_power(scanned: list[_Image]) -> float | None:
    """Return the objective if all regions were scanned with the same."""
    path = ("scanSettings", "objectiveSettings", "objective")
    powers = {number_in(text_of(image.element, *path)) for image in scanned}
    return powers.pop() if len(powers) == 1 else None


def _device(scanned: list[_Image]) -> Iterator[SourceText]:
    for image in scanned:
        for device in children(image.element, "device"):
            yield SourceText(device.get("model", ""))


def _decoded(item: SourceItem) -> SourceItem:
    """Return a bar code as it was read from the glass: newer files hold it in Base64."""
    if item.key != "barcode":
        return item
    try:
        text = base64.b64decode(item.text.reveal(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return item
    return replace(item, text=SourceText(text.strip()))
