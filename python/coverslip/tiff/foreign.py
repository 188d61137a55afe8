"""Tells by its first bytes whether a file is a TIFF, and what else it is."""

from typing import BinaryIO

from coverslip.errors import SourceError, UnsupportedSlideError

_AS_TIFF = "export it as an SVS or a generic TIFF with JPEG or JPEG 2000 tiles"
_FOREIGN = (
    (0, b"\x89PNG", "a PNG picture", None),
    (0, b"\xff\xd8\xff", "a JPEG picture", "a MIRAX .mrxs is one too: export the slide as a TIFF"),
    (0, b"ZISRAWFILE", "Zeiss CZI", _AS_TIFF),
    (0, b"SQLite format 3", "a SQLite file, perhaps a Sakura slide", _AS_TIFF),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it and convert the slide inside"),
    (0, b"[GENERAL]", "a MIRAX (MRXS) or other text index", _AS_TIFF),
    (0, b"[Virtual Microscope", "Hamamatsu VMS", _AS_TIFF),
    (0, b"[Uncompressed Virtual Microscope", "Hamamatsu VMU", _AS_TIFF),
    (0, b"[NanoZoomer", "a Hamamatsu NDPIS index", _AS_TIFF),
    (0, b"<DataObject", "Philips iSyntax", _AS_TIFF),
    (0, b"<?xml", "an XML file", None),
    (128, b"DICM", "DICOM already", None),
)


def check_first_bytes(file: BinaryIO) -> None:
    """Raise for whatever is not a TIFF, with its name where it has one."""
    start = file.read(132)
    file.seek(0)
    if not start:
        raise SourceError("the file is empty")
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return
    start = start.removeprefix(b"\xef\xbb\xbf")
    if start.startswith(b"<?xml") and b"DPUfsImport" in start:
        raise UnsupportedSlideError("the file is Philips iSyntax, not a TIFF", hint=_AS_TIFF)
    for offset, magic, name, hint in _FOREIGN:
        if start[offset:].startswith(magic):
            raise UnsupportedSlideError(f"the file is {name}, not a TIFF", hint=hint)
    raise SourceError("the file is not a TIFF", hint="coverslip reads TIFF-based slides")
