"""Aperio SVS, GT450 included (Leica Biosystems)."""

import re
from collections.abc import Iterator

from coverslip.formats.likeness import NEW_SUBFILE_TYPE, has_shape_of, is_like, passed_over, size_of
from coverslip.formats.planes import stacks
from coverslip.formats.pyramid import private_ranges, raw_metadata, to_level, told_image
from coverslip.formats.spacings import microscope_spacing
from coverslip.limits import LIMITS
from coverslip.model import (
    AssociatedImage,
    ItemKind,
    LabelSide,
    Role,
    Slide,
    SourceItem,
    SourceText,
    Spacing,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import IMAGE_DESCRIPTION

_LABEL_TYPE, _MACRO_TYPE = 1, 9
"""Values of tag 254 NewSubfileType by which Aperio marks its pictures."""
_MACRO_ASPECT = 2.0
"""A macro shows the whole glass, about three times as wide as long; a label is near square."""
_LAST = 2
"""Label and macro are the last pictures in strips; GT450 marks them by nothing else."""

_KEYS: dict[str, ItemKind] = {
    "Filename": ItemKind.NAME,
    "CompressedFile": ItemKind.NAME,
    "Webslide Files": ItemKind.NAME,
    "Title": ItemKind.TEXT,
    "Date": ItemKind.DATE,
    "Time": ItemKind.DATE,
    "Time Zone": ItemKind.DATE,
    "User": ItemKind.PERSON,
    "Patient": ItemKind.PERSON,
    "Copyright": ItemKind.PERSON,
    "ImageID": ItemKind.IDENTIFIER,
    "DSR ID": ItemKind.IDENTIFIER,
    "Barcode": ItemKind.IDENTIFIER,
    "SlideID": ItemKind.IDENTIFIER,
    "Accession": ItemKind.IDENTIFIER,
    "Rack": ItemKind.IDENTIFIER,
    "Slide": ItemKind.IDENTIFIER,
    "ScanScope ID": ItemKind.DEVICE,
    "Scanner ID": ItemKind.DEVICE,
    "ScannerType": ItemKind.DEVICE,
    "SessionMode": ItemKind.DEVICE,
    "SessonMode": ItemKind.DEVICE,
    "Parmset": ItemKind.TEXT,
    "Scan Warning": ItemKind.TEXT,
    "ICC Profile": ItemKind.DEVICE,
    "LineCameraSkew": ItemKind.DEVICE,
    "LineAreaXOffset": ItemKind.DEVICE,
    "LineAreaYOffset": ItemKind.DEVICE,
    "StripeWidth": ItemKind.DEVICE,
    "Focus Offset": ItemKind.DEVICE,
    "OffsetX": ItemKind.DEVICE,
    "OffsetY": ItemKind.DEVICE,
    "OffsetZ": ItemKind.DEVICE,
    "Left": ItemKind.DEVICE,
    "Top": ItemKind.DEVICE,
    "Exposure Time": ItemKind.DEVICE,
    "Exposure Scale": ItemKind.DEVICE,
    "Gamma": ItemKind.DEVICE,
    "DisplayColor": ItemKind.DEVICE,
}
"""The keys that are Aperio's own words; any other key is itself text of the slide."""

_NUMBERS = {"AppMag", "MPP", "Originalwidth", "OriginalWidth", "Originalheight", "OriginalHeight"}
"""Keys whose values pass as numbers, so there is nothing to find in them."""


class AperioSvs:
    """An SVS file: base, thumbnail, lower levels, label, macro."""

    name = "Aperio SVS"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether the first directory is tiled and its description begins as Aperio's do."""
        first = tiff.directories[0] if tiff.directories else None
        return first is not None and first.is_tiled and _description(first).startswith("Aperio")

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide."""
        base = tiff.directories[0]
        pictures = [d for d in tiff.directories if d is base or min(size_of(d)) > 0]
        tiled = [d for d in pictures if d is base or _is_level(base, d)]
        tiled.sort(key=lambda d: -size_of(d)[0])
        levels = stacks((_height_um(directory), to_level(directory)) for directory in tiled)
        others = [d for d in pictures if d not in tiled]
        keys = _keys(_description(base))
        header = _description(base).split("|", 1)[0]
        images, notes = _classify(base, others)
        return Slide(
            format=self.name,
            levels=levels,
            associated_images=images,
            metadata=raw_metadata(
                tiff, tuple(_items(tiff)), (SourceText(header), _first_of(keys, "ScannerType"))
            ),
            spacing=_spacing(keys, header),
            objective_power=_decimal(keys.get("AppMag")),
            label_side=LabelSide.LEFT,
            private_ranges=private_ranges(tiff, levels),
            notes=notes,
        )


def _description(directory: Directory) -> str:
    """Return as much of the description as is taken apart."""
    return _divided(directory)[0]


def _rest(directory: Directory) -> str:
    """Return what follows the part that is taken apart; nearly always nothing."""
    return _divided(directory)[1]


def _divided(directory: Directory) -> tuple[str, str]:
    text = directory.text(IMAGE_DESCRIPTION)
    whole = "" if text is None else text.reveal()
    parts = whole[: LIMITS.description_characters].split("|", LIMITS.description_keys)
    taken = "|".join(parts[: LIMITS.description_keys])
    return taken, whole[len(taken) :]


def _pairs(description: str) -> Iterator[tuple[str, str]]:
    """Yield key and value of each part behind the first bar."""
    for part in description.split("|")[1:]:
        key, _, value = part.partition("=")
        yield key.strip(), value.strip()


def _keys(description: str) -> dict[str, str]:
    return dict(reversed(list(_pairs(description))))


def _first_of(keys: dict[str, str], key: str) -> SourceText:
    return SourceText(keys.get(key, ""))


def _is_level(base: Directory, directory: Directory) -> bool:
    """Tell whether a picture is the base reduced, and not a label or macro in tiles."""
    is_marked = _said(directory) is not None or (
        directory.integer(NEW_SUBFILE_TYPE, 0) == _MACRO_TYPE
    )
    has_size = size_of(directory) == size_of(base) or is_like(base, directory)
    return directory.is_tiled and not is_marked and has_size


def _height_um(directory: Directory) -> float:
    """Return how far from the first focal plane a picture was taken, 0 if it does not tell."""
    offset = _keys(_description(directory)).get("OffsetZ", "").strip()
    height = _decimal(offset.lstrip("+-"))
    return 0.0 if height is None else -height if offset.startswith("-") else height


def _decimal(text: str | None) -> float | None:
    """Return a positive number, with a decimal point or comma; ``None`` if it is none."""
    if text is None or not re.fullmatch(r"[0-9]{1,6}([.,][0-9]{1,12})?", text.strip()):
        return None
    value = float(text.strip().replace(",", "."))
    return value if value > 0 else None


def _spacing(keys: dict[str, str], header: str) -> Spacing | None:
    """Return the spacing of ``MPP``, else of the header line's scan resolution."""
    mpp_um = _decimal(keys.get("MPP"))
    if mpp_um is None:
        match = re.search(r"Scan resolution\s+([0-9.,]+)\s*um", header)
        mpp_um = _decimal(match[1]) if match else None
    return None if mpp_um is None else microscope_spacing(mpp_um / 1000, mpp_um / 1000)


def _items(tiff: Tiff) -> Iterator[SourceItem]:
    """Yield every key of every description, and the header line in front of them."""
    for directory in tiff.directories:
        description = _description(directory)
        if not description:
            continue
        place = f"{directory.place} ImageDescription"
        header, *_ = description.split("|", 1)
        yield SourceItem(place=place, key="header", kind=ItemKind.TEXT, text=SourceText(header))
        if rest := _rest(directory):
            yield SourceItem(place=place, key=None, kind=ItemKind.UNKNOWN, text=SourceText(rest))
        for key, value in _pairs(description):
            if key in _NUMBERS and (not value or _decimal(value) is not None):
                continue
            kind = _KEYS.get(key)
            known = kind is not None
            yield SourceItem(
                place=place,
                key=key if known else None,
                kind=kind or ItemKind.UNKNOWN,
                text=SourceText(value if known else f"{key}={value}"),
            )


def _classify(
    base: Directory, others: list[Directory]
) -> tuple[tuple[AssociatedImage, ...], tuple[str, ...]]:
    """Return the pictures that are no level, by role, and notes on what does not agree."""
    images, notes = [], []
    last = _last_roles(others)
    for directory in others:
        role, note = _told(base, directory, last.get(directory.number))
        images.append(told_image(directory, role))
        if note is not None:
            notes.append(f"{directory.place}: {note}")
    return tuple(images), tuple(notes)


def _last_roles(others: list[Directory]) -> dict[int, Role]:
    """Return what the last two pictures in strips show by their shape, as far as that tells.

    A wide one is the macro; one that is not is the label only beside a wide one.
    """
    last = [directory for directory in others if not directory.is_tiled][-_LAST:]
    roles = {d.number: Role.OVERVIEW if _is_wide(d) else Role.LABEL for d in last}
    is_pair = sorted(roles.values()) == [Role.LABEL, Role.OVERVIEW]
    return {n: role for n, role in roles.items() if is_pair or role is Role.OVERVIEW}


def _is_wide(directory: Directory) -> bool:
    width, length = size_of(directory)
    return width >= _MACRO_ASPECT * length


def _said(directory: Directory) -> Role | None:
    """Return what the second line of the description says."""
    lines = _description(directory).split("\n")
    word = lines[1].strip().split(" ")[0] if len(lines) > 1 else ""
    return {"label": Role.LABEL, "macro": Role.OVERVIEW}.get(word)


def _told(
    base: Directory, directory: Directory, by_place: Role | None
) -> tuple[Role | None, str | None]:
    """Return what marks, or else place and shape, tell that a picture shows, and a note on it."""
    said = _said(directory)
    marked = {_LABEL_TYPE: Role.LABEL, _MACRO_TYPE: Role.OVERVIEW}.get(
        directory.integer(NEW_SUBFILE_TYPE, 0)
    )
    if said is not None and marked is not None and said != marked:
        return None, "tag 254 and its description disagree on what it shows: maybe the label"
    if said is not None or marked is not None:
        return said or marked, None
    if directory.number == 1 and has_shape_of(base, directory):
        return Role.THUMBNAIL, None
    passed_over(base, [directory])
    if by_place is not None:
        what = "an overview" if by_place is Role.OVERVIEW else "the label"
        return by_place, f"taken for {what} by its place and shape"
    return None, "not recognised, so taken for a label"
