"""Identifiers in every tag of a TIFF that may hold text, each in more than one encoding."""

from collections.abc import Callable
from pathlib import Path

from tests.synth import tiff
from tests.synth.identifiers import Identifiers

TAGS = (285, 333, 337, 32781, 33432, 33723, 34377, 37724, 42112, 50838, 50839)
"""PageName, InkNames, TargetPrinter, ImageID, Copyright, IPTC, Photoshop, ImageSourceData, GDAL
and ImageJ; what else there is, builders of formats write by themselves."""
XP_TAGS = (40091, 40092, 40094, 40095)
"""Title, Comment, Keywords and Subject, in UTF-16 always."""
EXIF_TAGS = (37500, 42016, 42032, 42033, 42037)
"""MakerNote, ImageUniqueID, CameraOwnerName, BodySerialNumber, LensSerialNumber."""
GPS_TAGS = (18, 27, 28)
"""GPSMapDatum, GPSProcessingMethod, GPSAreaInformation."""
INTEROP_TAGS = (1, 4096)
"""InteroperabilityIndex and RelatedImageFileFormat."""

Encode = Callable[[str], tiff.Value]


def _in(encoding: str) -> Encode:
    return lambda text: tiff.undefined(text.encode(encoding))


ENCODINGS: tuple[Encode, ...] = (
    tiff.ascii_,
    _in("utf-16-le"),
    _in("utf-16-be"),
    _in("utf-8-sig"),
    _in("utf-32-le"),
    lambda text: tiff.undefined(b"\xfe\xff" + text.encode("utf-16-be")),
    lambda text: tiff.undefined(b"\0\1\2" + text.encode() + b"\0"),
    lambda text: tiff.short(*text.encode()),
)
"""One after the other, from directory to directory."""


def in_tags(secret: Identifiers, tags: tuple[int, ...], turn: int) -> dict[int, tiff.Value]:
    """Return a word for each tag, the encodings beginning at one that the turn says."""
    return {
        tag: ENCODINGS[(turn + number) % len(ENCODINGS)](secret.word())
        for number, tag in enumerate(tags)
    }


def in_directory(secret: Identifiers, turn: int) -> dict[int, tiff.Value]:
    """Return what every directory holds besides what its format knows."""
    wide = {tag: tiff.byte(secret.word().encode("utf-16-le")) for tag in XP_TAGS}
    return in_tags(secret, TAGS, turn) | wide


def in_children(secret: Identifiers, turn: int) -> dict[str, dict[int, tiff.Value]]:
    """Return the directories of Exif, GPS and interoperability."""
    comment = b"UNICODE\0" + secret.word().encode("utf-16-le")
    return {
        "exif": in_tags(secret, EXIF_TAGS, turn)
        | {
            36867: tiff.ascii_(secret.date()),
            36868: tiff.ascii_(secret.date()),
            37510: tiff.undefined(comment),
        },
        "gps": in_tags(secret, GPS_TAGS, turn) | {29: tiff.ascii_(secret.date())},
        "interop": in_tags(secret, INTEROP_TAGS, turn),
    }


def beside(secret: Identifiers, path: Path) -> None:
    """Write what scanners leave beside a slide; nothing of it may be read."""
    path.with_suffix(".xml").write_text(f"<slide><case>{secret.word()}</case></slide>")
    path.with_name(f"{path.name}.txt").write_text(secret.word())
