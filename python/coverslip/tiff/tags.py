"""TIFF tags by name, and which of them hold text."""

from coverslip.model import ItemKind, SourceText

SUB_IFDS, EXIF_IFD, GPS_IFD, INTEROP_IFD = 330, 34665, 34853, 40965
TILE_WIDTH, TILE_LENGTH = 322, 323
STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279
TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325
JPEG_OFFSET, JPEG_BYTE_COUNT = 513, 514
JPEG_TABLES, ICC_PROFILE, IMAGE_DESCRIPTION, SOFTWARE, XMP = 347, 34675, 270, 305, 700
IMAGE_DEPTH, NDPI_MARK = 32997, 65420
NDPI_STARTS = (65426, 65432)
"""Where restart intervals begin: the lower and the upper halves."""

_UTF_16_TAGS = range(40091, 40096)
"""Titles and names that Windows writes; the same range is named below."""

TEXT_TAGS = {
    269: ("DocumentName", ItemKind.NAME),
    270: ("ImageDescription", ItemKind.TEXT),
    271: ("Make", ItemKind.DEVICE),
    272: ("Model", ItemKind.DEVICE),
    285: ("PageName", ItemKind.TEXT),
    305: ("Software", ItemKind.DEVICE),
    306: ("DateTime", ItemKind.DATE),
    315: ("Artist", ItemKind.PERSON),
    316: ("HostComputer", ItemKind.PLACE),
    333: ("InkNames", ItemKind.TEXT),
    337: ("TargetPrinter", ItemKind.PLACE),
    700: ("XMP", ItemKind.TEXT),
    32781: ("ImageID", ItemKind.IDENTIFIER),
    33432: ("Copyright", ItemKind.PERSON),
    33723: ("IPTC", ItemKind.TEXT),
    34377: ("Photoshop", ItemKind.TEXT),
    36867: ("DateTimeOriginal", ItemKind.DATE),
    36868: ("DateTimeDigitized", ItemKind.DATE),
    37500: ("MakerNote", ItemKind.UNKNOWN),
    37510: ("UserComment", ItemKind.TEXT),
    37724: ("ImageSourceData", ItemKind.UNKNOWN),
    40091: ("XPTitle", ItemKind.TEXT),
    40092: ("XPComment", ItemKind.TEXT),
    40093: ("XPAuthor", ItemKind.PERSON),
    40094: ("XPKeywords", ItemKind.TEXT),
    40095: ("XPSubject", ItemKind.TEXT),
    42016: ("ImageUniqueID", ItemKind.IDENTIFIER),
    42032: ("CameraOwnerName", ItemKind.PERSON),
    42033: ("BodySerialNumber", ItemKind.DEVICE),
    42037: ("LensSerialNumber", ItemKind.DEVICE),
    42112: ("GDALMetadata", ItemKind.TEXT),
    50838: ("ImageJMetaDataByteCounts", ItemKind.TEXT),
    50839: ("ImageJMetaData", ItemKind.TEXT),
}
STRUCTURE_TAGS = {
    *(258, 290, 291, 301, 318, 319, 320, 321, SUB_IFDS, 334, 336, 338, 339, 340, 341, 342),
    *(JPEG_TABLES, ICC_PROFILE, 512, 513, 514, 519, 520, 521, 530, 531, 532),
    *(STRIP_OFFSETS, STRIP_BYTE_COUNTS, TILE_OFFSETS, TILE_BYTE_COUNTS),
}
"""Arrays of numbers, tables and profiles: not text, each handled where it is used."""


def decoded(tag: int, value: bytes) -> SourceText:
    """Return text in the encoding it has: bytes that are no UTF-8 are Latin-1, and none is lost."""
    if tag in _UTF_16_TAGS:
        return SourceText(value.decode("utf-16-le", errors="replace").rstrip("\0"))
    if value.startswith((b"\xff\xfe", b"\xfe\xff")):
        return SourceText(value.decode("utf-16", errors="replace").rstrip("\0"))
    value = value.rstrip(b"\0")
    try:
        return SourceText(value.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return SourceText(value.decode("latin-1"))


def split_at_end(text: SourceText) -> tuple[SourceText, SourceText]:
    """Return a text up to the zero that ends it, and what stands behind that."""
    before, _, behind = text.reveal().lstrip("\0").partition("\0")
    return SourceText(before), SourceText(behind.strip("\0"))
