"""QPTIFF, as the Vectra Polaris writes it."""

from dataclasses import replace
from pathlib import Path

from tests.synth import identifiers as ids
from tests.synth import tiff
from tests.synth.parts import level_directory, picture_directory
from tests.synth.slide import SynthSlide, build_levels, striped_level
from tests.synth.texture import halved, tissue

_MPP = 0.5
_SIZE, _TILE = (640, 490), 128


def build_qptiff(
    folder: Path,
    seed: int | None = None,
    *,
    codec: str = "jpeg_ycbcr420",
    bands: int = 1,
    level_in_strips: bool = False,
    unnamed: bool = False,
    big_endian: bool = False,
    types: dict[str, str] | None = None,
    levels: int = 3,
    missing: tuple[tuple[int, int], ...] = (),
    style: dict[str, object] | None = None,
) -> SynthSlide:
    """Write base, thumbnail, lower levels, overview and label; ``types`` renames image types.

    ``level_in_strips`` adds a last level as small ones are really stored, ``bands`` is the number
    of pictures at each resolution, grey in fluorescence.
    """
    secret = ids.of(seed)
    pyramids = [
        build_levels(
            codec,
            secret,
            size=_SIZE,
            tile=_TILE,
            levels=levels,
            factor=2,
            seed=41 + band,
            missing=missing,
            style=style,
            blank=0 if "grey" in codec else 255,
        )
        for band in range(bands)
    ]

    def common(name: str, factor: int) -> dict[int, tiff.Value]:
        return _common(secret, (types or {}).get(name, name), factor)

    directories, *lower = [
        [
            level_directory(
                level, codec, common("ReducedResolution" if n else "FullResolution", 2**n), number=n
            )
            for level in of_bands
        ]
        for n, of_bands in enumerate(zip(*pyramids, strict=True))
    ]
    directories.append(picture_directory(secret, (200, 150), common("Thumbnail", 4)))
    directories += [directory for of_bands in lower for directory in of_bands]
    if level_in_strips:
        for band, pyramid in enumerate(pyramids):
            picture = halved(tissue(*_SIZE, 41 + band), 2**levels)
            pyramid.append(striped_level(codec, secret, picture, 16, secret.word(), frame=_TILE))
            more = common("ReducedResolution", 2**levels) | {278: tiff.long(16)}
            strips = level_directory(pyramid[-1], codec, more, number=levels)
            del strips.tags[322], strips.tags[323]
            strips.tiled = False
            directories.append(strips)
    for name, size in (("Overview", (90, 260)), ("Label", (120, 110))):
        directories.append(picture_directory(secret, size, common(name, 50)))
    if unnamed:
        directories.append(picture_directory(secret, (128, 98), {270: tiff.ascii_(secret.word())}))
    path = folder / f"{secret.word()}-{secret.number()}.qptiff"
    gap, tail = secret.word().encode(), secret.word().encode()
    tiff.write_tiff(path, directories, big_endian=big_endian, gap=gap, tail=tail)
    built = [
        replace(level, optical_path=band)
        for band, pyramid in enumerate(pyramids)
        for level in pyramid
    ]
    return SynthSlide(path=path, levels=built, identifiers=tuple(secret.drawn), mpp_um=_MPP)


def _common(secret, kind: str, factor: int) -> dict[int, tiff.Value]:
    per_cm = round(1e7 / _MPP / factor)
    return {
        270: tiff.ascii_(_description(secret, kind)),
        282: tiff.rational(per_cm, 1000),
        283: tiff.rational(per_cm, 1000),
        296: tiff.short(3),
        305: tiff.ascii_("PerkinElmer-QPI"),
        306: tiff.ascii_(secret.date()),
    }


def _description(secret, kind: str) -> str:
    said = {
        "DescriptionVersion": 2,
        "AcquisitionSoftware": "VectraPolaris",
        "ImageType": kind,
        "Identifier": secret.number(),
        "SlideID": secret.word(),
        "Barcode": secret.number(),
        "ComputerName": secret.word(),
        "OperatorName": secret.name(),
        "IsUnmixedComponent": "False",
        "ExposureTime": 109,
        "SignalUnits": 64,
        "Name": secret.word(),
        "Objective": "20x",
        "CameraName": secret.word(),
        secret.word(): secret.word(),
    }
    inside = "".join(f"<{key}>{value}</{key}>" for key, value in said.items())
    return (
        '<?xml version="1.0" encoding="utf-16"?>\r\n<PerkinElmer-QPI-ImageDescription>'
        f"{inside}<Responsivity><Filter><Date>{secret.date()}</Date>"
        f"<FilterID>{secret.word()}</FilterID></Filter></Responsivity>"
        f'<ScanProfile><root ref="{secret.number()}"><Name>{secret.word()}</Name>'
        f"<{secret.word()}>{secret.word()}</{secret.drawn[-2]}></root></ScanProfile>"
        f"<!-- {secret.word()} --></PerkinElmer-QPI-ImageDescription>"
    )
