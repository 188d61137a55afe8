"""Philips TIFF, as the export of iSyntax writes it."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.synth import identifiers as ids
from tests.synth import jpeg, tiff
from tests.synth.parts import level_directory, strip_directory
from tests.synth.slide import SynthLevel, SynthSlide, build_levels
from tests.synth.texture import tissue

_MPP = 0.25


def build_philips(
    folder: Path,
    seed: int | None = None,
    *,
    codec: str = "jpeg_ycbcr422",
    surplus: bool = False,
    in_xml: bool = True,
    directories: bool = True,
    spacings: bool = True,
    scans: int = 1,
    bigtiff: bool = False,
    big_endian: bool = False,
    levels: int = 3,
    missing: tuple[tuple[int, int], ...] = (),
    overview: np.ndarray | None = None,
    data: str | None = None,
) -> SynthSlide:
    """Write a slide whose levels are padded to whole tiles.

    ``surplus`` gives the first reduced level one column of tiles that is padding only; label and
    macro are pictures in the XML (``in_xml``), directories, or both; ``overview`` is the macro of
    the XML, and ``data`` stands there instead of its pictures.
    """
    secret = ids.of(seed)
    tile = 128
    # The base is padded itself: its true size is not known to anybody.
    built = build_levels(
        codec, secret, size=(5 * tile, 4 * tile), tile=tile, levels=levels, factor=2, seed=31,
        missing=missing,
    )  # fmt: skip
    chain = []
    for number, level in enumerate(built):
        across, down = -(-level.width // tile), -(-level.length // tile)
        stored = level
        if surplus and number == 1:
            stored = _with_column(level, across, down)
            across += 1
        padded = {
            256: tiff.long(across * tile),
            257: tiff.long(down * tile),
            305: tiff.ascii_("Philips DP v1.0"),
            306: tiff.ascii_(secret.date()),
        }
        chain.append(level_directory(stored, codec, padded, number=number))
    if directories:
        for word, size in (("Label", (120, 110)), ("Macro", (300, 110))):
            texts = {270: tiff.ascii_(f"{word} {secret.word()}")}
            chain.append(strip_directory(secret, size, texts))
    count = len(built) if spacings else 1
    chain[0].tags[270] = tiff.ascii_(
        _document(secret, count, scans, _pictures(overview, data) if in_xml else {})
    )
    path = folder / f"{secret.word()}-{secret.number()}.tiff"
    gap, tail = secret.word().encode(), secret.word().encode()
    tiff.write_tiff(path, chain, bigtiff=bigtiff, big_endian=big_endian, gap=gap, tail=tail)
    return SynthSlide(path=path, levels=built, identifiers=tuple(secret.drawn), mpp_um=_MPP)


def _with_column(level: SynthLevel, across: int, down: int) -> SynthLevel:
    pieces = []
    for row in range(down):
        pieces += level.pieces[row * across : (row + 1) * across]
        pieces.append(next(piece for piece in level.pieces if piece))
    return replace(level, pieces=pieces)


def _attribute(name: str, value: str) -> str:
    place = 'Group="0x301D" Element="0x1004" PMSVR="IString"'
    return f'<Attribute Name="{name}" {place}>{value}</Attribute>'


def _pictures(overview: np.ndarray | None, data: str | None) -> dict[str, str]:
    """Return what the XML calls its pictures, and these in Base64."""
    macro = tissue(300, 110, 9) if overview is None else overview
    shown = {"LABELIMAGE": tissue(130, 120, 8), "MACROIMAGE": macro}
    return {kind: data or _base64(picture) for kind, picture in shown.items()}


def _base64(picture: np.ndarray) -> str:
    look = jpeg.Style(samples="ycbcr420", ids=(1, 2, 3), tables="own", markers="jfif", quality=95)
    # In lines, as encoders of mail write it.
    return base64.encodebytes(jpeg.encode(picture, look).data).decode()


def _document(secret, levels: int, scans: int, pictures: dict[str, str]) -> str:
    pixels = "".join(
        '<DataObject ObjectType="PixelDataRepresentation">'
        + _attribute(
            "DICOM_PIXEL_SPACING",
            f"&quot;{_MPP * 2**n / 1000:.9f}&quot; &quot;{_MPP * 2**n / 1000:.9f}&quot;",
        )
        + _attribute("PIIM_PIXEL_DATA_REPRESENTATION_NUMBER", str(n))
        + "</DataObject>"
        for n in range(levels)
    )
    scan = (
        '<DataObject ObjectType="DPScannedImage">'
        + _attribute("PIM_DP_IMAGE_TYPE", "WSI")
        + _attribute(
            "DICOM_DERIVATION_DESCRIPTION", f"tiff-useBigTIFF=1 sourceFilename={secret.word()}"
        )
        + _attribute("DICOM_SAMPLES_PER_PIXEL", "3")
        + _attribute("PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE", f"<Array>{pixels}</Array>")
        + "</DataObject>"
    )
    others = "".join(
        '<DataObject ObjectType="DPScannedImage">'
        + _attribute("PIM_DP_IMAGE_TYPE", kind)
        + _attribute("PIM_DP_IMAGE_DATA", data)
        + "</DataObject>"
        for kind, data in pictures.items()
    )
    barcode = base64.b64encode(secret.number().encode()).decode()
    return (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        + _attribute("DICOM_ACQUISITION_DATETIME", secret.date())
        + _attribute("DICOM_MANUFACTURER", "PHILIPS")
        + _attribute("DICOM_MANUFACTURERS_MODEL_NAME", f"UFS Scanner {secret.word()}")
        + _attribute("DICOM_DEVICE_SERIAL_NUMBER", secret.word())
        + _attribute("PIM_DP_UFS_BARCODE", barcode)
        + _attribute("PIIM_DP_SCANNER_OPERATOR_ID", secret.name())
        + _attribute("PIIM_DP_SCANNER_RACK_NUMBER", secret.number())
        + _attribute(secret.word(), secret.word())
        + f"<!-- {secret.word()} -->"
        + _attribute("PIM_DP_SCANNED_IMAGES", f"<Array>{scan * scans}{others}</Array>")
        + f'<Other note="{secret.word()}">{secret.word()}</Other></DataObject>'
    )
