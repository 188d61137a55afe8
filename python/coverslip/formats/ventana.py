"""Ventana: BIF, whose tiles may overlap, and the stitched TIFF, whose tiles do not."""

import math
import re
from collections.abc import Iterator
from itertools import islice
from xml.etree.ElementTree import Element

from coverslip.errors import CoverslipError, UnsupportedSlideError
from coverslip.formats.joints import with_places
from coverslip.formats.likeness import passed_over, size_of, with_reduced
from coverslip.formats.planes import planes_of, stacked
from coverslip.formats.pyramid import private_ranges, raw_metadata, told_image
from coverslip.formats.spacings import microscope_spacing
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import (
    Vocabulary,
    integer_in,
    local_name,
    number_in,
    xml_items,
)
from coverslip.model import (
    AssociatedImage,
    ItemKind,
    LabelSide,
    Level,
    Role,
    Slide,
    SourceText,
    Spacing,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION, XMP

_SIGN, _JOINTS = "iScan", "EncodeInfo"
_EXPORT_PLANE = "export a single focal plane with Ventana's own viewer"
_ROLES: dict[str, Role | None] = {
    "Label Image": Role.OVERVIEW,
    "Label_Image": Role.OVERVIEW,
    "Thumbnail": Role.THUMBNAIL,
    "Probability_Image": None,
}
"""What the descriptions say. The label image is in truth the whole glass; the map of tissue is
nothing that DICOM has a word for, so it stays with what nothing tells of."""
_UPRIGHT = "VENTANA DP"
"""These scanners store a slide as its label image shows it, which has the label above: areas have
the same proportions in both. Their predecessors turn what they scan."""
_LEVEL = re.compile(r"(?:^|\s)level=([0-9]{1,3})(?:\s|$)")

_VOCABULARY = Vocabulary(
    kinds={
        "@BaseName": ItemKind.NAME,
        "@JP2FileName": ItemKind.NAME,
        "@FileName": ItemKind.NAME,
        "@UnitNumber": ItemKind.DEVICE,
        "@DeviceSerialNumber": ItemKind.DEVICE,
        "@BuildVersion": ItemKind.DEVICE,
        "@BuildDate": ItemKind.DATE,
        "@ScanDate": ItemKind.DATE,
        "@ScanTime": ItemKind.DATE,
        "@StartTime": ItemKind.DATE,
        "@EndTime": ItemKind.DATE,
        "@UserName": ItemKind.PERSON,
        "@OperatorID": ItemKind.PERSON,
        "@PatientName": ItemKind.PERSON,
        "@Barcode1D": ItemKind.IDENTIFIER,
        "@Barcode2D": ItemKind.IDENTIFIER,
        "@BarCode1": ItemKind.IDENTIFIER,
        "@BarCode2": ItemKind.IDENTIFIER,
        "@UniqueID": ItemKind.IDENTIFIER,
        "@CaseID": ItemKind.IDENTIFIER,
        "@SampleID": ItemKind.IDENTIFIER,
        "@BarCodeType1": ItemKind.TEXT,
        "@BarCodeType2": ItemKind.TEXT,
        "@SlideAnnotation": ItemKind.TEXT,
        "@LabelText": ItemKind.TEXT,
        "@Comment": ItemKind.TEXT,
        "@ScanWhitePoint": ItemKind.DEVICE,
        "@Mode": ItemKind.TEXT,
        "@ScannerModel": ItemKind.DEVICE,
    },
    plain=frozenset(
        {
            *("@ScanRes", "@Magnification", "@Z-layers", "@Z-spacing", "@Ver", "@AOIScanned"),
            *("@AOIIndex", "@Width", "@Height", "@NumRows", "@NumCols", "@Pos-X", "@Pos-Y"),
            *("@FlagJoined", "@Confidence", "@Direction", "@Tile1", "@Tile2", "@OverlapX"),
            *("@OverlapY", "@OriginX", "@OriginY"),
        }
    ),
    values=frozenset({"LEFT", "RIGHT", "UP", "DOWN"}),
    structure=frozenset(
        {
            *("iScan", "Metadata", "EncodeInfo", "SlideInfo", "SlideStitchInfo", "ImageInfo"),
            *("TileJointInfo", "AoiOrigin", "FrameInfo", *(f"AOI{number}" for number in range(64))),
        }
    ),
)


class Ventana:
    """A file of an iScan or DP scanner."""

    name = "Ventana"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether any directory has the scanner's XML."""
        texts = (directory.text(XMP) for directory in tiff.directories)
        return any(text is not None and _SIGN in text.reveal() for text in texts)

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide, its levels by their descriptions."""
        numbered = [d for d in tiff.directories if d.is_tiled and _LEVEL.search(_said(d))]
        if not numbered:
            raise UnsupportedSlideError("the Ventana slide has no level in tiles")
        base = max(numbered, key=lambda directory: math.prod(size_of(directory)))
        _refuse_repeated(numbered)
        roots = dict(_roots(tiff))
        encodings = [e for root in roots.values() for e in root.iter() if local_name(e) == _JOINTS]
        scans = [e for root in roots.values() for e in root.iter() if local_name(e) == _SIGN]
        scan = scans[0] if scans else Element(_SIGN)
        pyramids = [planes_of(directory) for directory in with_reduced(base, numbered)]
        levels = _in_focal_planes(pyramids, scan, encodings)
        associated, unnamed = _associated(tiff, {level.ifd for level in levels})
        items = (
            item
            for number, root in roots.items()
            for item in xml_items(root, f"{tiff.directories[number].place} XMP", _VOCABULARY)
        )
        model = scan.get("ScannerModel", "")
        return Slide(
            format=f"{self.name} {'BIF' if encodings else 'TIFF'}",
            levels=levels,
            associated_images=associated,
            metadata=raw_metadata(
                tiff, tuple(items), (SourceText(model), SourceText(self.name)), levels
            ),
            spacing=_spacing(scan) or levels[0].spacing,
            objective_power=number_in(scan.get("Magnification")),
            label_side=LabelSide.TOP if model.startswith(_UPRIGHT) else LabelSide.RIGHT,
            private_ranges=private_ranges(tiff, levels),
            notes=(*passed_over(base, unnamed), *_plane_notes(levels)),
        )


def _said(directory: Directory) -> str:
    text = directory.text(IMAGE_DESCRIPTION)
    return "" if text is None else text.reveal().strip()


def _refuse_repeated(numbered: list[Directory]) -> None:
    """Raise for several directories of a level: focal planes are one, and nothing else is known."""
    said = [match[1] for d in numbered if (match := _LEVEL.search(_said(d)))]
    if len(set(said)) < len(said):
        raise UnsupportedSlideError(
            "the Ventana slide has several directories of one level, and nothing says what each is",
            hint=_EXPORT_PLANE,
        )


def _in_focal_planes(
    stored: list[list[Level]], scan: Element, encodings: list[Element]
) -> tuple[Level, ...]:
    """Return levels whose focal planes are given in the order of the file, from the lowest.

    The nominal one comes first, then those of near focus, then those of far focus, each the
    further the later; as many are near as are far (BIF white paper of 2020, volumetric scans).

    Raises
    ------
    UnsupportedSlideError
        If there are others than the XML says, or levels differ in them.
    """
    depth = len(stored[0])
    if {len(planes) for planes in stored} != {depth}:
        raise UnsupportedSlideError("levels have different focal planes", hint=_EXPORT_PLANE)
    said = integer_in(scan.get("Z-layers"))
    if depth > 1 and (said != depth or depth % 2 == 0):
        raise UnsupportedSlideError(
            f"the Ventana slide has {depth} focal planes, and does not say that they are one in "
            "the middle and as many below as above",
            hint=_EXPORT_PLANE,
        )
    placed = iter(with_places(tuple(level for planes in stored for level in planes), encodings))
    reach = depth // 2
    upwards = [*range(reach, -1, -1), *range(reach + 1, depth)]
    distance_um = number_in(scan.get("Z-spacing"))
    levels = []
    for _ in stored:
        planes = list(islice(placed, depth))
        levels.append(stacked([planes[number] for number in upwards], distance_um))
    return tuple(levels)


def _plane_notes(levels: tuple[Level, ...]) -> tuple[str, ...]:
    if not levels[0].planes_above:
        return ()
    return (
        "the slide calls focal planes near and far and does not say which are higher on the "
        "glass: near ones are written as the lower",
    )


def _roots(tiff: Tiff) -> Iterator[tuple[int, Element]]:
    """Yield the XML of each directory that has one.

    What cannot be parsed is a finding as a whole, but where tiles join must be known.
    """
    for directory in tiff.directories:
        text = directory.text(XMP)
        if text is None:
            continue
        try:
            yield directory.number, parse(text)
        except CoverslipError:
            if _JOINTS in text.reveal():
                raise


def _associated(
    tiff: Tiff, levels: set[int]
) -> tuple[tuple[AssociatedImage, ...], list[Directory]]:
    """Return the pictures that are no level, and those of them that have no name."""
    found, unnamed = [], []
    for directory in tiff.directories:
        if directory.number in levels or min(size_of(directory)) < 1:
            continue
        said = _said(directory)
        found.append(told_image(directory, _ROLES.get(said)))
        if said not in _ROLES:
            unnamed.append(directory)
    return tuple(found), unnamed


def _spacing(scan: Element) -> Spacing | None:
    mpp_um = number_in(scan.get("ScanRes"))
    return None if mpp_um is None else microscope_spacing(mpp_um / 1000, mpp_um / 1000)
