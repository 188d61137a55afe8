"""Argos AVS: a pyramid for each focal plane, from the lowest to the highest; map and macro."""

from pathlib import Path

from tests.synth import identifiers as ids
from tests.synth import tiff
from tests.synth.parts import level_directory, strip_directory
from tests.synth.slide import SynthSlide, build_levels, stacked

_MPP = 0.5


def build_argos(
    folder: Path,
    seed: int | None = None,
    *,
    codec: str = "jpeg_ycbcr420",
    focal_planes: int = 1,
    said_planes: int | None = None,
    z_range: str = "3",
    size: tuple[int, int] = (660, 500),
    levels: int = 3,
    big_endian: bool = False,
    missing: tuple[tuple[int, int], ...] = (),
) -> SynthSlide:
    """Write a slide; ``said_planes`` is how many the XML says, ``z_range`` how far they reach."""
    secret = ids.of(seed)
    pyramids = [
        build_levels(
            codec,
            secret,
            size=size,
            tile=128,
            levels=levels,
            factor=2,
            seed=71 + z,
            missing=missing,
        )
        for z in range(focal_planes)
    ]
    chain = [
        level_directory(level, codec, _tags(secret, number), number=number)
        for pyramid in pyramids
        for number, level in enumerate(pyramid)
    ]
    metadata = _metadata(secret, said_planes or focal_planes, z_range)
    # What is written is not ended by a zero, as ASCII should be.
    chain[0].tags[65000] = tiff.Value(tiff.ASCII, tuple(metadata.encode()))
    chain += [strip_directory(secret, size) for size in ((90, 70), (300, 100))]
    path = folder / f"{secret.word()}-{secret.number()}.avs"
    gap, tail = secret.word().encode(), secret.word().encode()
    tiff.write_tiff(path, chain, bigtiff=True, big_endian=big_endian, gap=gap, tail=tail)
    return SynthSlide(
        path=path, levels=stacked(pyramids), identifiers=tuple(secret.drawn), mpp_um=_MPP
    )


def _tags(secret, number: int) -> dict[int, tiff.Value]:
    per_cm = 20000 >> number
    return {
        282: tiff.rational(per_cm, 1),
        283: tiff.rational(per_cm, 1),
        296: tiff.short(3),
        306: tiff.ascii_(secret.date()),
        315: tiff.ascii_(secret.name()),
        316: tiff.ascii_(secret.word()),
    }


def _metadata(secret, planes: int, z_range: str) -> str:
    highest = planes // 2
    unknown = secret.word()
    return (
        f'<Argos.Scan.Metadata Name="{secret.word()}" {secret.word()}="{secret.word()}">'
        f"<Barcode>{secret.number()}</Barcode><MinZ>{highest - planes + 1}</MinZ>"
        f"<MaxZ>{highest}</MaxZ><ZRange>{z_range}</ZRange>"
        f"<ObjectiveMagnification>20</ObjectiveMagnification>"
        f"<User>{secret.name()}</User><Date>{secret.date()}</Date>"
        f"<{unknown}>{secret.name()}</{unknown}></Argos.Scan.Metadata>"
    )
