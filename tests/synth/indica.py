"""TIFFs of Indica Labs' HALO: all channels of a level, then those of the next."""

from dataclasses import replace
from pathlib import Path

from tests.synth import identifiers as ids
from tests.synth import raster, tiff
from tests.synth.parts import level_directory, picture_directory
from tests.synth.slide import SynthLevel, SynthSlide, build_levels

_MPP = 0.5
SOFTWARE = "IndicaLabsImageWriter v1.2.1"


def build_indica(
    folder: Path,
    seed: int | None = None,
    *,
    channels: int = 3,
    codec: str = "deflate",
    bits: int = 8,
    levels: int = 3,
    big_endian: bool = False,
    unnamed: bool = False,
    strip_rows: int | None = None,
    without_dimensions: bool = False,
    missing: tuple[tuple[int, int], ...] = (),
) -> SynthSlide:
    """Write grey channels, or one picture in colour with ``channels=0``; ``unnamed`` adds one more
    picture of the base that the XML does not name. With ``strip_rows`` the levels below it are
    strips of that height.
    """
    secret = ids.of(seed)
    stored = None
    if codec in raster.CODECS:
        stored = raster.Storage(
            codec=codec, big_endian=big_endian, grey=bool(channels), bits=bits, is_emitted=True
        )
    shape = {"size": (400, 300), "tile": 128, "levels": levels, "factor": 2, "missing": missing}
    blank = 0 if channels else 255
    pyramids = [
        build_levels(codec, secret, seed=61 + channel, blank=blank, **shape)
        if stored is None
        else raster.build_levels(stored, seed=61 + channel, **shape)
        for channel in range(max(channels, 1))
    ]
    if strip_rows is not None:
        stripped = replace(stored, rows_per_strip=strip_rows)
        for channel, pyramid in enumerate(pyramids):
            strips = raster.build_levels(stripped, seed=61 + channel, **shape)
            pyramid[1:] = [_in_frames(level, shape["tile"]) for level in strips[1:]]
    grey = {} if stored is None else raster.tags(stored)
    chain = [
        level_directory(level, codec, grey | {306: tiff.ascii_(secret.date())}, number=number)
        for number, of_channels in enumerate(zip(*pyramids, strict=True))
        for level in of_channels
    ]
    if strip_rows is not None:
        for directory in chain[len(pyramids) :]:
            del directory.tags[322], directory.tags[323]
            directory.tags[278] = tiff.long(strip_rows)
            directory.tiled = False
    resolution = tiff.rational(round(1e7 / _MPP), 1000)
    said = _description(secret, pyramids, has_dimensions=not without_dimensions)
    chain[0].tags |= {
        270: tiff.ascii_(said),
        282: resolution,
        283: resolution,
        296: tiff.short(3),
        305: tiff.ascii_(SOFTWARE),
        315: tiff.ascii_(secret.name()),
    }
    if unnamed:
        chain.append(tiff.Directory(dict(chain[1].tags), pieces=chain[1].pieces))
    chain.append(picture_directory(secret, (120, 110), {315: tiff.ascii_(secret.name())}))
    path = folder / f"{secret.word()}-{secret.number()}.tif"
    gap, tail = secret.word().encode(), secret.word().encode()
    tiff.write_tiff(path, chain, bigtiff=True, big_endian=big_endian, gap=gap, tail=tail)
    built = [
        replace(level, optical_path=channel)
        for channel, pyramid in enumerate(pyramids)
        for level in pyramid
    ]
    return SynthSlide(
        path=path,
        levels=built,
        identifiers=tuple(secret.drawn),
        mpp_um=_MPP,
        is_decoded=stored is not None,
        lossy_term=raster.LOSSY_TERMS.get(codec),
    )


def _in_frames(level: SynthLevel, side: int) -> SynthLevel:
    """Return a level in strips that becomes frames of a size: that of the tiles above it."""
    frames = -(-level.width // side) * -(-level.length // side)
    return replace(level, tile=side, entropy=[b""] * frames)


def _description(secret, pyramids, *, has_dimensions: bool) -> str:
    count = len(pyramids)
    dimensions = [
        f'<dimension sizeX="{level.width}" sizeY="{level.length}" ifd="{number * count + channel}"'
        f' channel="{channel}" level="{number}"/>'
        for channel, pyramid in enumerate(pyramids)
        for number, level in enumerate(pyramid)
    ]
    channels = [
        f'<channel id="{channel}" name="{secret.word()}" rgb="255" min="0.000000" max="255.0"/>'
        for channel in range(count)
    ]
    words = "".join(
        f'<{word} {secret.word()}="{secret.name()}">{secret.word()}</{word}>'
        for word in (secret.word() for _ in range(4))
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<indica><post_proc type="0"/><image><pixels>'
        f"{''.join(dimensions) if has_dimensions else ''}</pixels>"
        f"<channels>{''.join(channels)}</channels>{words}</image></indica>"
    )
