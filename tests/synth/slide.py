"""What a built slide is, and what builders of pyramids share."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.synth import jpeg, jpeg2000
from tests.synth.identifiers import Identifiers
from tests.synth.texture import halved, tiles_of, tissue


@dataclass(frozen=True)
class SynthLevel:
    """The truth about one level."""

    width: int
    length: int
    tile: int
    entropy: list[bytes | None]
    """Entropy-coded bytes of each tile, ``None`` where the tile is missing."""
    rgb: np.ndarray
    """The level's pixels; white where a tile is missing."""
    jpeg_tables: bytes | None
    pieces: list[bytes]
    picture: bytes | None = None
    """The JPEG that holds the whole level, its size written into it; it has no tiles then."""
    region: int = 0
    tile_length: int | None = None
    """Where tiles are not square."""
    above: tuple["SynthLevel", ...] = ()
    """The further focal planes, upwards."""
    optical_path: int = 0

    @property
    def planes(self) -> tuple["SynthLevel", ...]:
        return (self, *self.above)


def stacked(planes: list[list[SynthLevel]]) -> list[SynthLevel]:
    """Return the pyramids of focal planes as one."""
    return [replace(first, above=tuple(above)) for first, *above in zip(*planes, strict=True)]


@dataclass(frozen=True)
class SynthSlide:
    """A slide that was built, with all that a test may want to know about it."""

    path: Path
    levels: list[SynthLevel]
    identifiers: tuple[str, ...]
    mpp_um: float | None
    """What the slide says of its spacing, ``None`` if it does not tell."""
    is_jpeg2000: bool = False
    is_ycc422_jpeg2000: bool = False
    is_decoded: bool = False
    """Whether its tiles cannot be frames as they are."""
    lossy_term: str | None = None
    """What its instances name as lossy method that older validators do not know."""


JPEG_STYLES: dict[str, jpeg.Style] = {
    "jpeg_rgb": jpeg.Style(samples="rgb"),
    "jpeg_ycbcr444": jpeg.Style(samples="ycbcr444", ids=(1, 2, 3)),
    "jpeg_ycbcr422": jpeg.Style(samples="ycbcr422", ids=(1, 2, 3)),
    "jpeg_ycbcr420": jpeg.Style(samples="ycbcr420", ids=(1, 2, 3)),
    "jpeg_grey": jpeg.Style(samples="grey", ids=(1,)),
    "jpeg_rgb_own_tables": jpeg.Style(samples="rgb", ids=(82, 71, 66), tables="own"),
    "jpeg_ycbcr420_jfif": jpeg.Style(
        samples="ycbcr420", ids=(1, 2, 3), tables="own", markers="jfif"
    ),
}
J2K_KINDS: dict[str, jpeg2000.Kind] = {
    "j2k_33005": "mct97",
    "j2k_33003_444": "ycc444",
    "j2k_33003_422": "ycc422",
    "j2k_rgb": "rgb",
    "j2k_53": "mct53",
    "j2k_grey": "grey",
}


def photometric(codec: str) -> int:
    """Return an honest tag 262; Aperio says RGB for all its JPEG 2000."""
    if "grey" in codec:
        return 1
    return 6 if "ycbcr" in codec else 2


def samples(codec: str) -> int:
    return 1 if "grey" in codec else 3


def build_levels(
    codec: str,
    identifiers: Identifiers,
    *,
    size: tuple[int, int],
    tile: int,
    levels: int,
    factor: int,
    seed: int,
    missing: tuple[tuple[int, int], ...] = (),
    boxed: bool = False,
    style: dict[str, object] | None = None,
    tile_length: int | None = None,
    picture: np.ndarray | None = None,
) -> list[SynthLevel]:
    """Return the levels of a pyramid; ``missing`` lists level and tile number."""
    base = tissue(*size, seed) if picture is None else picture
    built = []
    for number in range(levels):
        picture = base if number == 0 else halved(base, factor**number)
        shape = (tile, tile_length or tile)
        built.append(
            _level(codec, identifiers, picture, shape, number, missing, boxed, style or {})
        )
    return built


def _level(codec, identifiers, picture, shape, number, missing, boxed, style) -> SynthLevel:
    size, tile_length = shape
    gone = {index for level, index in missing if level == number}
    shared_text = identifiers.word() if _has_shared_tables(codec, style) else None
    encoded = [
        _tile(codec, tile, boxed, style, None if index in gone else identifiers, shared_text)
        for index, tile in enumerate(tiles_of(picture, size, tile_length))
    ]
    pixels = [
        np.full_like(tile.rgb, 255) if index in gone else tile.rgb
        for index, tile in enumerate(encoded)
    ]
    across = -(-picture.shape[1] // size)
    rows = [
        np.concatenate(pixels[at : at + across], axis=1) for at in range(0, len(pixels), across)
    ]
    return SynthLevel(
        width=picture.shape[1],
        length=picture.shape[0],
        tile=size,
        entropy=[None if i in gone else tile.entropy for i, tile in enumerate(encoded)],
        rgb=np.concatenate(rows, axis=0)[: picture.shape[0], : picture.shape[1]],
        jpeg_tables=getattr(encoded[0], "jpeg_tables", None),
        pieces=[b"" if i in gone else tile.data for i, tile in enumerate(encoded)],
        tile_length=tile_length,
    )


def _has_shared_tables(codec, style) -> bool:
    chosen = JPEG_STYLES.get(codec)
    return chosen is not None and style.get("tables", chosen.tables) != "own"


def _tile(codec, picture, boxed, style, identifiers, shared_text):
    """Return a tile with an identifier in each place for one; without any if it is not kept."""
    options = dict(style)
    with_comments = options.pop("comments", True)
    if codec in J2K_KINDS:
        text = identifiers.word() if with_comments and identifiers else None
        return jpeg2000.encode(picture, J2K_KINDS[codec], comment=text, boxed=boxed)
    if with_comments and identifiers:
        options["before_tables"] = jpeg.comment(identifiers.word()) + jpeg.exif(identifiers.word())
    if with_comments and shared_text:
        options["in_shared"] = jpeg.comment(shared_text) + b"\xff\xdd\x00\x04\x00\x07"
    return jpeg.encode(picture, jpeg.with_options(JPEG_STYLES[codec], **options))


def build_striped(
    codec: str,
    identifiers: Identifiers,
    *,
    size: tuple[int, int],
    levels: int,
    factor: int,
    seed: int,
    strip_rows: int,
    style: dict[str, object] | None = None,
    **_: object,
) -> list[SynthLevel]:
    """Return the levels of a pyramid in JPEG strips; with them, each level as one JPEG.

    The same encoder makes the same coefficients of a picture and of its strips, as long as these
    are whole rows of MCUs.
    """
    base = tissue(*size, seed)
    shared_text = identifiers.word()
    built = []
    for number in range(levels):
        picture = base if number == 0 else halved(base, factor**number)
        length, width = picture.shape[:2]
        pieces = []
        for row in range(0, length, strip_rows):
            texts = {"before_tables": jpeg.comment(identifiers.word())}
            look = replace(JPEG_STYLES[codec], **texts, **(style or {}))
            look = replace(look, in_shared=jpeg.comment(shared_text))
            pieces.append(jpeg.encode(picture[row : row + strip_rows], look))
        markers = "app14_0" if "rgb" in codec else "none"
        whole = jpeg.encode(picture, replace(JPEG_STYLES[codec], tables="own", markers=markers))
        built.append(
            SynthLevel(
                width=width,
                length=length,
                tile=1024,
                entropy=[],
                rgb=np.concatenate([piece.rgb for piece in pieces]),
                jpeg_tables=pieces[0].jpeg_tables,
                pieces=[piece.data for piece in pieces],
                picture=whole.data,
            )
        )
    return built
