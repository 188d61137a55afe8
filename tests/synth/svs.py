"""Aperio SVS, every variant and quirk an option."""

from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np

from tests.synth import identifiers as ids
from tests.synth import jpeg, places, raster, tiff
from tests.synth.slide import SynthSlide, build_levels, photometric, samples, stacked

_COMPRESSION = {"j2k_33005": 33005, "j2k_33003_444": 33003, "j2k_33003_422": 33003}
Mpp = Literal["dot", "comma", "absent", "header"]
Label = Literal["jpeg", "lzw"]
_MPP = 0.4990


def build_svs(
    folder: Path,
    seed: int | None = None,
    *,
    codec: str = "jpeg_rgb",
    lower_codec: str | None = None,
    bigtiff: bool = False,
    big_endian: bool = False,
    gt450: bool = False,
    missing: tuple[tuple[int, int], ...] = (),
    mpp: Mpp = "dot",
    icc: bool = True,
    label: Label = "jpeg",
    focal_planes: tuple[str, ...] = ("",),
    levels: int = 2,
    size: tuple[int, int] = (700, 520),
    tile: int = 128,
    style: dict[str, object] | None = None,
    overview: np.ndarray | None = None,
    thumbnail: np.ndarray | None = None,
) -> SynthSlide:
    """Write an SVS whose every place for text holds an invented identifier.

    ``focal_planes`` are the texts of ``OffsetZ`` from low to high, empty for none; levels below
    the base have ``lower_codec``, if that is given; a ``label`` of LZW has a predictor.
    """
    secret = ids.of(seed)
    own = levels if lower_codec is None else 1
    shape = {"size": size, "tile": tile, "levels": own, "factor": 4, "missing": missing}
    stored = raster.Storage(codec=codec, big_endian=big_endian) if codec in raster.CODECS else None
    pyramids = [
        raster.build_levels(stored, seed=7 + plane, **shape)
        if stored
        else build_levels(codec, secret, seed=7 + plane, style=style, **shape)
        for plane in range(len(focal_planes))
    ]
    if lower_codec is not None:
        plain = {"comments": False, "tables": "own"}
        whole = shape | {"levels": levels}
        other = build_levels(lower_codec, secret, seed=7, style=plain, **whole)
        pyramids = [[pyramid[0], *other[1:]] for pyramid in pyramids]
    directories = []
    profile = tiff.undefined(_profile(secret)) if icc else None
    by_level = (
        (number, level, offset)
        for number, planes in enumerate(zip(*pyramids, strict=True))
        for level, offset in zip(planes, focal_planes, strict=True)
    )
    for number, level, offset in by_level:
        text = _description(secret, level, mpp, gt450=gt450, number=number)
        text += f"|OffsetZ = {offset}" if offset else ""
        used = lower_codec if lower_codec is not None and number else codec
        tags = _tags(secret, text, level.width, level.length, used) | {
            259: tiff.short(_COMPRESSION.get(used, 7)),
            322: tiff.short(level.tile),
            323: tiff.short(level.tile),
            530: tiff.short(2, 2),
        }
        if stored is not None:
            tags |= raster.tags(stored)
        if level.jpeg_tables is not None:
            tags[347] = tiff.undefined(level.jpeg_tables)
        if profile is not None and number == 0:
            tags[34675] = profile
        directories.append(tiff.Directory(tags, pieces=level.pieces))
    for turn, directory in enumerate(directories[:2]):
        for name, tags in places.in_children(secret, turn).items():
            setattr(directory, name, tags)
    text = f"Aperio v1\n700x520 -> 150x112 - |User = {secret.word()}"
    directories.insert(1, _strips(secret, (150, 112), text, picture=thumbnail))
    directories += _associated(
        secret, gt450=gt450, overview=overview, label=label, big_endian=big_endian
    )
    for turn, directory in enumerate(directories):
        directory.tags |= places.in_directory(secret, turn)
    path = folder / f"{secret.word()}-{secret.number()}.svs"
    gap = secret.word().encode()
    tail = secret.word().encode("utf-16-le")
    tiff.write_tiff(path, directories, big_endian=big_endian, bigtiff=bigtiff, gap=gap, tail=tail)
    return SynthSlide(
        path=path,
        levels=stacked(pyramids),
        identifiers=tuple(secret.drawn),
        mpp_um=None if mpp == "absent" else _MPP,
        is_jpeg2000=codec in _COMPRESSION,
        is_decoded=stored is not None,
        is_ycc422_jpeg2000=codec == "j2k_33003_422",
    )


def _description(secret, level, mpp: Mpp, *, gt450: bool, number: int) -> str:
    if gt450 and number > 0:
        return ""
    maker = "Aperio Leica Biosystems GT450 v1.0.1" if gt450 else "Aperio Image Library v12.0.16"
    shape = f"{level.width}x{level.length} [0,0] ({level.tile}x{level.tile})"
    header = f"{maker} \r\n{shape} J;{secret.word()}"
    if mpp == "header":
        header += f" Scan resolution {_MPP} um"
    keys = {
        "AppMag": "20",
        "Filename": secret.word(),
        "Title": secret.name(),
        "User": secret.word(),
        "Date": secret.date(),
        "Time": secret.number(),
        "Barcode": secret.number(),
        "ImageID": secret.number(),
        "SlideID": secret.word(),
        "ScanScope ID": secret.word(),
        "Parmset": secret.word(),
        f"CustomField.{secret.word()}": secret.name(),
        secret.word(): secret.number(),
    }
    if mpp in ("dot", "comma"):
        keys["MPP"] = f"{_MPP:.4f}" if mpp == "dot" else f"{_MPP:.4f}".replace(".", ",")
    return header + "".join(f"|{key} = {value}" for key, value in keys.items())


def _tags(secret, text: str, width: int, length: int, codec: str) -> dict[int, tiff.Value]:
    count = samples(codec)
    return {
        254: tiff.long(0),
        256: tiff.long(width),
        257: tiff.long(length),
        258: tiff.short(*[8] * count),
        262: tiff.short(photometric(codec)),
        270: tiff.ascii_(text),
        269: tiff.ascii_(secret.word()),
        277: tiff.short(count),
        284: tiff.short(1),
        305: tiff.ascii_(f"scan v3 on {secret.word()}"),
        306: tiff.ascii_(secret.date()),
        315: tiff.ascii_(secret.name()),
        316: tiff.ascii_(secret.word()),
        700: tiff.byte(f"<x:xmpmeta>{secret.word()}</x:xmpmeta>".encode()),
        40093: tiff.byte(secret.word().encode("utf-16-le")),
        65001: tiff.undefined(secret.word().encode("utf-16-le")),
    }


def _profile(secret) -> bytes:
    """Return an sRGB profile with a name where a scanner puts its own."""
    profile = bytearray(imagecodecs.cms_profile("srgb"))
    profile[48:56] = secret.word(8).encode()  # signatures of the maker and of the model
    profile[80:84] = secret.word(4).encode()  # the creator's signature
    return bytes(profile)


def _strips(
    secret,
    size: tuple[int, int],
    text: str,
    subfile_type: int = 0,
    picture: np.ndarray | None = None,
) -> tiff.Directory:
    """Return a picture in JPEG strips of 16 rows, with shared tables, as Aperio's are."""
    if picture is None:
        width, length = size
        random = np.random.default_rng(3)
        picture = random.integers(0, 255, (length // 16 * 16, width, 3)).astype(np.uint8)
    length, width = picture.shape[:2]
    style = jpeg.Style(samples="rgb", before_tables=jpeg.comment(secret.word()))
    strips = [jpeg.encode(picture[row : row + 16], style) for row in range(0, length, 16)]
    tags = _tags(secret, text, width, length, "jpeg_rgb") | {
        254: tiff.long(subfile_type),
        259: tiff.short(7),
        278: tiff.short(16),
        347: tiff.undefined(strips[0].jpeg_tables),
    }
    return tiff.Directory(tags, pieces=[strip.data for strip in strips], tiled=False)


def _associated(
    secret, *, gt450: bool, overview: np.ndarray | None, label: Label, big_endian: bool
) -> list[tiff.Directory]:
    if gt450:
        return [
            _strips(secret, (112, 112), ""),
            _strips(secret, (320, 112), "", picture=overview),
        ]
    said = f"Aperio v1\nlabel 112x112|Barcode = {secret.number()}"
    macro = f"Aperio v1\nmacro 320x112|Barcode = {secret.number()}"
    first = (
        _strips(secret, (112, 112), said, 1)
        if label == "jpeg"
        else _lzw_label(secret, said, big_endian=big_endian)
    )
    return [first, _strips(secret, (320, 112), macro, 9, overview)]


def _lzw_label(secret, text: str, *, big_endian: bool) -> tiff.Directory:
    """Return a label in strips of LZW with a predictor, as older scanners write it."""
    stored = raster.Storage(codec="lzw", predictor=2, rows_per_strip=16, big_endian=big_endian)
    noise = np.random.default_rng(3).integers(0, 255, (112, 112, 3)).astype(np.uint8)
    tags = _tags(secret, text, 112, 112, "jpeg_rgb") | raster.tags(stored) | {254: tiff.long(1)}
    return tiff.Directory(tags, pieces=raster.pieces(stored, noise), tiled=False)
