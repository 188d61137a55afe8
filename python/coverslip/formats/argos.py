"""Argos AVS: sparse JPEG tiles; the last two pictures are a map and the macro with its label."""

from xml.etree.ElementTree import Element

from coverslip.errors import SourceError, UnsupportedSlideError
from coverslip.formats.likeness import passed_over, size_of, with_reduced
from coverslip.formats.planes import stacked_pyramids
from coverslip.formats.pyramid import private_ranges, raw_metadata, to_level, told_image
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import Vocabulary, integer_in, number_in, text_of, xml_items
from coverslip.model import ItemKind, LabelSide, Role, Slide, SourceText
from coverslip.tiff import Directory, Tiff

_XML = 65000
_ASSOCIATED = 2
_VOCABULARY = Vocabulary(
    kinds={
        "Barcode": ItemKind.IDENTIFIER,
        "@Barcode": ItemKind.IDENTIFIER,
        "@Name": ItemKind.NAME,
        "@Date": ItemKind.DATE,
        "@User": ItemKind.PERSON,
        "User": ItemKind.PERSON,
        "Date": ItemKind.DATE,
    },
    plain=frozenset({"MinZ", "MaxZ", "ZRange", "ObjectiveMagnification"}),
    structure=frozenset({"Argos.Scan.Metadata"}),
)


class Argos:
    """An AVS file: a pyramid for each focal plane, from the lowest to the highest."""

    name = "Argos"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the private XML of the first directory is Argos'."""
        if not tiff.directories:
            return False
        text = tiff.directories[0].text(_XML)
        return text is not None and "Argos" in text.reveal()

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide."""
        pictures = [d for d in tiff.directories if d.kind == "IFD" and min(size_of(d)) > 0]
        if len(pictures) <= _ASSOCIATED:
            raise SourceError("the Argos file has no level beside its map and macro")
        scanned, (chart, macro) = pictures[:-_ASSOCIATED], pictures[-_ASSOCIATED:]
        base = scanned[0]
        root = parse(base.text(_XML) or SourceText(""))
        pyramids = [with_reduced(first, lower) for first, *lower in _by_plane(scanned)]
        stored = [[to_level(directory) for directory in pyramid] for pyramid in pyramids]
        levels = tuple(stacked_pyramids(stored, _distance_um(root, len(pyramids))))
        used = {ifd for level in levels for ifd in level.ifds}
        rest = [directory for directory in scanned if directory.number not in used]
        images = (
            *(told_image(directory, None) for directory in (*rest, chart)),
            told_image(macro, Role.OVERVIEW),
        )
        items = tuple(xml_items(root, f"{base.place} tag {_XML}", _VOCABULARY))
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=images,
            metadata=raw_metadata(tiff, items, (), levels),
            spacing=levels[0].spacing,
            objective_power=number_in(text_of(root, "ObjectiveMagnification")),
            label_side=LabelSide.RIGHT,
            private_ranges=private_ranges(tiff, levels),
            notes=passed_over(base, rest),
        )


def _by_plane(scanned: list[Directory]) -> list[list[Directory]]:
    """Return the directories of each focal plane: a picture no smaller begins the next."""
    planes: list[list[Directory]] = []
    for directory in scanned:
        if not planes or size_of(directory)[0] >= size_of(planes[-1][-1])[0]:
            planes.append([])
        planes[-1].append(directory)
    return planes


def _distance_um(root: Element, planes: int) -> float | None:
    """Return how far apart focal planes are, ``None`` if there is one, or it is not told.

    Raises
    ------
    UnsupportedSlideError
        If there are others than the XML says.
    """
    lowest, highest = (integer_in(text_of(root, key)) for key in ("MinZ", "MaxZ"))
    said = 1 if lowest is None or highest is None else highest - lowest + 1
    if said != planes:
        raise UnsupportedSlideError(
            f"the Argos slide says {said} focal planes and has {planes} pyramids"
        )
    reach_um = number_in(text_of(root, "ZRange"))
    return None if planes == 1 or reach_um is None else reach_um / (planes - 1)
