"""OME-TIFF, as Bio-Formats and QuPath write it."""

import base64
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tests.synth import identifiers as ids
from tests.synth import ome_set, raster, tiff
from tests.synth.parts import level_directory, picture_directory
from tests.synth.slide import J2K_KINDS, SynthSlide, build_levels, samples, stacked

Layout = Literal["subifds", "series"]
_MPP = 0.25
_PICTURES = {
    "label": ("{} label image", (90, 90)),
    "macro": ("{}.svs [macro] #2", (200, 70)),
    "thumbnail": ("{} - Thumbnail", (153, 113)),
    "unnamed": ("{}", (120, 110)),
}
_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


@dataclass(frozen=True)
class Image:
    """What an ``Image`` of the XML is to be about."""

    name: str
    planes: list[tiff.Directory]


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
    focal_planes: int = 1,
    grey_channels: int = 1,
    bits: int = 8,
    predictor: int = 1,
    colours_apart: bool = False,
    planar_jpeg: bool = False,
    names: tuple[str, ...] = (),
    more_tags: dict[int, tiff.Value] | None = None,
    style: dict[str, object] | None = None,
    files: ome_set.Apart | None = None,
    metadata: ome_set.Metadata = "each",
) -> SynthSlide:
    """Write a pyramid with label, macro and thumbnail.

    ``pixels`` adds attributes to the slide's Pixels, ``channels`` replaces its channels,
    ``per_mm`` of ``unit`` are a millimetre, ``tag_262`` may lie,
    ``twice`` calls the base a label as well. ``focal_planes`` are 1.5 micrometres apart; each
    of several ``grey_channels`` but the last says its wavelength, and ``names`` are what the
    first are called. With ``colours_apart`` each colour of the one channel has a directory,
    with ``planar_jpeg`` tiles of its own.
    With ``files`` planes lie in several files, and ``metadata`` in each, the first, or beside them.
    """
    secret = ids.of(seed)
    stored = None
    if codec in raster.CODECS:
        stored = raster.Storage(
            codec=codec,
            big_endian=big_endian,
            grey=not colours_apart,
            planar=colours_apart,
            bits=bits,
            predictor=predictor,
            is_emitted=grey_channels > 1,
        )
    shape = {"size": size, "tile": tile, "levels": levels, "factor": factor, "missing": missing}
    pyramids = [
        raster.build_levels(stored, seed=13 + plane, **shape)
        if stored
        else build_levels(
            codec,
            secret,
            seed=13 + plane,
            style=style,
            blank=255 * (grey_channels == 1),
            planar=colours_apart or planar_jpeg,
            **shape,
        )
        for plane in range(focal_planes * grey_channels)
    ]
    more = dict(more_tags or {})
    if compression is not None:
        more[259] = tiff.short(compression)
    if tag_262 is not None:
        more[262] = tiff.short(tag_262)
    if planar_jpeg:
        more[284] = tiff.short(2)
    more |= raster.tags(stored) if stored else {}
    by_level = [
        [
            directory
            for level in planes
            for directory in _directories(
                level_directory(level, codec, more | _common(secret, tag_296), number=number),
                more_tags or {},
                is_apart=colours_apart,
            )
        ]
        for number, planes in enumerate(zip(*pyramids, strict=True))
    ]
    base = Image(secret.word(), by_level[0])
    lower, images = [], [base]
    if layout == "subifds":
        for directory, *children in zip(*by_level, strict=True):
            directory.children = children
    else:
        lower = [Image(secret.word(), planes) for planes in by_level[1:]]
        images += lower
    other = [_PICTURES[name] for name in pictures]
    shown = [
        Image(
            name.format(secret.word()), [picture_directory(secret, size, _common(secret, tag_296))]
        )
        for name, size in other
    ]
    images = shown + images if pictures_first else images + shown
    directories = [directory for image in images for directory in image.planes]
    step = None if unit is None else (_MPP / 1000 * per_mm, unit)
    members = ome_set.members(secret, files, grey_channels, focal_planes)
    file, uuid = members[0].name, members[0].uuid
    stack = {"SizeZ": focal_planes, "PhysicalSizeZ": 1.5, "SizeC": grey_channels}
    many = focal_planes * grey_channels > 1 or colours_apart
    if many and grey_channels == 1:
        stack["SizeC"] = 3 if colours_apart else samples(codec)
    if stored:
        stack["Type"] = f"uint{bits}"
    if grey_channels > 1:
        channels = _channels(secret, grey_channels, names)
    texts, number = [], 0
    for image in images:
        is_slide = image is base or (many and image in lower)
        texts.append(
            _image(
                secret,
                number if say_ifd else None,
                image.name,
                image.planes[0],
                codec,
                (file, uuid),
                step=step if image is base else None,
                pixels=((stack if many or stored else {}) | (pixels or {})) if is_slide else {},
                channels=channels if is_slide else None,
                data=None if files is None else ome_set.place(members, image.planes, grey_channels),
                count=len(image.planes),
            )
        )
        number += len(image.planes)
    if other_file:
        other = (f"{secret.word()}.tif", f"urn:uuid:{secret.number()}")
        texts.append(_image(secret, 0, "x", base.planes[0], codec, other))
    if twice:
        texts.append(_image(secret, 0, "label", base.planes[0], codec, (file, uuid)))
    if files is None:
        members[0].directories = directories
    written = ome_set.write(
        secret,
        members,
        [folder / f"{secret.word()}-{secret.number()}.ome.tif"]
        if files is None
        else [folder / member.name for member in members],
        lambda uuid: _document(secret, uuid, "".join(texts)),
        metadata,
        big_endian=big_endian,
    )
    return SynthSlide(
        path=written[0],
        others=tuple(written[1:]),
        levels=[
            replace(level, optical_path=channel)
            for channel in range(grey_channels)
            for level in stacked(pyramids[channel::grey_channels])
        ],
        identifiers=tuple(secret.drawn),
        mpp_um=None if unit is None else _MPP,
        is_jpeg2000=codec in J2K_KINDS,
        is_decoded=stored is not None,
    )


def _directories(directory, more: dict[int, tiff.Value], *, is_apart) -> list[tiff.Directory]:
    """Return a directory, or one for each third of its pieces: those of one colour."""
    if not is_apart:
        return [directory]
    grey = {258: tiff.short(8), 262: tiff.short(1), 277: tiff.short(1), 284: tiff.short(1)}
    count = len(directory.pieces) // 3
    return [
        tiff.Directory(
            directory.tags | grey | more, pieces=directory.pieces[at * count : (at + 1) * count]
        )
        for at in range(3)
    ]


def _channels(secret, count: int, names: tuple[str, ...]) -> str:
    """Return channels of fluorescence: all names in them are text."""
    waves = [f'ExcitationWavelength="{400 + 50 * n}"' for n in range(count - 1)]
    called = (*names, *(secret.word() for _ in range(count - len(names))))
    return "".join(
        f'<Channel ID="{secret.word()}" Name="{name}" Fluor="{secret.word()}"'
        f' SamplesPerPixel="1" {wave}/>'
        for name, wave in zip(called, (*waves, ""), strict=True)
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
    secret,
    number,
    name,
    directory,
    codec,
    reference,
    *,
    step=None,
    pixels=(),
    channels=None,
    data=None,
    count=1,
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
        "SizeC": directory.tags[277].items[0],
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
        channels = f'<Channel ID="{secret.word()}" SamplesPerPixel="{said["SizeC"]}"/>'
    ifd = "" if number is None else f' IFD="{number}" FirstC="0" FirstZ="0" FirstT="0"'
    if data is None:
        data = ome_set.tiff_data(f'PlaneCount="{count}"{ifd}', file, uuid)
    return (
        f'<Image ID="Image:{secret.word()}" Name="{name}">'
        f"<AcquisitionDate>{secret.date()}</AcquisitionDate>"
        f"<Description>{secret.name()}</Description>"
        f'<ExperimenterRef ID="{secret.word()}"/>'
        f"<Pixels {attributes}>{channels}{data}"
        f'<Plane TheZ="0" TheC="0" TheT="0" {secret.word()}="{secret.word()}"/>'
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
