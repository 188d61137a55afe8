"""OME-TIFF, as Bio-Formats and QuPath write it."""

import base64
from pathlib import Path
from typing import Literal

from tests.synth import identifiers as ids
from tests.synth import tiff
from tests.synth.parts import level_directory, picture_directory
from tests.synth.slide import J2K_KINDS, SynthSlide, build_levels, samples

Layout = Literal["subifds", "series"]
_MPP = 0.25
_PICTURES = {
    "label": ("{} label image", (90, 90)),
    "macro": ("{}.svs [macro] #2", (200, 70)),
    "thumbnail": ("{} - Thumbnail", (153, 113)),
    "unnamed": ("{}", (120, 110)),
}
_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def build_ome(
    folder: Path,
    seed: int | None = None,
    *,
    codec: str = "jpeg_ycbcr420",
    layout: Layout = "subifds",
    compression: int | None = None,
    tag_262: int | None = None,
    tag_296: int = 3,
    unit: str | None = "\u00b5m",
    per_mm: float = 1000,
    pictures: tuple[str, ...] = ("label", "macro", "thumbnail"),
    pictures_first: bool = False,
    pixels: dict[str, object] | None = None,
    channels: str | None = None,
    other_file: bool = False,
    twice: bool = False,
    say_ifd: bool = True,
    levels: int = 3,
    factor: int = 2,
    size: tuple[int, int] = (610, 450),
    tile: int = 128,
    big_endian: bool = True,
    missing: tuple[tuple[int, int], ...] = (),
    more_tags: dict[int, tiff.Value] | None = None,
    style: dict[str, object] | None = None,
) -> SynthSlide:
    """Write a pyramid with label, macro and thumbnail.

    ``pixels`` adds attributes to the slide's Pixels, ``channels`` replaces its channels,
    ``per_mm`` of ``unit`` are a millimetre, ``tag_262`` may lie,
    ``twice`` calls the base a label as well.
    """
    secret = ids.of(seed)
    built = build_levels(
        codec,
        secret,
        size=size,
        tile=tile,
        levels=levels,
        factor=factor,
        seed=13,
        missing=missing,
        style=style,
    )
    more = dict(more_tags or {})
    if compression is not None:
        more[259] = tiff.short(compression)
    if tag_262 is not None:
        more[262] = tiff.short(tag_262)
    base, *lower = [
        level_directory(level, codec, more | _common(secret, tag_296), number=number)
        for number, level in enumerate(built)
    ]
    names = [secret.word()]
    directories = [base]
    if layout == "subifds":
        base.children = lower
    else:
        directories += lower
        names += [secret.word() for _ in lower]
    other = [_PICTURES[name] for name in pictures]
    shown = [picture_directory(secret, size, _common(secret, tag_296)) for _, size in other]
    shown_names = [name.format(secret.word()) for name, _ in other]
    if pictures_first:
        directories, names = shown + directories, shown_names + names
    else:
        directories, names = directories + shown, names + shown_names
    step = None if unit is None else (_MPP / 1000 * per_mm, unit)
    file, uuid = f"{secret.word()}.tif", f"urn:uuid:{secret.number()}-{secret.number()}"
    images = [
        _image(
            secret,
            number if say_ifd else None,
            name,
            directory,
            codec,
            (file, uuid),
            step=step if directory is base else None,
            pixels=(pixels or {}) if directory is base else {},
            channels=channels if directory is base else None,
        )
        for number, (name, directory) in enumerate(zip(names, directories, strict=True))
    ]
    if other_file:
        other = (f"{secret.word()}.tif", f"urn:uuid:{secret.number()}")
        images.append(_image(secret, 0, "x", base, codec, other))
    if twice:
        images.append(_image(secret, 0, "label", base, codec, (file, uuid)))
    text = _document(secret, uuid, "".join(images))
    directories[0].tags[270] = tiff.ascii_(text)
    path = folder / f"{secret.word()}-{secret.number()}.ome.tif"
    tiff.write_tiff(
        path,
        directories,
        big_endian=big_endian,
        gap=secret.word().encode(),
        tail=secret.word().encode(),
    )
    return SynthSlide(
        path=path,
        levels=built,
        identifiers=tuple(secret.drawn),
        mpp_um=None if unit is None else _MPP,
        is_jpeg2000=codec in J2K_KINDS,
    )


def _common(secret, tag_296: int) -> dict[int, tiff.Value]:
    return {
        282: tiff.rational(40000, 1),
        283: tiff.rational(40000, 1),
        296: tiff.short(tag_296),
        305: tiff.ascii_(f"OME writer on {secret.word()}"),
        306: tiff.ascii_(secret.date()),
    }


def _image(
    secret, number, name, directory, codec, reference, *, step=None, pixels=(), channels=None
) -> str:
    file, uuid = reference
    width, length = directory.tags[256].items[0], directory.tags[257].items[0]
    said = {
        "ID": f"Pixels:{secret.number()}",
        "DimensionOrder": "XYCZT",
        "BigEndian": "true",
        "Interleaved": "true",
        "Type": "uint8",
        "SizeX": width,
        "SizeY": length,
        "SizeZ": 1,
        "SizeC": 1 if "grey" in codec else 3,
        "SizeT": 1,
    }
    if step is not None:
        length_of_pixel, unit = step
        said |= {"PhysicalSizeX": length_of_pixel, "PhysicalSizeY": length_of_pixel}
        if unit != "\u00b5m":
            said |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    said |= dict(pixels)
    attributes = " ".join(f'{key}="{value}"' for key, value in said.items())
    if channels is None:
        channels = f'<Channel ID="{secret.word()}" SamplesPerPixel="{samples(codec)}"/>'
    ifd = "" if number is None else f' IFD="{number}" FirstC="0" FirstZ="0" FirstT="0"'
    return (
        f'<Image ID="Image:{secret.word()}" Name="{name}">'
        f"<AcquisitionDate>{secret.date()}</AcquisitionDate>"
        f"<Description>{secret.name()}</Description>"
        f'<ExperimenterRef ID="{secret.word()}"/>'
        f"<Pixels {attributes}>{channels}"
        f'<TiffData PlaneCount="1"{ifd}><UUID FileName="{file}">{uuid}</UUID>'
        f'</TiffData><Plane TheZ="0" TheC="0" TheT="0" {secret.word()}="{secret.word()}"/>'
        "</Pixels></Image>"
    )


def _document(secret, uuid: str, images: str) -> str:
    original = "".join(
        f"<OriginalMetadata><Key>{key}</Key><Value>{value}</Value></OriginalMetadata>"
        for key, value in {"Barcode": secret.number(), secret.word(): secret.name()}.items()
    )
    hidden = base64.b64encode(secret.word().encode()).decode()
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><!-- {secret.word()} -->'
        f'<OME xmlns="{_NAMESPACE}" Creator="{secret.word()}" UUID="{uuid}">'
        f'<Project ID="{secret.word()}" Name="{secret.word()}"/>'
        f'<Dataset ID="{secret.word()}" Name="{secret.word()}"/>'
        f'<Folder ID="{secret.word()}" Name="{secret.word()}"/>'
        f'<Plate ID="{secret.word()}" Name="{secret.word()}"/>'
        f'<Experimenter ID="{secret.word()}" FirstName="{secret.word()}"'
        f' LastName="{secret.word()}" Email="{secret.word()}@{secret.word()}.example"'
        f' Institution="{secret.word()}" UserName="{secret.word()}"/>'
        f'<Instrument ID="{secret.word()}"><Microscope Manufacturer="Leica"'
        f' Model="SCN400" SerialNumber="{secret.number()}" LotNumber="{secret.number()}"/>'
        f'<Objective ID="{secret.word()}" NominalMagnification="40.0"'
        f' SerialNumber="{secret.number()}"/></Instrument>'
        f"{images}"
        "<StructuredAnnotations>"
        f'<XMLAnnotation ID="{secret.word()}" Namespace="{secret.word()}"><Value>{original}</Value>'
        f"</XMLAnnotation><CommentAnnotation ID='{secret.word()}'><Value>{secret.name()}</Value>"
        f"</CommentAnnotation><TagAnnotation ID='{secret.word()}'><Value>{secret.word()}</Value>"
        f"</TagAnnotation><MapAnnotation ID='{secret.word()}'><Value><M K='{secret.word()}'>"
        f"{secret.word()}</M></Value></MapAnnotation>"
        f"<FileAnnotation ID='{secret.word()}'><BinaryFile FileName='{secret.word()}'>"
        f"<BinData Length='8'>{hidden}</BinData></BinaryFile></FileAnnotation>"
        "</StructuredAnnotations>"
        f"<ROI ID='{secret.word()}'><Union><Label ID='{secret.word()}' Text='{secret.name()}'/>"
        f"</Union></ROI><{secret.word()}/><!-- {secret.word()} --></OME>"
    )
