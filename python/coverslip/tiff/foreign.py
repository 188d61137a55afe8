"""Tells by its first bytes whether a file is a TIFF, and what else it is."""

from typing import BinaryIO

from coverslip.errors import SourceError, UnsupportedSlideError

_AS_TIFF = "export it as an SVS or a generic TIFF with JPEG or JPEG 2000 tiles"
_IN_VIEWER = "export it as a TIFF with JPEG tiles in the vendor's own viewer"
_MIRAX = "3DHISTECH MIRAX (MRXS), whose camera pictures overlap"
_ISYNTAX = "Philips iSyntax, whose wavelet codec no frame can have"
_EXPORT_ISYNTAX = "export it as a Philips TIFF from the image management system"
_START = 4096
"""How much of a file is looked at; the names of the tables of a SQLite file are in there."""
_FOREIGN = (
    (0, b"ZISRAWFILE", "Zeiss CZI, whose tiles overlap and lie on no grid", _AS_TIFF),
    (0, b"[GENERAL]", _MIRAX, _IN_VIEWER),
    (0, b"[Virtual Microscope", "Hamamatsu VMS, a grid of large JPEG files", _IN_VIEWER),
    (0, b"[Uncompressed Virtual", "Hamamatsu VMU, uncompressed pixels", _IN_VIEWER),
    (0, b"<DataObject", _ISYNTAX, _EXPORT_ISYNTAX),
    (0, b"SIS\0", "tiles of an Olympus VSI slide (ETS)", _AS_TIFF),
    (0, b"<ImageList", "an Aperio AFI index of several slides", "convert each SVS slide"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a compound file, Zeiss ZVI perhaps", _AS_TIFF),
    (0, b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 picture", None),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it and convert the slide inside"),
    (0, b"\x89PNG", "a PNG picture", None),
    (0, b"\xff\xd8\xff", "a JPEG picture", None),
    (0, b"BM", "a BMP picture", None),
    (0, b"<?xml", "an XML file", None),
    (128, b"DICM", "DICOM already", None),
)


_MARK = b"\xef\xbb\xbf"
"""Of a text in UTF-8."""
_INDEX = b"[NanoZoomer Digital Pathology Image Set]"
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_tiff(file: BinaryIO) -> bool:
    """Tell whether a file is a TIFF by its first bytes."""
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    return start in _MAGIC


def check_first_bytes(file: BinaryIO, suffix: str = "") -> None:
    """Raise for whatever is neither a TIFF nor an index of some, with its name where it has one.

    Parameters
    ----------
    file
        The slide, at its beginning.
    suffix
        End of its name: a MIRAX index has nothing else to be known by, it may be any picture.
    """
    start = file.read(_START)
    file.seek(0)
    if not start:
        raise SourceError("the file is empty")
    if start.startswith((*_MAGIC, _INDEX, _MARK + _INDEX)):
        return
    found = _foreign(start.removeprefix(_MARK), suffix)
    if found is None:
        raise SourceError("the file is not a TIFF", hint="coverslip reads TIFF-based slides")
    name, hint = found
    raise UnsupportedSlideError(f"the file is {name}, not a TIFF", hint=hint)


def _foreign(start: bytes, suffix: str) -> tuple[str, str | None] | None:
    """Return what a file is by its first bytes, and what the user can do about it."""
    if suffix.lower() == ".mrxs":
        return _MIRAX, _IN_VIEWER
    if start.startswith(b"<?xml") and b"DPUfsImport" in start:
        return _ISYNTAX, _EXPORT_ISYNTAX
    if start.startswith(b"<") and b"openmicroscopy.org" in start:
        return "the metadata of a set of OME-TIFF files", "convert any of the TIFF files"
    if start.startswith(b"SQLite format 3\0"):
        is_sakura = b"SVGigaPixelImage" in start
        return ("Sakura svslide, three grey JPEGs a tile" if is_sakura else "SQLite"), _AS_TIFF
    for offset, magic, name, hint in _FOREIGN:
        if start[offset:].startswith(magic):
            return name, hint
    return None
