"""Directories that builders of several formats share."""

import numpy as np

from tests.synth import jpeg, tiff
from tests.synth.slide import J2K_KINDS, SynthLevel, photometric, samples


def level_directory(
    level: SynthLevel, codec: str, more: dict[int, tiff.Value] | None = None, *, number: int = 0
) -> tiff.Directory:
    """Return a level as a tiled directory; ``more`` adds tags or replaces them."""
    count = samples(codec)
    width, length, tile = level.stored or (level.width, level.length, level.tile)
    tags = {
        254: tiff.long(1 if number else 0),
        256: tiff.long(width),
        257: tiff.long(length),
        258: tiff.short(*[8] * count),
        259: tiff.short(34712 if codec in J2K_KINDS else 7),
        262: tiff.short(photometric(codec)),
        277: tiff.short(count),
        284: tiff.short(1),
        322: tiff.short(tile),
        323: tiff.short(level.tile_length or tile),
    }
    if level.jpeg_tables is not None:
        tags[347] = tiff.undefined(level.jpeg_tables)
    return tiff.Directory(tags | (more or {}), pieces=level.pieces)


def picture_directory(
    secret, size: tuple[int, int], more: dict[int, tiff.Value] | None = None, *, tile: int = 64
) -> tiff.Directory:
    """Return a picture that is no level, in tiles with a comment each."""
    width, length = size
    random = np.random.default_rng(5)
    pieces = []
    for _ in range(-(-width // tile) * -(-length // tile)):
        style = jpeg.Style(
            samples="ycbcr420",
            ids=(1, 2, 3),
            tables="own",
            before_tables=jpeg.comment(secret.word()),
        )
        noise = random.integers(0, 255, (tile, tile, 3)).astype(np.uint8)
        pieces.append(jpeg.encode(noise, style).data)
    tags = _picture_tags(size) | {322: tiff.short(tile), 323: tiff.short(tile)}
    return tiff.Directory(tags | (more or {}), pieces=pieces)


def strip_directory(
    secret, size: tuple[int, int], more: dict[int, tiff.Value] | None = None
) -> tiff.Directory:
    """Return a picture that is no level, one JPEG in one strip with a comment."""
    width, length = size
    noise = np.random.default_rng(6).integers(0, 255, (length, width, 3)).astype(np.uint8)
    style = jpeg.Style(
        samples="ycbcr420",
        ids=(1, 2, 3),
        tables="own",
        before_tables=jpeg.comment(secret.word()),
    )
    tags = _picture_tags(size) | {278: tiff.long(length)} | (more or {})
    return tiff.Directory(tags, pieces=[jpeg.encode(noise, style).data], tiled=False)


def _picture_tags(size: tuple[int, int]) -> dict[int, tiff.Value]:
    return {
        254: tiff.long(0),
        256: tiff.long(size[0]),
        257: tiff.long(size[1]),
        258: tiff.short(8, 8, 8),
        259: tiff.short(7),
        262: tiff.short(6),
        277: tiff.short(3),
        284: tiff.short(1),
    }
