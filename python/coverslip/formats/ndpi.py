"""Hamamatsu NDPI: every level is one JPEG, cut into intervals by restart markers, or JPEG XR."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from coverslip.errors import SourceError, UnsupportedSlideError
from coverslip.formats import ndpis
from coverslip.formats.likeness import has_shape_of, size_of
from coverslip.formats.planes import light_notes, stacks
from coverslip.formats.pyramid import (
    picture_level,
    private_ranges,
    raw_metadata,
    to_level,
    told_image,
)
from coverslip.limits import LIMITS
from coverslip.model import (
    AssociatedImage,
    ItemKind,
    LabelSide,
    Level,
    OpticalPath,
    Role,
    Slide,
    SourceItem,
    SourceText,
    Uint64Array,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import NDPI_MARK, NDPI_STARTS

_MAKE, _MODEL = 271, 272
_SOURCE_LENS, _FOCAL_PLANE = 65421, 65424
_STARTS, _STARTS_HIGH = NDPI_STARTS
_CAPTURE_MODE, _PROPERTIES = 65441, 65449
_CHANNEL_NAME, _WAVE_LENGTH = 65434, 65451
_DEEP, _BLACK_IS_ZERO = 6, 1
"""From this value of tag 65441 CaptureMode on, levels are grey of 16 bits; of tag 262."""
_MACRO = -1.0
"""Value of tag 65421 SourceLens for the picture of the whole glass; -2 is a map of it."""

_EACH = "convert each NDPI file by itself"

_TEXTS = {
    65427: ("Reference", ItemKind.IDENTIFIER),
    65428: ("AuthCode", ItemKind.DEVICE),
    _CHANNEL_NAME: ("ChannelName", ItemKind.TEXT),
    65442: ("SerialNumber", ItemKind.DEVICE),
    65448: ("Firmware", ItemKind.DEVICE),
    65468: ("Barcode", ItemKind.IDENTIFIER),
    65477: ("ScanProfile", ItemKind.TEXT),
    65480: ("BarcodeType", ItemKind.IDENTIFIER),
}
"""Private tags that hold text, by our names."""

_KEYS = {
    "Created": ItemKind.DATE,
    "Updated": ItemKind.DATE,
    "NDP.S/N": ItemKind.DEVICE,
    "Macro.S/N": ItemKind.DEVICE,
    "Product": ItemKind.DEVICE,
    "Firmware": ItemKind.DEVICE,
    "Objective.Lens.Magnificant": ItemKind.DEVICE,
    "Operator": ItemKind.PERSON,
    "User": ItemKind.PERSON,
    "Name": ItemKind.PERSON,
}
"""Keys of tag 65449 that are Hamamatsu's own words; any other line is itself text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """What one file has."""

    base: Directory
    levels: tuple[Level, ...]
    others: tuple[Directory, ...]
    """Pictures that are no level."""


class HamamatsuNdpi:
    """An NDPI file, or an index of several that are the channels of one slide.

    Each has levels from large to small, the macro with the label in it, a map.
    """

    name = "Hamamatsu NDPI"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the first directory has the mark of NDPI, or there is an index."""
        is_ndpi = bool(tiff.directories) and NDPI_MARK in tiff.directories[0]
        return is_ndpi or ndpis.is_index(tiff)

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide."""
        named = ndpis.join(tiff)
        scans = [
            _scan([d for d in tiff.directories if d.file == file])
            for file in sorted({directory.file for directory in tiff.directories})
        ]
        _check_alike(scans)
        first = scans[0]
        light_of = _channel if named else _optical_path
        paths = tuple(light_of(scan.base) for scan in scans)
        levels = tuple(
            replace(level, optical_path=number)
            for number, scan in enumerate(scans)
            for level in scan.levels
        )
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=tuple(_associated(d) for scan in scans for d in scan.others),
            metadata=raw_metadata(tiff, (*named, *_items(tiff)), (_device(first.base),)),
            spacing=first.levels[0].spacing,
            objective_power=_lens(first.base),
            label_side=LabelSide.LEFT,
            private_ranges=private_ranges(tiff, levels),
            optical_paths=paths,
            notes=light_notes(paths) if named else (),
        )


def _scan(directories: Sequence[Directory]) -> _Scan:
    """Return what the directories of a file are."""
    if NDPI_MARK not in directories[0]:
        raise SourceError("a file of the set is no NDPI")
    pictures = [d for d in directories if d.kind == "IFD" and min(size_of(d)) > 0]
    chosen = [d for d in pictures if (_lens(d) or 0) > 0]
    if not chosen:
        raise UnsupportedSlideError("the NDPI file has no picture of the specimen")
    chosen.sort(key=lambda d: -size_of(d)[0])
    base = chosen[0]
    chosen = [d for d in chosen if size_of(d) == size_of(base) or has_shape_of(base, d)]
    is_deep = directories[0].integer(_CAPTURE_MODE, 0) >= _DEEP
    return _Scan(
        base=base,
        levels=stacks((_height_um(d), _level(d, is_deep=is_deep)) for d in chosen),
        others=tuple(d for d in pictures if d not in chosen),
    )


def _check_alike(scans: Sequence[_Scan]) -> None:
    """Raise for files that show different areas or planes: their pixels would not lie together."""
    shapes = {
        tuple(
            (level.image_width, level.image_length, len(level.focal_planes), level.spacing)
            for level in scan.levels
        )
        for scan in scans
    }
    if len(shapes) > 1:
        raise UnsupportedSlideError(
            "the files of the set have levels of different sizes, planes or spacing", hint=_EACH
        )


def _channel(base: Directory) -> OpticalPath:
    """Return with what light a file of a set was taken, which is a channel of fluorescence."""
    path = _optical_path(base)
    name, nanometres = base.text(_CHANNEL_NAME), base.number_of(_WAVE_LENGTH)
    if name is None and nanometres is None:
        raise UnsupportedSlideError(
            "a file of the set is no channel of fluorescence (tags 65434 and 65451)", hint=_EACH
        )
    return path if path.is_fluorescence else OpticalPath(is_fluorescence=True, name=name)


def _level(directory: Directory, *, is_deep: bool) -> Level:
    """Return a level: one JPEG, or tiles of JPEG XR, whose tags say 3x8 bits in either case."""
    if not directory.is_tiled:
        return picture_level(directory, _starts(directory))
    level = to_level(directory)
    if level.raster is None or not is_deep:
        return level
    return replace(
        level, samples_per_pixel=1, bits_per_sample=16, photometric_interpretation=_BLACK_IS_ZERO
    )


def _optical_path(base: Directory) -> OpticalPath:
    """Return with what light it was taken: a fluorescence channel has a name and a wavelength."""
    nanometres = base.number_of(_WAVE_LENGTH)
    name = base.text(_CHANNEL_NAME)
    if name is None or nanometres is None or not 0 < nanometres < math.inf:
        return OpticalPath()
    return OpticalPath(is_fluorescence=True, wave_length_nm=nanometres, name=name)


def _lens(directory: Directory) -> float | None:
    return directory.number_of(_SOURCE_LENS)


def _height_um(directory: Directory) -> float:
    """Return how far from the main focal plane a picture was taken; the tag is in nanometres."""
    height_nm = directory.number_of(_FOCAL_PLANE) or 0.0
    return height_nm / 1000 if math.isfinite(height_nm) else 0.0


def _starts(directory: Directory) -> Uint64Array | None:
    """Return where the restart intervals begin, from the start of the JPEG."""
    low, high = directory.array(_STARTS), directory.array(_STARTS_HIGH)
    if low is None or high is None or len(low) != len(high):
        return low
    starts: Uint64Array = low + (high << 32)
    return starts


def _associated(directory: Directory) -> AssociatedImage:
    return told_image(directory, Role.OVERVIEW if _lens(directory) == _MACRO else None)


def _device(base: Directory) -> SourceText:
    texts = (base.text(tag) for tag in (_MAKE, _MODEL))
    return SourceText(" ".join(text.reveal() for text in texts if text is not None))


def _items(tiff: Tiff) -> Iterator[SourceItem]:
    """Yield the private tags by name, and the property map line by line."""
    for directory in tiff.directories:
        for tag, (name, kind) in _TEXTS.items():
            text = directory.text(tag)
            if text is not None:
                place = f"{directory.place} tag {tag}"
                yield SourceItem(place=place, key=name, kind=kind, text=text)
        properties = directory.text(_PROPERTIES)
        if properties is not None:
            place = f"{directory.place} tag {_PROPERTIES}"
            yield from _properties(place, properties.reveal())


def _properties(place: str, text: str) -> Iterator[SourceItem]:
    lines = re.split(r"[\r\n]+", text, maxsplit=LIMITS.description_keys)
    for line in filter(None, lines):
        key, _, value = line.partition("=")
        kind = _KEYS.get(key.strip())
        yield SourceItem(
            place=place,
            key=key.strip() if kind is not None else None,
            kind=kind or ItemKind.UNKNOWN,
            text=SourceText(value if kind is not None else line),
        )
