"""OME-TIFF: an XML in the first directory says which picture is what."""

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from coverslip.errors import SourceError, UnsupportedSlideError
from coverslip.formats import ome_files
from coverslip.formats.likeness import (
    BITS_PER_SAMPLE,
    SAMPLES_PER_PIXEL,
    passed_over,
    size_of,
    with_reduced,
)
from coverslip.formats.ome_planes import Chain, Plane, directories_of, plane_numbers, size
from coverslip.formats.ome_words import UNIT_MM
from coverslip.formats.planes import in_colour, light_notes, stacked_pyramids
from coverslip.formats.pyramid import private_ranges, raw_metadata, to_level, told_image
from coverslip.formats.spacings import microscope_spacing, resolution
from coverslip.formats.xml_items import children, number_in
from coverslip.model import (
    AssociatedImage,
    LabelSide,
    Level,
    OpticalPath,
    Role,
    Slide,
    SourceText,
    Spacing,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION

_ROLES = {
    "label": Role.LABEL,
    "barcode": Role.LABEL,
    "macro": Role.OVERVIEW,
    "overview": Role.OVERVIEW,
    "thumbnail": Role.THUMBNAIL,
}
_ROLE_NAME = re.compile(rf"(?:.*[^a-z])?({'|'.join(_ROLES)})(?:[ _-]?image)?[^a-z]*", re.DOTALL)
"""A name that ends in a role: ``slide.svs - label image #1``, but not ``label-free.svs``."""
_FLUORESCENCE = {"Fluorescence", "Epifluorescence"}
_FLUORESCENCE_ONLY = {"Fluor", "ExcitationWavelength", "EmissionWavelength"}
"""Attributes that a channel has only if something glows in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """One ``Image`` of the XML, and the directories of its planes."""

    pixels: Element
    role: Role | None
    planes: dict[Plane, tuple[Directory, ...]]
    """Of each the directory, or those of its colours."""

    @property
    def directory(self) -> Directory:
        """The first directory of its first plane."""
        return self.planes[0, 0][0]

    @property
    def is_apart(self) -> bool:
        """Whether each of its colours has a directory."""
        return len(self.planes[0, 0]) > 1

    @property
    def directories(self) -> Iterator[Directory]:
        """Those of all planes."""
        return itertools.chain.from_iterable(self.planes.values())


class OmeTiff:
    """An OME-TIFF of one file, or of a set of them."""

    name = "OME-TIFF"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the first description ends as an OME-XML does."""
        if not tiff.directories:
            return False
        text = tiff.directories[0].text(IMAGE_DESCRIPTION)
        return text is not None and text.reveal().rstrip("\0 \t\r\n").endswith("OME>")

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide: the largest picture that no name calls something else."""
        document = ome_files.read(tiff)
        root = document.root
        images = _images(document, tiff)
        unnamed = [image for image in images if image.role is None]
        if not unnamed:
            raise UnsupportedSlideError(
                "the OME-TIFF holds no picture but labels, overviews and thumbnails"
            )
        base = max(unnamed, key=lambda image: math.prod(size_of(image.directory)))
        _check(base)
        levels = tuple(_levels(tiff, base, unnamed))
        paths = _optical_paths(base)
        chosen = [tiff.directories[ifd] for level in levels for ifd in level.ifds]
        spacing = _spacing(base.pixels) or resolution(base.directory)
        associated, unexplained = _associated(tiff, chosen, images)
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=associated,
            metadata=raw_metadata(tiff, document.items, tuple(_device(root)), levels),
            spacing=spacing,
            objective_power=_objective_power(root),
            label_side=LabelSide.RIGHT,
            private_ranges=private_ranges(tiff, levels),
            optical_paths=paths,
            notes=(*passed_over(base.directory, unexplained), *light_notes(paths)),
        )


def _images(document: ome_files.Document, tiff: Tiff) -> list[_Image]:
    directories = [directory for directory in tiff.directories if directory.kind == "IFD"]
    chain, images = Chain(directories, document.file_of), []
    for element in children(document.root, "Image"):
        for pixels in children(element, "Pixels")[:1]:
            numbers = plane_numbers(pixels, chain)
            chain.use(numbers.values())
            planes = directories_of(pixels, directories, numbers)
            images.append(_Image(pixels=pixels, role=_role(element), planes=planes))
    if not images:
        raise SourceError("the OME-XML describes no picture")
    used = [directory.number for image in images for directory in image.directories]
    if len(set(used)) < len(used):
        raise SourceError("the OME-XML gives a directory two roles")
    return images


def _role(image: Element) -> Role | None:
    match = _ROLE_NAME.fullmatch(image.get("Name", "").lower())
    return None if match is None else _ROLES[match[1]]


def _check(image: _Image) -> None:
    """Raise for what is neither a picture in colour nor grey channels, or not of one moment."""

    def refuse(why: str) -> None:
        raise UnsupportedSlideError(f"the OME-TIFF has {why}, which is not supported yet")

    pixels, directory = image.pixels, image.directory
    if size(pixels, "SizeT") > 1:
        refuse(f"{size(pixels, 'SizeT')} points in time")
    channels = children(pixels, "Channel")
    samples = directory.integer(SAMPLES_PER_PIXEL, 1) * len(image.planes[0, 0])
    if samples < 1:
        raise SourceError(f"{directory.place} has no samples a pixel (tag 277)")
    planes = -(-size(pixels, "SizeC") // samples)
    if samples > 1 and max(len(channels), planes) > 1:
        refuse(f"{max(len(channels), planes)} channels in colour")
    bits = directory.integer(BITS_PER_SAMPLE, 1)
    if bits not in ((8, 16) if samples == 1 else (8,)):
        refuse(f"samples of {bits} bits")
    if samples > 1 and any(_is_fluorescence(channel) for channel in channels):
        refuse("a fluorescence channel in colour")


def _is_fluorescence(channel: Element) -> bool:
    modes = {channel.get("IlluminationType"), channel.get("ContrastMethod")}
    return bool(modes & _FLUORESCENCE or _FLUORESCENCE_ONLY & channel.attrib.keys())


def _optical_paths(image: _Image) -> tuple[OpticalPath, ...]:
    """Return with what light each channel was taken.

    Where there are several, they are fluorescence unless one says that light went through.
    """
    channels, count = children(image.pixels, "Channel"), len({c for _, c in image.planes})
    if len(channels) < count:
        return (OpticalPath(is_fluorescence=count > 1),) * count
    return tuple(
        OpticalPath(
            is_fluorescence=_is_fluorescence(channel)
            or (count > 1 and channel.get("IlluminationType") != "Transmitted"),
            wave_length_nm=_excitation_nm(channel),
            name=_name(channel),
        )
        for channel in channels
    )


def _name(channel: Element) -> SourceText | None:
    """Return what a channel is called: its own name, or that of its dye."""
    said = channel.get("Name") or channel.get("Fluor")
    return None if said is None else SourceText(said)


def _excitation_nm(channel: Element) -> float | None:
    """Return the wavelength of the light that a channel was lit with."""
    length = number_in(channel.get("ExcitationWavelength"))
    unit_mm = UNIT_MM.get(channel.get("ExcitationWavelengthUnit", "nm").strip())
    if length is None or unit_mm is None or length <= 0:
        return None
    return length * unit_mm / UNIT_MM["nm"]


def _levels(tiff: Tiff, base: _Image, unnamed: list[_Image]) -> Iterator[Level]:
    """Yield the levels of each channel, with all focal planes of each."""
    if len({size_of(directory) for directory in base.directories}) > 1:
        raise SourceError("the planes of the OME-TIFF have different sizes")
    heights = sorted({z for z, _ in base.planes})
    for channel in sorted({c for _, c in base.planes}):
        pyramids = [_pyramid(tiff, base, unnamed, (z, channel)) for z in heights]
        for stack in stacked_pyramids(pyramids, _plane_distance_um(base.pixels)):
            yield replace(stack, optical_path=channel)


def _pyramid(tiff: Tiff, base: _Image, unnamed: list[_Image], plane: Plane) -> list[Level]:
    """Return the levels of a plane, put together of its colours if these are apart."""
    colours = []
    for colour, directory in enumerate(base.planes[plane]):
        subs = [
            other
            for other in tiff.directories
            if other.kind == "SubIFD" and other.parent == directory.number
        ]
        candidates = subs or [
            image.planes[plane][colour]
            for image in unnamed
            if image is not base and _is_level_of(base, image, plane)
        ]
        colours.append([_level(level) for level in with_reduced(directory, candidates)])
    return in_colour(colours)


def _plane_distance_um(pixels: Element) -> float | None:
    size = number_in(pixels.get("PhysicalSizeZ"))
    unit_mm = UNIT_MM.get(pixels.get("PhysicalSizeZUnit", "um").strip())
    return None if size is None or unit_mm is None else size * unit_mm * 1000


def _is_level_of(base: _Image, image: _Image, plane: Plane) -> bool:
    """Tell whether an image may hold a level of a plane, as old exports have them."""
    has_colours = len(image.planes.get(plane, ())) == len(base.planes[plane])
    return has_colours and _is_whole_fraction(base.directory, image.directory)


def _is_whole_fraction(base: Directory, other: Directory) -> bool:
    """Tell whether a picture is the base reduced by a whole factor, the same on both axes.

    Nothing else tells an old export's levels from a label that happens to have the base's shape.
    """
    factor = round(size_of(base)[0] / max(size_of(other)[0], 1))
    return factor > 1 and all(
        abs(whole / factor - reduced) < 1
        for whole, reduced in zip(size_of(base), size_of(other), strict=True)
    )


def _level(directory: Directory) -> Level:
    """Return a level; its resolution tags are often those of the base, so they do not count.

    Nor do the tags on its colour: Bio-Formats says RGB over whatever its tiles are.
    """
    return replace(to_level(directory), spacing=None, are_colour_tags_sure=False)


def _spacing(pixels: Element) -> Spacing | None:
    sizes_mm = []
    for axis in ("Y", "X"):
        size = number_in(pixels.get(f"PhysicalSize{axis}"))
        unit_mm = UNIT_MM.get(pixels.get(f"PhysicalSize{axis}Unit", "um").strip())
        if size is None or unit_mm is None:
            return None
        sizes_mm.append(size * unit_mm)
    return microscope_spacing(*sizes_mm)


def _associated(
    tiff: Tiff, levels: list[Directory], images: list[_Image]
) -> tuple[tuple[AssociatedImage, ...], list[Directory]]:
    """Return the pictures that are no level, and those of them that no name explains."""
    roles = {d.number: image.role for image in images for d in image.directories}
    apart = {d.number for image in images if image.is_apart for d in image.directories}
    found, unnamed = [], []
    for directory in tiff.directories:
        if directory in levels or min(size_of(directory)) < 1:
            continue
        owner = directory.number if directory.parent is None else directory.parent
        role = roles.get(owner)
        picture = told_image(directory, role)
        # One colour of a picture would be shown as if it were all of it.
        found.append(replace(picture, pixels=None) if directory.number in apart else picture)
        if role is None:
            unnamed.append(directory)
    return tuple(found), unnamed


def _objective_power(root: Element) -> float | None:
    """Return the magnification of the objective if the XML knows only one."""
    powers = {
        number_in(objective.get("NominalMagnification"))
        for objective in children(root, "Instrument", "Objective")
    }
    return powers.pop() if len(powers) == 1 else None


def _device(root: Element) -> Iterator[SourceText]:
    for microscope in children(root, "Instrument", "Microscope"):
        yield SourceText(f"{microscope.get('Manufacturer', '')} {microscope.get('Model', '')}")
