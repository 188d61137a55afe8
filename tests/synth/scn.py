"""Leica SCN, as the SCN400 writes it."""

import base64
from dataclasses import dataclass, replace
from pathlib import Path

from tests.synth import identifiers as ids
from tests.synth import tiff
from tests.synth.parts import level_directory, picture_directory
from tests.synth.slide import J2K_KINDS, SynthLevel, SynthSlide, build_levels, stacked

_GLASS_NM = (26_000_000, 76_000_000)
_NAMESPACES = {
    "2010/10/01": "http://www.leica-microsystems.com/scn/2010/10/01",
    "2010/03/10": "http://www.leica-microsystems.com/scn/2010/03/10",
}


@dataclass(frozen=True)
class Roi:
    """A region to be scanned: where it lies on the glass, and how."""

    offset_nm: tuple[int, int] = (4_000_000, 9_000_000)
    size: tuple[int, int] = (620, 470)
    mpp_um: float = 0.5
    objective: str = "20"
    light: str | None = "brightfield"
    dimension: str = ""
    """More attributes of every dimension."""
    focal_planes: int = 1
    channels: int = 1
    spacing_z_nm: int = 0


TWO = (Roi(), Roi(offset_nm=(11_030_000, 31_260_000), size=(410, 530)))
FINER = (Roi(), replace(TWO[1], mpp_um=0.25, objective="40"))


def build_scn(
    folder: Path,
    seed: int | None = None,
    *,
    rois: tuple[Roi, ...] = (Roi(),),
    codec: str = "jpeg_ycbcr420",
    namespace: str = "2010/10/01",
    macro: bool = True,
    supplemental: bool = False,
    orphan: bool = False,
    big_endian: bool = False,
    levels: int = 3,
    tile: int = 128,
    missing: tuple[tuple[int, int], ...] = (),
    style: dict[str, object] | None = None,
) -> SynthSlide:
    """Write a slide whose directories interleave: last levels first, the macro among them."""
    secret = ids.of(seed)
    built: list[SynthLevel] = []
    chain: list[tiff.Directory] = []
    dimensions: list[list[tuple[int, SynthLevel, tuple[int, int]]]] = []
    for number, roi in enumerate(rois):
        pyramids = [
            build_levels(
                codec,
                secret,
                size=roi.size,
                tile=tile,
                levels=levels,
                factor=2,
                seed=20 + number + plane,
                missing=missing if number == 0 else (),
                style=style,
                blank=0 if roi.light == "fluorescence" else 255,
            )
            for plane in range(roi.focal_planes * roi.channels)
        ]
        built += [
            replace(level, region=number, optical_path=channel)
            for channel in range(roi.channels)
            for level in stacked(pyramids[channel :: roi.channels])
        ]
        dimensions.append([])
        for plane, pyramid in enumerate(pyramids):
            where = divmod(plane, roi.channels)
            for level in reversed(pyramid):
                dimensions[-1].insert(0, (len(chain) + bool(macro), level, where))
                more = _common(secret, roi.mpp_um * roi.size[0] / level.width)
                chain.append(level_directory(level, codec, more))
    if macro:
        chain.insert(0, picture_directory(secret, (260, 760), _common(secret, 100)))
    if supplemental:
        chain.append(picture_directory(secret, (120, 120), _common(secret, 100)))
    images = [_image(secret, roi, found) for roi, found in zip(rois, dimensions, strict=True)]
    if macro:
        images.insert(len(images) // 2, _macro(secret))
    if supplemental:
        images.append(f'<supplementalImage type="label" ifd="{len(chain) - 1}"/>')
    if orphan:
        chain.append(picture_directory(secret, (130, 110), _common(secret, 100)))
    text = _document(secret, _NAMESPACES[namespace], "".join(images))
    chain[0].tags[270] = tiff.ascii_(text)
    path = folder / f"{secret.word()}-{secret.number()}.scn"
    gap, tail = secret.word().encode(), secret.word().encode()
    tiff.write_tiff(path, chain, bigtiff=True, big_endian=big_endian, gap=gap, tail=tail)
    return SynthSlide(
        path=path,
        levels=built,
        identifiers=tuple(secret.drawn),
        mpp_um=rois[0].mpp_um,
        is_jpeg2000=codec in J2K_KINDS,
        glows=any(roi.light == "fluorescence" for roi in rois),
    )


def _common(secret, mpp_um: float) -> dict[int, tiff.Value]:
    per_cm = round(1e7 / mpp_um)
    return {
        282: tiff.rational(per_cm, 1000),
        283: tiff.rational(per_cm, 1000),
        296: tiff.short(3),
        306: tiff.ascii_(secret.date()),
        315: tiff.ascii_(secret.name()),
    }


def _image(secret, roi: Roi, found) -> str:
    width, length = roi.size
    size_nm = (round(width * roi.mpp_um * 1000), round(length * roi.mpp_um * 1000))
    widths = sorted({level.width for _, level, _ in found}, reverse=True)
    pixels = "".join(
        f'<dimension sizeX="{level.width}" sizeY="{level.length}" r="{widths.index(level.width)}"'
        f' ifd="{ifd}" z="{z}" c="{c}" {roi.dimension}/>'
        for ifd, level, (z, c) in found
    )
    light = "" if roi.light is None else f"<illuminationSource>{roi.light}</illuminationSource>"
    objective, step = roi.objective, roi.spacing_z_nm
    return _framed(secret, size_nm, roi.offset_nm, roi.size, pixels, objective, light, step)


def _macro(secret) -> str:
    light = "<illuminationSource>brightfield</illuminationSource>"
    pixels = '<dimension sizeX="260" sizeY="760" r="0" ifd="0"/>'
    return _framed(secret, _GLASS_NM, (0, 0), (260, 760), pixels, "0.6", light)


def _framed(secret, size_nm, offset_nm, size, pixels, objective, light, step=0) -> str:
    return (
        f'<image name="{secret.word()}" uuid="{secret.number()}">'
        f"<creationDate>{secret.date()}</creationDate>"
        f'<device model="Leica SCN400F;{secret.word()}" version="1.4.0 {secret.date()}"/>'
        f'<pixels sizeX="{size[0]}" sizeY="{size[1]}">{pixels}</pixels>'
        f'<view sizeX="{size_nm[0]}" sizeY="{size_nm[1]}" offsetX="{offset_nm[0]}"'
        f' offsetY="{offset_nm[1]}" spacingZ="{step}"/>'
        f"<scanSettings><objectiveSettings><objective>{objective}</objective></objectiveSettings>"
        f"<illuminationSettings><numericalAperture>0.4</numericalAperture>{light}"
        f"</illuminationSettings><{secret.word()}>{secret.word()}</{secret.drawn[-2]}>"
        f"</scanSettings><user>{secret.name()}</user></image>"
    )


def _document(secret, namespace: str, images: str) -> str:
    if namespace.endswith("10/01"):
        hidden = base64.b64encode(f"{secret.number()}\r\n".encode()).decode()
        attribute, element = "", f"<barcode>{hidden}</barcode>"
    else:
        attribute, element = f' barcode="{secret.number()}"', ""
    return (
        f'<?xml version="1.0"?><scn xmlns="{namespace}" uuid="{secret.number()}">'
        f'<collection name="{secret.word()}" uuid="{secret.number()}"{attribute}'
        f' sizeX="{_GLASS_NM[0]}" sizeY="{_GLASS_NM[1]}">{element}<ocr>{secret.name()}</ocr>'
        f"{images}</collection><comments>{secret.word()}</comments></scn>"
    )
