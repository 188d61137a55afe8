"""Slides whose description says ``key = value``: Huron, Motic, Mikroscan, 3DHISTECH, Trestle."""

from pathlib import Path
from typing import Literal

from tests.synth import identifiers as ids
from tests.synth import tiff
from tests.synth.parts import level_directory, strip_directory
from tests.synth.slide import SynthSlide, build_levels

Maker = Literal["huron", "motic", "mikroscan", "3dhistech", "trestle", "grundium"]
_MPP = 0.5
_SUFFIXES = {"huron": ".tif", "motic": ".svs", "mikroscan": ".svs", "3dhistech": ".tif",
             "trestle": ".tif", "grundium": ".svs"}  # fmt: skip


def build_keyed(
    folder: Path,
    seed: int | None = None,
    *,
    maker: Maker = "huron",
    codec: str = "jpeg_ycbcr420",
    overlaps: str = "0 0 0 0 0 0",
    files_beside: bool = False,
    bigtiff: bool = False,
    big_endian: bool = False,
    levels: int = 3,
    missing: tuple[tuple[int, int], ...] = (),
) -> SynthSlide:
    """Write a slide of one maker whose every place for text holds an invented identifier.

    With ``files_beside`` there are those that Trestle's scanner leaves beside its slides.
    """
    secret = ids.of(seed)
    built = build_levels(
        codec,
        secret,
        size=(660, 500),
        tile=128,
        levels=levels,
        factor=2,
        seed=51,
        missing=missing,
        overlaps=tuple(zip(*[map(int, overlaps.split())] * 2, strict=True)),
    )
    chain = []
    for number, level in enumerate(built):
        more = _tags(secret, maker, overlaps, number)
        chain.append(level_directory(level, codec, more, number=number))
    if maker != "trestle":
        thumbnail = {270: tiff.ascii_(f"User = {secret.word()}|{secret.word()}")}
        chain.insert(1, strip_directory(secret, (165, 125), thumbnail))
        chain.append(strip_directory(secret, (120, 110), {254: tiff.long(1)}))
        chain.append(strip_directory(secret, (300, 110), {254: tiff.long(9)}))
    path = folder / f"{secret.word()}-{secret.number()}{_SUFFIXES[maker]}"
    gap, tail = secret.word().encode(), secret.word().encode()
    tiff.write_tiff(path, chain, bigtiff=bigtiff, big_endian=big_endian, gap=gap, tail=tail)
    if files_beside:
        for name in (f"{path.name}-1b", f"{path.name}-2b", f"{path.stem}.Full"):
            (folder / name).write_bytes(b"not read")
    return SynthSlide(path=path, levels=built, identifiers=tuple(secret.drawn), mpp_um=_MPP)


def _tags(secret, maker: Maker, overlaps: str, number: int) -> dict[int, tiff.Value]:
    tags = {
        306: tiff.ascii_(secret.date()),
        315: tiff.ascii_(secret.name()),
        316: tiff.ascii_(secret.word()),
    }
    if maker == "huron":
        per_cm = 20000 >> number
        tags |= {282: tiff.rational(per_cm, 1), 283: tiff.rational(per_cm, 1), 296: tiff.short(3)}
        tags[271] = tiff.ascii_("Huron Technologies International Inc.")
    if maker == "trestle":
        tags[305] = tiff.ascii_("MedScan 2.1")
        microns = tiff.rational(round(_MPP * 1000) << number, 1000)
        tags |= {282: microns, 283: microns}
    tags[270] = tiff.ascii_(_description(secret, maker, overlaps))
    return tags


def _description(secret, maker: Maker, overlaps: str) -> str:
    texts = {
        "Filename": secret.word(),
        "User": secret.name(),
        "Date": secret.date(),
        "Barcode": secret.number(),
        secret.word(): secret.word(),
    }
    head, numbers, join = {
        "huron": ("", {"AppMag": "20"}, "\n"),
        "motic": ("Motic 2.1.0\n", {"AppMag": "20", "MPP": f"{_MPP:.4f}"}, "|"),
        "mikroscan": ("Mikroscan Image Structure v1\n", {"MPP": f"{_MPP:.4f}"}, "|"),
        "grundium": ("Aperio Image, Grundium Ocus40\n", {"MPP": f"{_MPP:.4f}"}, "|"),
        "3dhistech": (
            "",
            {"3dh_PixelSizeX": f"{_MPP:.6f}", "3dh_PixelSizeY": f"{_MPP:.6f}"},
            "\n",
        ),
        "trestle": ("", {"Objective Power": "20", "OverlapsXY": overlaps}, ";"),
    }[maker]
    pairs = [f"{key} = {value}" for key, value in {**numbers, **texts}.items()]
    return join.join(([head] if head else []) + pairs) + (join if maker == "trestle" else "")
