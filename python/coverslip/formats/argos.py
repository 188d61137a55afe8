"""Argos AVS: sparse JPEG tiles; the last two pictures are a map and the macro with its label."""

from collections.abc import Iterator

from coverslip.errors import SourceError, UnsupportedSlideError
from coverslip.formats.likeness import passed_over, size_of, with_reduced
from coverslip.formats.pyramid import associated_image, private_ranges, raw_metadata, to_level
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import Vocabulary, xml_items
from coverslip.model import ItemKind, LabelSide, Role, Slide, SourceItem, SourceText
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
    },
    plain=frozenset({"MinZ", "MaxZ", "@MinZ", "@MaxZ", "@Magnification", "Magnification"}),
)


class Argos:
    """An AVS file with one focal plane."""

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
        sizes = [size_of(directory) for directory in scanned]
        if len(set(sizes)) < len(sizes):
            raise UnsupportedSlideError("Argos focal planes (z-stacks) are not supported yet")
        base = scanned[0]
        chosen = with_reduced(base, scanned[1:])
        levels = tuple(to_level(directory) for directory in chosen)
        rest = [directory for directory in scanned if directory not in chosen]
        images = (
            *(associated_image(directory, Role.LABEL) for directory in (*rest, chart)),
            associated_image(macro, Role.OVERVIEW),
        )
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=images,
            metadata=raw_metadata(tiff, tuple(_items(base)), (), levels),
            spacing=levels[0].spacing,
            objective_power=None,
            label_side=LabelSide.RIGHT,
            private_ranges=private_ranges(tiff, levels),
            notes=passed_over(base, rest),
        )


def _items(base: Directory) -> Iterator[SourceItem]:
    text = base.text(_XML) or SourceText("")
    return xml_items(parse(text), f"{base.place} tag {_XML}", _VOCABULARY)
