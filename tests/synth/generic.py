"""Generic tiled pyramids, as libvips and its like write them."""

from pathlib import Path

import numpy as np

from tests.synth import identifiers as ids
from tests.synth import tiff
from tests.synth.slide import J2K_KINDS, SynthSlide, build_levels, photometric, samples


def build_generic(
    folder: Path,
    seed: int | None = None,
    *,
    codec: str = "jpeg_ycbcr420",
    subifds: bool = False,
    bigtiff: bool = False,
    big_endian: bool = False,
    boxed: bool = False,
    missing: tuple[tuple[int, int], ...] = (),
    mpp: bool = True,
    compression: int | None = None,
    tag_262: int | None = None,
    levels: int = 3,
    size: tuple[int, int] = (610, 450),
    tile: int = 128,
    style: dict[str, object] | None = None,
    picture: np.ndarray | None = None,
) -> SynthSlide:
    """Write a pyramid with factor 2, its levels in the chain or in SubIFDs of the base."""
    secret = ids.of(seed)
    built = build_levels(
        codec,
        secret,
        size=size,
        tile=tile,
        levels=levels,
        factor=2,
        seed=11,
        missing=missing,
        boxed=boxed,
        style=style,
        picture=picture,
    )
    is_jpeg2000 = codec in J2K_KINDS
    directories = []
    for number, level in enumerate(built):
        tags = {
            254: tiff.long(1 if number else 0),
            256: tiff.long(level.width),
            257: tiff.long(level.length),
            258: tiff.short(*[8] * samples(codec)),
            259: tiff.short(compression or (34712 if is_jpeg2000 else 7)),
            262: tiff.short(photometric(codec) if tag_262 is None else tag_262),
            270: tiff.ascii_(f"<image><name>{secret.name()}</name></image>"),
            277: tiff.short(samples(codec)),
            284: tiff.short(1),
            305: tiff.ascii_(f"writer on {secret.word()}"),
            322: tiff.short(level.tile),
            323: tiff.short(level.tile),
            65000: tiff.ascii_(secret.word()),
        }
        if mpp:
            per_cm = 20000 >> number
            tags |= {
                282: tiff.rational(per_cm, 1),
                283: tiff.rational(per_cm, 1),
                296: tiff.short(3),
            }
        if level.jpeg_tables is not None:
            tags[347] = tiff.undefined(level.jpeg_tables)
        directories.append(tiff.Directory(tags, pieces=level.pieces))
    if subifds:
        directories[0].children = directories[1:]
        directories = directories[:1]
    path = folder / f"{secret.word()}-{secret.number()}.tif"
    tiff.write_tiff(
        path,
        directories,
        big_endian=big_endian,
        bigtiff=bigtiff,
        gap=secret.word().encode(),
        tail=secret.word().encode(),
    )
    return SynthSlide(
        path=path,
        levels=built,
        identifiers=tuple(secret.drawn),
        mpp_um=0.5 if mpp else None,
        is_jpeg2000=is_jpeg2000,
        is_ycc422_jpeg2000=codec == "j2k_33003_422",
    )
