"""QPTIFF (Akoya, once PerkinElmer), brightfield: an XML in each directory says what it is."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from coverslip.errors import CoverslipError, UnsupportedSlideError
from coverslip.formats.pyramid import (
    SAMPLES_PER_PIXEL,
    associated_image,
    private_ranges,
    raw_metadata,
    size_of,
    to_level,
    with_reduced,
)
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import Vocabulary, text_of, xml_items
from coverslip.model import AssociatedImage, ItemKind, LabelSide, Role, Slide, SourceText
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
    """A whole-slide scan in colour."""

    name = "QPTIFF"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the first directory was written by PerkinElmer's software."""
        if not tiff.directories:
            return False
        text = tiff.directories[0].text(SOFTWARE)
        return text is not None and text.reveal().startswith("PerkinElmer-QPI")

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide: the picture of full resolution, and the reduced ones in tiles."""
        roots = dict(_roots(tiff))
        types = {number: text_of(root, "ImageType") or "" for number, root in roots.items()}

        def of_type(name: str) -> list[Directory]:
            return [d for d in tiff.directories if types.get(d.number) == name]

        base = _base(of_type(_FULL))
        chosen = with_reduced(base, of_type(_REDUCED))
        levels = tuple(to_level(directory) for directory in chosen)
        associated, notes = _associated(tiff, chosen, types)
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
            notes=notes,
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


def _base(full: list[Directory]) -> Directory:
    """Return the only picture of full resolution.

    Raises
    ------
    UnsupportedSlideError
        If there is none, or one for each band of fluorescence.
    """
    if not full:
        raise UnsupportedSlideError("the QPTIFF has no picture that it calls full resolution")
    if len(full) > 1 or full[0].integer(SAMPLES_PER_PIXEL, 1) != 3:
        raise UnsupportedSlideError(
            f"the QPTIFF is fluorescence, {len(full)} grey pictures for as many bands, which is "
            "not supported yet"
        )
    return full[0]


def _associated(
    tiff: Tiff, levels: list[Directory], types: dict[int, str]
) -> tuple[tuple[AssociatedImage, ...], tuple[str, ...]]:
    """Return the pictures that are no level, and notes on what is not as it should be."""
    found, notes = [], []
    for directory in tiff.directories:
        if directory in levels or min(size_of(directory)) < 1:
            continue
        said = types.get(directory.number, "")
        role = _ROLES.get(said)
        if role is None:
            notes.append(f"{directory.place} is no level of the pyramid: not written")
        found.append(associated_image(directory, role or Role.LABEL))
    return tuple(found), tuple(notes)


def _objective_power(root: Element) -> float | None:
    match = _OBJECTIVE.fullmatch(text_of(root, "Objective") or "")
    return None if match is None else float(match[1])
