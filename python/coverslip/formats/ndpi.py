"""Hamamatsu NDPI: every level is one JPEG, cut into intervals by restart markers, or JPEG XR."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace

from coverslip.errors import UnsupportedSlideError
from coverslip.formats.likeness import has_shape_of, size_of
from coverslip.formats.planes import stacks
from coverslip.formats.pyramid import (
    associated_image,
    picture_level,
    private_ranges,
    raw_metadata,
    to_level,
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
from coverslip.tiff.tags import NDPI_MARK

_MAKE, _MODEL = 271, 272
_SOURCE_LENS, _FOCAL_PLANE = 65421, 65424
_STARTS, _STARTS_HIGH = 65426, 65432
_CAPTURE_MODE, _PROPERTIES = 65441, 65449
_CHANNEL_NAME, _WAVE_LENGTH = 65434, 65451
_DEEP, _BLACK_IS_ZERO = 6, 1
"""From this value of tag 65441 CaptureMode on, levels are grey of 16 bits; of tag 262."""
_MACRO = -1.0
"""Value of tag 65421 SourceLens for the picture of the whole glass; -2 is a map of it."""

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


class HamamatsuNdpi:
    """An NDPI file: levels from large to small, the macro with the label in it, a map."""

    name = "Hamamatsu NDPI"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the first directory has the mark of NDPI."""
        return bool(tiff.directories) and NDPI_MARK in tiff.directories[0]

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide."""
        pictures = [d for d in tiff.directories if d.kind == "IFD" and min(size_of(d)) > 0]
        chosen = [d for d in pictures if (_lens(d) or 0) > 0]
        if not chosen:
            raise UnsupportedSlideError("the NDPI file has no picture of the specimen")
        chosen.sort(key=lambda d: -size_of(d)[0])
        base = chosen[0]
        chosen = [d for d in chosen if size_of(d) == size_of(base) or has_shape_of(base, d)]
        is_deep = tiff.directories[0].integer(_CAPTURE_MODE, 0) >= _DEEP
        levels = stacks((_height_um(d), _level(d, is_deep=is_deep)) for d in chosen)
        others = [d for d in pictures if d not in chosen]
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=tuple(_associated(directory) for directory in others),
            metadata=raw_metadata(tiff, tuple(_items(tiff)), (_device(base),)),
            spacing=levels[0].spacing,
            objective_power=_lens(base),
            label_side=LabelSide.LEFT,
            private_ranges=private_ranges(tiff, levels),
            optical_paths=(_optical_path(base),),
        )


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
    role = Role.OVERVIEW if _lens(directory) == _MACRO else Role.LABEL
    return associated_image(directory, role)


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
