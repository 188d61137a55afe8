"""Philips TIFF, exported from iSyntax: sizes are padded, pictures hide in the XML once more."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from xml.etree.ElementTree import Element

import numpy as np

from coverslip.errors import SourceError
from coverslip.formats.jpeg import picture_of
from coverslip.formats.likeness import passed_over, size_of
from coverslip.formats.pyramid import private_ranges, raw_metadata, to_level, told_image
from coverslip.formats.spacings import microscope_spacing
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import local_name
from coverslip.limits import LIMITS
from coverslip.model import (
    AssociatedImage,
    ItemKind,
    LabelSide,
    Level,
    RawMetadata,
    Role,
    Slide,
    SourceItem,
    SourceText,
    Spacing,
    TileIndex,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION, SOFTWARE

_SPACING = re.compile(r'"([0-9.eE+-]{1,24})"\s*"([0-9.eE+-]{1,24})"')
_PLAIN_VALUE = re.compile(r'[-+0-9.eE" ,\s]*')
_LEAST_MM = 1e-7
"""No pixel is smaller; the ratio of two spacings is a number then."""
_IMAGE, _PIXELS = "DPScannedImage", "PixelDataRepresentation"
_TYPE, _DATA = "PIM_DP_IMAGE_TYPE", "PIM_DP_IMAGE_DATA"
_ROLES = {"LABELIMAGE": Role.LABEL, "MACROIMAGE": Role.OVERVIEW}
_OBJECT_TYPES = {"DPUfsImport", _IMAGE, _PIXELS}

_KINDS = {
    "PIM_DP_UFS_BARCODE": ItemKind.IDENTIFIER,
    "PIM_DP_SOURCE_FILE": ItemKind.NAME,
    "PIM_DP_IMAGE_DATA": ItemKind.PICTURE,
    "DICOM_DERIVATION_DESCRIPTION": ItemKind.NAME,
    "DICOM_ACQUISITION_DATETIME": ItemKind.DATE,
    "DICOM_DATE_OF_LAST_CALIBRATION": ItemKind.DATE,
    "DICOM_TIME_OF_LAST_CALIBRATION": ItemKind.DATE,
    "DICOM_DEVICE_SERIAL_NUMBER": ItemKind.DEVICE,
    "DICOM_SOFTWARE_VERSIONS": ItemKind.DEVICE,
    "DICOM_MANUFACTURER": ItemKind.DEVICE,
    "DICOM_MANUFACTURERS_MODEL_NAME": ItemKind.DEVICE,
    "DICOM_ICCPROFILE": ItemKind.DEVICE,
    "PIIM_DP_SCANNER_OPERATOR_ID": ItemKind.PERSON,
    "PIIM_DP_SCANNER_RACK_NUMBER": ItemKind.IDENTIFIER,
    "PIIM_DP_SCANNER_SLOT_NUMBER": ItemKind.IDENTIFIER,
    "PIIM_DP_SCANNER_CALIBRATION_STATUS": ItemKind.DEVICE,
}
"""Names that hold text of the slide; any other is itself text, unless it is `_PLAIN`."""

_PLAIN = {
    "PIM_DP_SCANNED_IMAGES",
    "PIM_DP_IMAGE_TYPE",
    "PIM_DP_IMAGE_COLUMNS",
    "PIM_DP_IMAGE_ROWS",
    "PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE",
    "PIIM_PIXEL_DATA_REPRESENTATION_NUMBER",
    "PIIM_PIXEL_DATA_REPRESENTATION_COLUMNS",
    "PIIM_PIXEL_DATA_REPRESENTATION_ROWS",
    "PIIM_PIXEL_DATA_REPRESENTATION_POSITION",
    "DICOM_PIXEL_SPACING",
    "DICOM_SAMPLES_PER_PIXEL",
    "DICOM_PLANAR_CONFIGURATION",
    "DICOM_BITS_ALLOCATED",
    "DICOM_BITS_STORED",
    "DICOM_HIGH_BIT",
    "DICOM_PIXEL_REPRESENTATION",
    "DICOM_LOSSY_IMAGE_COMPRESSION",
    "DICOM_LOSSY_IMAGE_COMPRESSION_RATIO",
}
"""Names that hold numbers or one of `_VALUES`; if so there is nothing to find in them."""
_VALUES = {"WSI", "LABELIMAGE", "MACROIMAGE"}


class PhilipsTiff:
    """A Philips TIFF: base, padded levels, label and macro, and all of it described in XML."""

    name = "Philips TIFF"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether Philips' software wrote an import description."""
        if not tiff.directories:
            return False
        software, description = (
            _text(tiff.directories[0], t) for t in (SOFTWARE, IMAGE_DESCRIPTION)
        )
        return software.startswith("Philips") and "DPUfsImport" in description

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide; its reduced levels have the size that their spacing tells."""
        base = tiff.directories[0]
        root = parse(base.text(IMAGE_DESCRIPTION) or SourceText(""))
        spacings = _spacings(root)
        chosen = [d for d in tiff.directories if d is base or _is_level(d)]
        levels = tuple(_levels(chosen, spacings))
        others = [d for d in tiff.directories if d not in chosen and min(size_of(d)) > 0]
        items = tuple(_items(root, f"{base.place} ImageDescription"))
        device = tuple(SourceText(text) for text in _device(root))
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=tuple(_associated(others, root, base)),
            metadata=_with_profile(raw_metadata(tiff, items, device, levels), root),
            spacing=levels[0].spacing,
            objective_power=None,
            label_side=LabelSide.LEFT,
            private_ranges=private_ranges(tiff, levels),
            notes=passed_over(base, [d for d in others if _said(d) is None]),
        )


def _text(directory: Directory, tag: int) -> str:
    text = directory.text(tag)
    return "" if text is None else text.reveal()


def _attributes(root: Element, name: str) -> Iterator[Element]:
    for element in root.iter():
        if local_name(element) == "Attribute" and element.get("Name") == name:
            yield element


def _objects(root: Element, kind: str) -> Iterator[Element]:
    for element in root.iter():
        if local_name(element) == "DataObject" and element.get("ObjectType") == kind:
            yield element


def _spacings(root: Element) -> list[Spacing]:
    """Return the spacing of each level of the one whole-slide image, base first.

    Raises
    ------
    SourceError
        If there is not exactly one such image.
    """
    scans = [
        image
        for image in _objects(root, _IMAGE)
        if any((e.text or "").strip() == "WSI" for e in _attributes(image, _TYPE))
    ]
    if len(scans) != 1:
        raise SourceError(f"the Philips XML describes {len(scans)} whole-slide images, not one")
    found = []
    for pixels in _objects(scans[0], _PIXELS):
        for element in _attributes(pixels, "DICOM_PIXEL_SPACING"):
            spacing = _spacing(element.text or "")
            if spacing is not None:
                found.append(spacing)
    return found


def _spacing(text: str) -> Spacing | None:
    match = _SPACING.search(text)
    if match is None:
        return None
    try:
        row_mm, column_mm = float(match[1]), float(match[2])
    except ValueError:
        return None
    if not (_LEAST_MM < row_mm < 1 and _LEAST_MM < column_mm < 1):
        return None
    return Spacing(row_mm=row_mm, column_mm=column_mm)


def _is_level(directory: Directory) -> bool:
    return directory.is_tiled and _said(directory) is None and min(size_of(directory)) > 0


def _said(directory: Directory) -> Role | None:
    """Return what the description of a directory says that it shows."""
    text = _text(directory, IMAGE_DESCRIPTION)
    for word, role in (("Label", Role.LABEL), ("Macro", Role.OVERVIEW)):
        if text.startswith(word):
            return role
    return None


def _associated(
    directories: list[Directory], root: Element, base: Directory
) -> Iterator[AssociatedImage]:
    """Yield the pictures of directories, and those of the XML that have none."""
    for directory in directories:
        yield told_image(directory, _said(directory))
    said = {_said(directory) for directory in directories}
    for image in _objects(root, _IMAGE):
        types = {(element.text or "").strip() for element in _attributes(image, _TYPE)}
        for role in (role for name, role in _ROLES.items() if name in types and role not in said):
            for element in _attributes(image, _DATA):
                yield picture_of(_from_base64(element.text or ""), base.number, role)


def _from_base64(text: str) -> bytes:
    """Return what a text holds, nothing if it is no Base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _levels(directories: list[Directory], spacings: list[Spacing]) -> Iterator[Level]:
    """Yield each level without the columns and rows of tiles that are padding only.

    Raises
    ------
    SourceError
        If the XML does not give every level its spacing: the tags give padded sizes only.
    """
    if len(spacings) < len(directories):
        raise SourceError(
            f"the Philips XML gives {len(spacings)} pixel spacings for {len(directories)} levels"
        )
    base = None
    for directory, spacing in zip(directories, spacings, strict=False):
        level = replace(to_level(directory), spacing=spacing)
        if base is None:
            sure = microscope_spacing(row_mm=spacing.row_mm, column_mm=spacing.column_mm)
            base = level = replace(level, spacing=sure)
            yield level
            continue
        down, across = (
            spacing.row_mm / spacings[0].row_mm,
            spacing.column_mm / spacings[0].column_mm,
        )
        downsample = max(1, round((down + across) / 2))
        width = min(level.image_width, max(1, base.image_width // downsample))
        length = min(level.image_length, max(1, base.image_length // downsample))
        yield _cropped(level, width, length)


def _cropped(level: Level, width: int, length: int) -> Level:
    """Return a level of the given size, with the tiles that it reaches."""
    across, down = -(-width // level.tile_width), -(-length // level.tile_length)
    stored = level.tiles
    grid = np.stack([stored.offsets, stored.byte_counts], axis=1)
    grid = grid.reshape(stored.down, stored.across, 2)
    used = grid[:down, :across].reshape(-1, 2)
    surplus = np.concatenate([grid[down:].reshape(-1, 2), grid[:down, across:].reshape(-1, 2)])
    return replace(
        level,
        image_width=width,
        image_length=length,
        tiles=TileIndex(
            offsets=np.ascontiguousarray(used[:, 0]),
            byte_counts=np.ascontiguousarray(used[:, 1]),
            across=across,
            down=down,
        ),
        surplus=surplus,
    )


def _device(root: Element) -> Iterator[str]:
    for name in ("DICOM_MANUFACTURERS_MODEL_NAME", "DICOM_MANUFACTURER"):
        for element in _attributes(root, name):
            yield (element.text or "").strip().strip('"')
    yield "Philips"


def _with_profile(metadata: RawMetadata, root: Element) -> RawMetadata:
    """Return the metadata with the colour profile of the XML, where no tag holds one."""
    for element in _attributes(root, "DICOM_ICCPROFILE"):
        if metadata.icc_profile is None:
            profile = _from_base64((element.text or "").strip().strip('"'))
            return replace(metadata, icc_profile=profile or None)
    return metadata


def _items(root: Element, place: str) -> Iterator[SourceItem]:
    """Yield a finding for each text, the last one for all beyond the limit together."""
    items = _all_items(root, place)
    yield from islice(items, LIMITS.xml_items)
    rest = "\n".join(item.text.reveal() for item in items)
    if rest:
        yield _unknown(place, rest)


def _all_items(root: Element, place: str) -> Iterator[SourceItem]:
    for element in root.iter():
        kind = local_name(element)
        text = "\n".join(filter(None, ((part or "").strip() for part in _texts(element))))
        attributes = dict(element.attrib)
        name = attributes.pop("Name", "") if kind == "Attribute" else None
        if kind == "Attribute":
            for known in ("Group", "Element", "PMSVR"):
                attributes.pop(known, None)
        elif kind == "DataObject" and attributes.get("ObjectType") in _OBJECT_TYPES:
            attributes.pop("ObjectType")
        elif kind and kind not in ("DataObject", "Array"):
            yield _unknown(place, kind)
        for key, value in attributes.items():
            yield _unknown(place, f"{key}={value}")
        if name is None:
            if text:
                yield _unknown(place, text)
            continue
        yield from _item(place, name, text)


def _item(place: str, name: str, text: str) -> Iterator[SourceItem]:
    if name in _KINDS:
        if text:
            yield SourceItem(place=place, key=name, kind=_KINDS[name], text=SourceText(text))
    elif name not in _PLAIN or not (text in _VALUES or _PLAIN_VALUE.fullmatch(text)):
        yield _unknown(place, f"{name}={text}")


def _texts(element: Element) -> Iterator[str | None]:
    yield element.text
    for child in element:
        yield child.tail


def _unknown(place: str, text: str) -> SourceItem:
    return SourceItem(place=place, key=None, kind=ItemKind.UNKNOWN, text=SourceText(text))
