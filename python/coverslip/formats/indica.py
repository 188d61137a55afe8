"""Indica Labs HALO: an XML in the first directory says which channel and level each other is."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element

from coverslip.errors import SourceError, UnsupportedSlideError
from coverslip.formats.likeness import SAMPLES_PER_PIXEL, passed_over, size_of, with_reduced
from coverslip.formats.planes import light_notes
from coverslip.formats.pyramid import private_ranges, raw_metadata, to_level, told_image
from coverslip.formats.spacings import resolution
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import Vocabulary, children, integer_in, xml_items
from coverslip.model import (
    ItemKind,
    LabelSide,
    Level,
    OpticalPath,
    Slide,
    SourceText,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION, SOFTWARE

_SOFTWARE, _PLACE_OF_A_PICTURE = "IndicaLabsImageWriter", "<dimension"
_VOCABULARY = Vocabulary(
    kinds={
        "@name": ItemKind.TEXT,
        "@Name": ItemKind.TEXT,
        "@barcode": ItemKind.IDENTIFIER,
        "@user": ItemKind.PERSON,
        "@date": ItemKind.DATE,
    },
    plain=frozenset(
        {
            *("dimension@sizeX", "dimension@sizeY", "dimension@ifd", "dimension@channel"),
            *("dimension@level", "channel@id", "channel@rgb", "channel@min", "channel@max"),
            "post_proc@type",
        }
    ),
    structure=frozenset(
        {"indica", "image", "pixels", "dimension", "channels", "channel", "post_proc"}
    ),
)


class IndicaHalo:
    """A TIFF of HALO: a pyramid of grey pictures for each channel, or one in colour."""

    name = "Indica HALO"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether Indica's software wrote it, and its XML says where each picture is."""
        if not tiff.directories:
            return False
        texts = [tiff.directories[0].text(tag) for tag in (SOFTWARE, IMAGE_DESCRIPTION)]
        software, said = ("" if text is None else text.reveal() for text in texts)
        return software.startswith(_SOFTWARE) and _PLACE_OF_A_PICTURE in said

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide: the levels of each channel."""
        first = tiff.directories[0]
        root = parse(first.text(IMAGE_DESCRIPTION) or SourceText(""))
        pyramids = _pyramids(root, tiff)
        levels = tuple(_levels(pyramids.values()))
        base = next(iter(pyramids.values()))[0]
        paths = tuple(_optical_paths(root, list(pyramids), base))
        used = {ifd for level in levels for ifd in level.ifds}
        rest = [d for d in tiff.directories if d.number not in used and min(size_of(d)) > 0]
        items = tuple(xml_items(root, f"{first.place} ImageDescription", _VOCABULARY))
        return Slide(
            format=self.name,
            levels=levels,
            # Nothing says what these show, so each is taken for a label.
            associated_images=tuple(told_image(d, None) for d in rest),
            metadata=raw_metadata(tiff, items, (SourceText(_SOFTWARE),), levels),
            spacing=resolution(base),
            objective_power=None,
            label_side=LabelSide.RIGHT,
            private_ranges=private_ranges(tiff, levels),
            optical_paths=paths,
            notes=(*passed_over(base, rest), *light_notes(paths)),
        )


def _pyramids(root: Element, tiff: Tiff) -> dict[int, list[Directory]]:
    """Return the directories of each channel by its number, the largest first.

    Raises
    ------
    SourceError
        If the XML names directories that are not there or twice, or tells of other sizes.
    UnsupportedSlideError
        If channels are in colour, or do not have the same levels.
    """
    chain = [directory for directory in tiff.directories if directory.kind == "IFD"]
    channels: dict[int, list[Directory]] = {}
    for dimension in children(root, "image", "pixels", "dimension"):
        number = integer_in(dimension.get("ifd"))
        if number is None or not 0 <= number < len(chain):
            raise SourceError("the HALO XML names a directory that the file does not have")
        said = integer_in(dimension.get("sizeX")), integer_in(dimension.get("sizeY"))
        if size_of(chain[number]) != said:
            raise SourceError(f"IFD {number} has another size than the HALO XML says")
        channels.setdefault(integer_in(dimension.get("channel")) or 0, []).append(chain[number])
    named = [directory.number for found in channels.values() for directory in found]
    if not named or len(set(named)) < len(named):
        raise SourceError("the HALO XML names no directory, or one twice")
    pyramids = {number: _pyramid(found) for number, found in sorted(channels.items())}
    sizes = {tuple(size_of(directory) for directory in found) for found in pyramids.values()}
    if len(sizes) > 1:
        raise UnsupportedSlideError("the channels of the HALO slide do not have the same levels")
    bases = [found[0] for found in pyramids.values()]
    if len(bases) > 1 and any(base.integer(SAMPLES_PER_PIXEL, 1) != 1 for base in bases):
        raise UnsupportedSlideError(f"the HALO slide has {len(bases)} channels in colour")
    return pyramids


def _pyramid(found: list[Directory]) -> list[Directory]:
    base = max(found, key=lambda directory: size_of(directory)[0])
    return with_reduced(base, (directory for directory in found if directory is not base))


def _levels(pyramids: Iterable[list[Directory]]) -> Iterator[Level]:
    """Yield the levels of each channel; only the first directory tells its resolution."""
    for path, directories in enumerate(pyramids):
        for directory in directories:
            yield replace(to_level(directory), optical_path=path, spacing=None)


def _optical_paths(root: Element, numbers: list[int], base: Directory) -> Iterator[OpticalPath]:
    """Yield with what light each channel was taken: grey pictures are of fluorescence."""
    names = {
        integer_in(channel.get("id")): channel.get("name")
        for channel in children(root, "image", "channels", "channel")
    }
    is_fluorescence = base.integer(SAMPLES_PER_PIXEL, 1) == 1
    for number in numbers:
        said = names.get(number)
        yield OpticalPath(
            is_fluorescence=is_fluorescence, name=None if said is None else SourceText(said)
        )
