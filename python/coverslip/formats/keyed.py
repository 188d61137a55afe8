"""Scanners whose TIFFs say ``key = value`` in the description and else follow Aperio's layout."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from coverslip.errors import UnsupportedSlideError
from coverslip.formats.likeness import (
    NEW_SUBFILE_TYPE,
    has_shape_of,
    is_reduced,
    passed_over,
    size_of,
    with_reduced,
)
from coverslip.formats.pyramid import (
    CUT_FRAME,
    no_tiles,
    private_ranges,
    raw_metadata,
    to_level,
    told_image,
)
from coverslip.formats.spacings import microscope_spacing
from coverslip.formats.xml_items import number_in
from coverslip.limits import LIMITS
from coverslip.model import (
    ItemKind,
    LabelSide,
    Level,
    Mosaic,
    Role,
    Slide,
    SourceItem,
    SourceText,
    Spacing,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION, SOFTWARE

_MAKE, _MODEL, _X_RESOLUTION = 271, 272, 282
_ROLES = {1: Role.LABEL, 9: Role.OVERVIEW}
"""Values of tag 254 by which Aperio, and who follows it, marks pictures."""
_PARTS = re.compile(r"[|;\r\n]+")

_KINDS = {
    "Filename": ItemKind.NAME,
    "FileName": ItemKind.NAME,
    "Title": ItemKind.TEXT,
    "Comment": ItemKind.TEXT,
    "Comments": ItemKind.TEXT,
    "Date": ItemKind.DATE,
    "Time": ItemKind.DATE,
    "ScanDate": ItemKind.DATE,
    "CreationDate": ItemKind.DATE,
    "User": ItemKind.PERSON,
    "Operator": ItemKind.PERSON,
    "Patient": ItemKind.PERSON,
    "ImageID": ItemKind.IDENTIFIER,
    "SlideID": ItemKind.IDENTIFIER,
    "Barcode": ItemKind.IDENTIFIER,
    "BarCode": ItemKind.IDENTIFIER,
    "Accession": ItemKind.IDENTIFIER,
    "ScanScope ID": ItemKind.DEVICE,
    "Scanner ID": ItemKind.DEVICE,
    "SerialNumber": ItemKind.DEVICE,
}
"""Keys that hold text of the slide; any other is itself text, unless it is plain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedTiff:
    """One vendor's files: how they are known, and where they say what."""

    name: str
    sign: Callable[[Tiff], bool]
    device: str
    """The vendor, for the closed vocabulary of devices."""
    label_side: LabelSide
    plain: frozenset[str]
    """Keys whose values pass as numbers, so there is nothing to find in them."""
    mpp_keys: tuple[str, ...] = ()
    """Keys of the size of a pixel in micrometres, across and down if there are two."""
    power_key: str = "AppMag"
    spacing_of: Callable[[Directory], Spacing | None] | None = None
    """Where else the spacing stands, if not in the usual tags."""
    overlaps_of: Callable[[Mapping[str, str]], Sequence[tuple[int, int]]] | None = None
    """Columns and rows that the tiles of each level share."""
    notes_of: Callable[[Tiff], Iterator[str]] | None = None
    """What else the user should know of a slide."""

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the vendor's sign is there."""
        return bool(tiff.directories) and tiff.directories[0].is_tiled and self.sign(tiff)

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide."""
        base = tiff.directories[0]
        keys = dict(reversed(list(_pairs(_text(base, IMAGE_DESCRIPTION)))))
        pictures = [d for d in tiff.directories if d.kind in ("IFD", "SubIFD") and _has_size(d)]
        tiled = [d for d in pictures if d is not base and d.is_tiled and _marked(d) is None]
        overlaps = [] if self.overlaps_of is None else self.overlaps_of(keys)
        if any(map(any, overlaps)):
            # Their tags say sizes that count overlaps, so these are no reductions of each other.
            chosen = [base, *tiled]
            levels = _overlapping(chosen, overlaps)
        else:
            chosen = with_reduced(base, tiled)
            levels = tuple(to_level(directory) for directory in chosen)
        rest = [d for d in pictures if d not in chosen]
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=tuple(told_image(d, _role(base, d)) for d in rest),
            metadata=raw_metadata(
                tiff, tuple(self._items(tiff)), tuple(self._device(base, keys)), levels
            ),
            spacing=self._spacing(base, keys) or levels[0].spacing,
            objective_power=_positive(keys.get(self.power_key)),
            label_side=self.label_side,
            private_ranges=private_ranges(tiff, levels),
            notes=(
                *passed_over(base, [d for d in rest if _role(base, d) is None]),
                *(() if self.notes_of is None else self.notes_of(tiff)),
            ),
        )

    def _spacing(self, base: Directory, keys: Mapping[str, str]) -> Spacing | None:
        microns = [um for key in self.mpp_keys if (um := _positive(keys.get(key))) is not None]
        if microns:
            return microscope_spacing(row_mm=microns[-1] / 1000, column_mm=microns[0] / 1000)
        return None if self.spacing_of is None else self.spacing_of(base)

    def _device(self, base: Directory, keys: Mapping[str, str]) -> Iterator[SourceText]:
        for text in (keys.get("ScannerType", ""), _text(base, _MODEL), _text(base, _MAKE)):
            yield SourceText(text)
        yield SourceText(self.device)

    def _items(self, tiff: Tiff) -> Iterator[SourceItem]:
        """Yield every key of every description, and what stands in front of the first."""
        for directory in tiff.directories:
            description = _text(directory, IMAGE_DESCRIPTION)
            place = f"{directory.place} ImageDescription"
            for key, value in _pairs(description):
                if key in self.plain and (not value or number_in(value) is not None):
                    continue
                kind = _KINDS.get(key)
                yield SourceItem(
                    place=place,
                    key=key if kind is not None else None,
                    kind=kind or ItemKind.UNKNOWN,
                    text=SourceText(value if kind is not None else f"{key}={value}"),
                )


def _text(directory: Directory, tag: int) -> str:
    text = directory.text(tag)
    return "" if text is None else text.reveal()


def _pairs(description: str) -> Iterator[tuple[str, str]]:
    """Yield key and value of each part; the last one is all beyond the limit together."""
    for part in _PARTS.split(description, maxsplit=LIMITS.description_keys):
        key, _, value = part.partition("=")
        if part.strip():
            yield key.strip(), value.strip()


def _positive(text: str | None) -> float | None:
    value = number_in(text)
    return value if value is not None and value > 0 else None


def _has_size(directory: Directory) -> bool:
    return min(size_of(directory)) > 0


def _marked(directory: Directory) -> Role | None:
    """Return what tag 254 says of a picture: 1 is a reduced picture as well if it is tiled."""
    role = _ROLES.get(directory.integer(NEW_SUBFILE_TYPE, 0))
    return None if role is Role.LABEL and directory.is_tiled else role


def _role(base: Directory, directory: Directory) -> Role | None:
    """Return what a picture shows that is no level, ``None`` if nothing tells."""
    if directory.number == 1 and has_shape_of(base, directory):
        return _marked(directory) or Role.THUMBNAIL
    return _marked(directory)


def _description(*, begins: str = "", holds: str = "") -> Callable[[Tiff], bool]:
    def sign(tiff: Tiff) -> bool:
        text = _text(tiff.directories[0], IMAGE_DESCRIPTION)
        return text.startswith(begins) and holds in text

    return sign


def _trestle_overlaps(keys: Mapping[str, str]) -> list[tuple[int, int]]:
    """Return what the tiles of each level share: side by side they would show it twice.

    Raises
    ------
    UnsupportedSlideError
        If it is told in one direction only.
    """
    numbers = [int(number[:9]) for number in re.findall(r"[0-9]+", keys.get("OverlapsXY", ""))]
    if len(numbers) % 2 and any(numbers):
        raise UnsupportedSlideError("the slide does not say how the tiles of each level overlap")
    return list(zip(numbers[::2], numbers[1::2], strict=False))


def _overlapping(
    directories: Sequence[Directory], overlaps: Sequence[tuple[int, int]]
) -> tuple[Level, ...]:
    """Return levels whose tiles overlap, in the order of the file.

    Raises
    ------
    UnsupportedSlideError
        If it is not told how those of each level do, or they are no levels of one picture.
    """
    if len(overlaps) < len(directories):
        raise UnsupportedSlideError("the slide does not say how the tiles of each level overlap")
    stored = [to_level(directory) for directory in directories]
    if any(level.picture is not None or level.raster is not None for level in stored):
        raise UnsupportedSlideError("overlapping tiles are put together only if they are JPEG")
    levels = tuple(_with_overlap(*each) for each in zip(stored, overlaps, strict=False))
    sizes = [(level.image_width, level.image_length) for level in levels]
    if any(not is_reduced(before, size) for before, size in pairwise(sizes)):
        raise UnsupportedSlideError("the slide's levels are not reductions of each other")
    return levels


def _inverted_resolution(base: Directory) -> Spacing | None:
    """Return the spacing of Trestle, whose tag 282 holds micrometres a pixel."""
    um = base.number_of(_X_RESOLUTION)
    return None if not um else microscope_spacing(row_mm=um / 1000, column_mm=um / 1000)


def _files_beside(tiff: Tiff) -> Iterator[str]:
    """Yield a note on each kind of file that Trestle's scanner puts beside a slide."""
    if any(tiff.has_beside(f"-{number}b") for number in range(len(tiff.directories) + 1)):
        yield (
            "files beside the slide say how its tiles overlap one by one, which is not read: tiles "
            "may lie some pixels beside where they are shown"
        )
    if tiff.has_beside(".Full", instead=True):
        yield "a picture of the whole glass with its label lies beside the slide: not written"


_APERIO_NUMBERS = frozenset({"AppMag", "MPP", "OriginalWidth", "OriginalHeight"})

HURON = KeyedTiff(
    name="Huron",
    sign=lambda tiff: _text(tiff.directories[0], _MAKE).startswith("Huron"),
    device="Huron",
    label_side=LabelSide.LEFT,
    plain=_APERIO_NUMBERS,
)
MOTIC = KeyedTiff(
    name="Motic",
    sign=_description(begins="Motic"),
    device="Motic",
    label_side=LabelSide.LEFT,
    plain=_APERIO_NUMBERS,
    mpp_keys=("MPP",),
)
MIKROSCAN = KeyedTiff(
    name="Mikroscan",
    sign=_description(holds="Mikroscan Image Structure"),
    device="Mikroscan",
    label_side=LabelSide.LEFT,
    plain=_APERIO_NUMBERS,
    mpp_keys=("MPP",),
)
HISTECH = KeyedTiff(
    name="3DHISTECH TIFF",
    sign=_description(holds="3dh_PixelSizeX"),
    device="3DHISTECH",
    label_side=LabelSide.RIGHT,
    plain=frozenset({"3dh_PixelSizeX", "3dh_PixelSizeY", "3dh_ObjectiveMagnification"}),
    mpp_keys=("3dh_PixelSizeX", "3dh_PixelSizeY"),
    power_key="3dh_ObjectiveMagnification",
)
TRESTLE = KeyedTiff(
    name="Trestle",
    sign=lambda tiff: _text(tiff.directories[0], SOFTWARE).startswith("MedScan"),
    device="MedScan",
    label_side=LabelSide.RIGHT,
    plain=frozenset({"Objective Power"}),
    power_key="Objective Power",
    spacing_of=_inverted_resolution,
    overlaps_of=_trestle_overlaps,
    notes_of=_files_beside,
)


def _with_overlap(level: Level, overlap: tuple[int, int]) -> Level:
    """Return a level whose tiles share columns and rows with their neighbours.

    Its tags count these once for each tile. Frames are those of a picture that is cut, the same on
    all levels.

    Raises
    ------
    UnsupportedSlideError
        If nothing of a tile is its own.
    """
    across, down = level.tiles.across, level.tiles.down
    if overlap[0] >= level.tile_width or overlap[1] >= level.tile_length:
        raise UnsupportedSlideError(f"the tiles of IFD {level.ifd} overlap as a whole")
    width = level.image_width - (across - 1) * overlap[0]
    length = level.image_length - (down - 1) * overlap[1]
    mosaic = Mosaic(
        offsets=level.tiles.offsets,
        byte_counts=level.tiles.byte_counts,
        across=across,
        tile_width=level.tile_width,
        tile_length=level.tile_length,
        overlap=overlap,
    )
    return replace(
        level,
        image_width=width,
        image_length=length,
        tile_width=CUT_FRAME,
        tile_length=CUT_FRAME,
        tiles=no_tiles(-(-width // CUT_FRAME), -(-length // CUT_FRAME)),
        picture=mosaic,
    )
