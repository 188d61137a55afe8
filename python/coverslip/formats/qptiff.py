"""QPTIFF (Akoya, once PerkinElmer): an XML in each directory says what it is."""

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element

from coverslip.errors import CoverslipError, UnsupportedSlideError
from coverslip.formats.likeness import SAMPLES_PER_PIXEL, passed_over, size_of, with_reduced
from coverslip.formats.planes import light_notes
from coverslip.formats.pyramid import private_ranges, raw_metadata, to_level, told_image
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import Vocabulary, text_of, xml_items
from coverslip.model import (
    AssociatedImage,
    ItemKind,
    LabelSide,
    OpticalPath,
    Role,
    Slide,
    SourceText,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION, SOFTWARE

_SOFTWARE_KEY = "AcquisitionSoftware"
_FULL, _REDUCED = "FullResolution", "ReducedResolution"
_ROLES = {"Thumbnail": Role.THUMBNAIL, "Overview": Role.OVERVIEW, "Label": Role.LABEL}
_OBJECTIVE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?) ?[xX]?")

_VOCABULARY = Vocabulary(
    kinds={
        "Identifier": ItemKind.IDENTIFIER,
        "SlideID": ItemKind.IDENTIFIER,
        "Barcode": ItemKind.IDENTIFIER,
        "ComputerName": ItemKind.PLACE,
        "OperatorName": ItemKind.PERSON,
        "UserName": ItemKind.PERSON,
        "StudyName": ItemKind.TEXT,
        "Name": ItemKind.TEXT,
        "Comment": ItemKind.TEXT,
        "Color": ItemKind.TEXT,
        "Date": ItemKind.DATE,
        "FilterID": ItemKind.DEVICE,
        "CameraName": ItemKind.DEVICE,
        "InstrumentType": ItemKind.DEVICE,
        "LampType": ItemKind.DEVICE,
        _SOFTWARE_KEY: ItemKind.DEVICE,
    },
    plain=frozenset(
        {
            *("DescriptionVersion", "ImageType", "IsUnmixedComponent", "ExposureTime"),
            *("SignalUnits", "Objective", "Response"),
        }
    ),
    values=frozenset(
        {
            *(_FULL, _REDUCED, *_ROLES, "True", "False"),
            *(f"{power}x" for power in (2, 4, 5, 10, 20, 40)),
        }
    ),
    structure=frozenset(
        {
            *("PerkinElmer-QPI-ImageDescription", "Responsivity", "Filter", "Band"),
            *("ScanProfile", "ExcitationFilter", "EmissionFilter"),
        }
    ),
)
"""The scan profile is a document of its own inside: each of its texts is an unknown item."""


class Qptiff:
    """A whole-slide scan: in colour, or in grey with a picture for each band of fluorescence."""

    name = "QPTIFF"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the first directory was written by PerkinElmer's software."""
        if not tiff.directories:
            return False
        text = tiff.directories[0].text(SOFTWARE)
        return text is not None and text.reveal().startswith("PerkinElmer-QPI")

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide: the pictures of full resolution, and the reduced ones of each."""
        roots = dict(_roots(tiff))
        types = {number: text_of(root, "ImageType") or "" for number, root in roots.items()}

        def of_type(name: str) -> list[Directory]:
            return [d for d in tiff.directories if types.get(d.number) == name]

        bands = _bands(of_type(_FULL), of_type(_REDUCED))
        base, chosen = bands[0][0], [directory for band in bands for directory in band]
        levels = tuple(
            replace(to_level(directory), optical_path=number)
            for number, band in enumerate(bands)
            for directory in band
        )
        is_fluorescence = levels[0].samples_per_pixel == 1
        paths = tuple(
            OpticalPath(is_fluorescence=is_fluorescence, name=_band_name(roots[band[0].number]))
            for band in bands
        )
        associated, unnamed = _associated(tiff, chosen, types)
        items = (
            item
            for number, root in roots.items()
            for item in xml_items(
                root, f"{tiff.directories[number].place} ImageDescription", _VOCABULARY
            )
        )
        first = roots[base.number]
        device = (
            *(SourceText(text_of(first, key) or "") for key in ("InstrumentType", _SOFTWARE_KEY)),
            SourceText("PerkinElmer"),
        )
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=associated,
            metadata=raw_metadata(tiff, tuple(items), device, levels),
            spacing=levels[0].spacing,
            objective_power=_objective_power(first),
            label_side=LabelSide.RIGHT,
            private_ranges=private_ranges(tiff, levels),
            optical_paths=paths,
            notes=(*passed_over(base, unnamed), *light_notes(paths)),
        )


def _roots(tiff: Tiff) -> Iterator[tuple[int, Element]]:
    """Yield the XML of each directory; what cannot be parsed is a finding as a whole."""
    for directory in tiff.directories:
        text = directory.text(IMAGE_DESCRIPTION)
        if text is None:
            continue
        try:
            yield directory.number, parse(text)
        except CoverslipError:
            continue


def _bands(full: list[Directory], reduced: list[Directory]) -> list[list[Directory]]:
    """Return the pyramid of each band: bands have the same order at every resolution.

    Raises
    ------
    UnsupportedSlideError
        If there is no picture of full resolution, or there are bands that are none of
        fluorescence, or a resolution that lacks some.
    """
    if not full:
        raise UnsupportedSlideError("the QPTIFF has no picture that it calls full resolution")
    if len({size_of(directory) for directory in full}) > 1:
        raise UnsupportedSlideError("the QPTIFF has pictures of full resolution of several sizes")
    if len(full) > 1 and any(d.integer(SAMPLES_PER_PIXEL, 1) != 1 for d in full):
        raise UnsupportedSlideError("the QPTIFF has several pictures of full resolution in colour")
    of_size: dict[tuple[int, int], list[Directory]] = {}
    for directory in reduced:
        of_size.setdefault(size_of(directory), []).append(directory)
    if len(full) > 1 and any(len(found) != len(full) for found in of_size.values()):
        raise UnsupportedSlideError(
            f"the QPTIFF has {len(full)} bands, but not at every resolution"
        )
    return [
        with_reduced(base, [found[number] for found in of_size.values() if number < len(found)])
        for number, base in enumerate(full)
    ]


def _band_name(root: Element) -> SourceText | None:
    said = text_of(root, "Name")
    return None if said is None else SourceText(said)


def _associated(
    tiff: Tiff, levels: list[Directory], types: dict[int, str]
) -> tuple[tuple[AssociatedImage, ...], list[Directory]]:
    """Return the pictures that are no level, and those of them that have no type."""
    found, unnamed = [], []
    for directory in tiff.directories:
        if directory in levels or min(size_of(directory)) < 1:
            continue
        said = types.get(directory.number, "")
        role = _ROLES.get(said)
        if role is None:
            unnamed.append(directory)
        found.append(told_image(directory, role))
    return tuple(found), unnamed


def _objective_power(root: Element) -> float | None:
    match = _OBJECTIVE.fullmatch(text_of(root, "Objective") or "")
    return None if match is None else float(match[1])
