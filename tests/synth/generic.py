"""Generic tiled pyramids, as libvips and its like write them."""

import zlib
from functools import partial
from pathlib import Path

import numpy as np

from tests.synth import identifiers as ids
from tests.synth import places, raster, tiff
from tests.synth.slide import (
    J2K_KINDS,
    SynthSlide,
    build_levels,
    build_striped,
    photometric,
    samples,
)


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
    strip_rows: int | None = None,
    clipped: bool = False,
    planar_jpeg: bool = False,
    masks: bool = False,
    more: dict[int, tiff.Value] | None = None,
    picture: np.ndarray | None = None,
    **storage: object,
) -> SynthSlide:
    """Write a pyramid with factor 2, its levels in the chain or in SubIFDs of the base.

    With ``strip_rows`` the levels are JPEG strips of that height. ``more`` are tags that every
    directory gets, instead of its own; with ``masks`` each level has one behind it, as GDAL
    writes them. ``storage`` holds what `raster.Storage` takes, for codecs
    that cannot be frames.
    """
    secret = ids.of(seed)
    shape = {"size": size, "tile": tile, "levels": levels, "factor": 2, "seed": 11}
    stored = None
    if codec in raster.CODECS or codec in raster.CODED:
        stored = raster.Storage(codec=codec, big_endian=big_endian, **storage)
        built = raster.build_levels(stored, missing=missing, **shape)
    else:
        striped = partial(build_striped, strip_rows=strip_rows)
        tiled = partial(build_levels, picture=picture, clipped=clipped, planar=planar_jpeg)
        build = tiled if strip_rows is None else striped
        built = build(codec, secret, missing=missing, boxed=boxed, style=style, **shape)
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
            284: tiff.short(2 if planar_jpeg else 1),
            305: tiff.ascii_(f"writer on {secret.word()}"),
            65000: tiff.ascii_(secret.word()),
        }
        if strip_rows is None:
            tags |= {322: tiff.short(level.tile), 323: tiff.short(level.tile)}
        else:
            tags[278] = tiff.long(strip_rows)
        if stored is not None:
            tags |= raster.tags(stored) | {
                269: tiff.ascii_(secret.word()),
                315: tiff.ascii_(secret.name()),
                316: tiff.ascii_(secret.word()),
            }
            if stored.rows_per_strip is not None:
                del tags[322], tags[323]
        if mpp:
            per_cm = 20000 >> number
            tags |= {
                282: tiff.rational(per_cm, 1),
                283: tiff.rational(per_cm, 1),
                296: tiff.short(3),
            }
        if level.jpeg_tables is not None:
            tags[347] = tiff.undefined(level.jpeg_tables)
        tags |= places.in_directory(secret, number) | (more or {})
        is_tiled = strip_rows is None and (stored is None or stored.rows_per_strip is None)
        directories.append(tiff.Directory(tags, pieces=level.pieces, tiled=is_tiled))
    if masks:
        directories = [one for each in directories for one in (each, _mask(secret, each))]
    for turn, directory in enumerate(directories[:2]):
        for name, values in places.in_children(secret, turn).items():
            setattr(directory, name, values)
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
        is_decoded=stored is not None or (clipped and is_jpeg2000),
        lossy_term=None if stored is None else raster.LOSSY_TERMS.get(codec),
    )


def _mask(secret, level: tiff.Directory) -> tiff.Directory:
    """Return the mask of a level: where it is valid, one bit a pixel, all of them."""
    tile = level.tags[322].items[0]
    level.tags[42113] = tiff.ascii_(secret.word())
    tags = {
        **{tag: level.tags[tag] for tag in (256, 257, 322, 323)},
        254: tiff.long(level.tags[254].items[0] | 4),
        258: tiff.short(1),
        259: tiff.short(8),
        262: tiff.short(4),
        277: tiff.short(1),
    }
    return tiff.Directory(
        tags, pieces=[zlib.compress(b"\xff" * (tile * tile // 8))] * len(level.pieces)
    )
