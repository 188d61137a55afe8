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
    """The level's pixels; white where a tile is missing, or black in fluorescence."""
    jpeg_tables: bytes | None
    pieces: list[bytes]
    picture: bytes | None = None
    """The JPEG that holds the whole level, its size written into it; it has no tiles then."""
    region: int = 0
    tile_length: int | None = None
    """Where tiles are not square."""
    stored: tuple[int, int, int] | None = None
    """Width and length that the tags say, and the size of tiles, where tiles overlap."""
    whole: list[bytes | None] | None = None
    """An honest stream of each tile, where its coefficients are kept and not its bytes."""
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
    recode: int | None = None
    """Quality of JPEG without which it cannot be converted."""
    lossy_term: str | None = None
    """What its instances name as lossy method that older validators do not know."""
    others: tuple[Path, ...] = ()
    """The other files of a set, whose first one is `path`."""
    glows: bool = False
    """Whether it was lit to glow; if it has several channels it was anyway."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files of a set."""
        return (self.path, *self.others)

    @property
    def choices(self) -> dict[str, object]:
        """What a policy has to allow so that it can be converted."""
        return {"allow_pixel": self.is_decoded, "allow_recode": self.recode}


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
    **{kind: kind for kind in ("ht97", "ht53", "ht_rgb", "ht_grey")},
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
    clipped: bool = False,
    planar: bool = False,
    overlaps: tuple[tuple[int, int], ...] = (),
    blank: int = 255,
) -> list[SynthLevel]:
    """Return the levels of a pyramid; ``missing`` lists level and tile number, shown ``blank``.

    With ``clipped`` tiles end where the level does, with ``planar`` each holds one colour, and with
    ``overlaps`` those of a level share so many columns and rows with their neighbours.
    """
    base = tissue(*size, seed) if picture is None else picture
    built = []
    for number in range(levels):
        picture = base if number == 0 else halved(base, factor**number)
        gone = {index for level, index in missing if level == number}
        options = dict(style or {})
        if planar:
            built.append(build_planar(codec, identifiers, picture, tile, gone))
        elif overlaps and any(overlaps[number]):
            built.append(
                build_overlapping(codec, identifiers, picture, tile, overlaps[number], options)
            )
        else:
            shape = (tile, tile_length or tile)
            built.append(
                _level(
                    codec,
                    identifiers,
                    picture,
                    shape,
                    gone,
                    options,
                    boxed=boxed,
                    clipped=clipped,
                    blank=blank,
                )
            )
    return built


def _level(
    codec, identifiers, picture, shape, gone, style, *, boxed=False, clipped=False, blank=255
) -> SynthLevel:
    size, tile_length = shape
    is_said = style.get("comments", True) and _has_shared_tables(codec, style)
    shared_text = identifiers.word() if is_said else None
    across = -(-picture.shape[1] // size)
    encoded, pixels = [], []
    for index, tile in enumerate(tiles_of(picture, size, tile_length)):
        row, column = index // across * tile_length, index % across * size
        if clipped:
            tile = tile[: picture.shape[0] - row, : picture.shape[1] - column]
        text = None if index in gone else identifiers
        made = _tile(codec, tile, style, text, shared_text, boxed=boxed)
        encoded.append(made)
        shown = np.full((tile_length, size, *made.rgb.shape[2:]), blank, np.uint8)
        if index not in gone:
            shown[: made.rgb.shape[0], : made.rgb.shape[1]] = made.rgb
        pixels.append(shown)
    rows = [
        np.concatenate(pixels[at : at + across], axis=1) for at in range(0, len(pixels), across)
    ]
    is_changed = clipped or style.get("progressive", False) or style.get("process", False)
    is_rewritten = codec in JPEG_STYLES and is_changed
    whole = [None if i in gone else tile.whole for i, tile in enumerate(encoded) if is_rewritten]
    return SynthLevel(
        width=picture.shape[1],
        length=picture.shape[0],
        tile=size,
        entropy=[None if i in gone else tile.entropy for i, tile in enumerate(encoded)],
        rgb=np.concatenate(rows, axis=0)[: picture.shape[0], : picture.shape[1]],
        jpeg_tables=getattr(encoded[0], "jpeg_tables", None),
        pieces=[b"" if i in gone else tile.data for i, tile in enumerate(encoded)],
        tile_length=tile_length,
        whole=whole or None,
    )


def build_planar(codec, identifiers, picture, tile, gone) -> SynthLevel:
    """Return a level whose colours are apart, each in JPEG with steps of its own."""
    planes, pieces, shown = [], [], []
    for plane in range(3):
        grey = np.repeat(picture[..., plane : plane + 1], 3, axis=2)
        style = {"samples": "grey", "tables": "own", "quality": 85 - 10 * plane}
        level = _level(codec, identifiers, grey, (tile, tile), gone, style)
        planes.append(level)
        pieces += level.pieces
        shown.append(level.rgb)
    return replace(planes[0], pieces=pieces, rgb=np.stack(shown, axis=-1), whole=[])


def build_overlapping(codec, identifiers, picture, tile, overlap, style) -> SynthLevel:
    """Return a level of tiles that share whole MCUs with their neighbours.

    These hold the same coefficients in both: the encoder sees the same blocks.
    """
    right, below = tile - overlap[0], tile - overlap[1]
    length, width = picture.shape[:2]
    across = max(1, -(-(width - overlap[0]) // right))
    down = max(1, -(-(length - overlap[1]) // below))
    room = (down * below + overlap[1] - length, across * right + overlap[0] - width)
    padded = np.pad(picture, ((0, room[0]), (0, room[1]), (0, 0)), mode="edge")
    shared_text = identifiers.word() if _has_shared_tables(codec, style) else None
    encoded = [
        _tile(
            codec,
            np.ascontiguousarray(padded[y : y + tile, x : x + tile]),
            style,
            identifiers,
            shared_text,
        )
        for y in range(0, down * below, below)
        for x in range(0, across * right, right)
    ]
    honest = jpeg.with_options(JPEG_STYLES[codec], tables="own", markers="none")
    whole = jpeg.encode(padded, honest)
    return SynthLevel(
        width=width,
        length=length,
        tile=1024,
        entropy=[],
        rgb=whole.rgb[:length, :width],
        jpeg_tables=encoded[0].jpeg_tables,
        pieces=[made.data for made in encoded],
        picture=whole.data,
        stored=(width + (across - 1) * overlap[0], length + (down - 1) * overlap[1], tile),
    )


def _has_shared_tables(codec, style) -> bool:
    chosen = JPEG_STYLES.get(codec)
    return chosen is not None and style.get("tables", chosen.tables) != "own"


def _tile(codec, picture, style, identifiers, shared_text, *, boxed=False):
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
    """Return the levels of a pyramid in JPEG strips; with them, each level as one JPEG."""
    base = tissue(*size, seed)
    pictures = [base if number == 0 else halved(base, factor**number) for number in range(levels)]
    text = identifiers.word()
    return [
        striped_level(codec, identifiers, picture, strip_rows, text, style=style)
        for picture in pictures
    ]


def striped_level(
    codec: str,
    identifiers: Identifiers,
    picture: np.ndarray,
    strip_rows: int,
    shared_text: str,
    *,
    frame: int = 1024,
    style: dict[str, object] | None = None,
) -> SynthLevel:
    """Return a level in JPEG strips that becomes frames of a size.

    The same encoder makes the same coefficients of a picture and of its strips, as long as these
    are whole rows of MCUs.
    """
    length, width = picture.shape[:2]
    pieces = []
    for row in range(0, length, strip_rows):
        texts = {"before_tables": jpeg.comment(identifiers.word())}
        look = replace(JPEG_STYLES[codec], **texts, **(style or {}))
        look = replace(look, in_shared=jpeg.comment(shared_text))
        pieces.append(jpeg.encode(picture[row : row + strip_rows], look))
    markers = "app14_0" if "rgb" in codec else "none"
    whole = jpeg.encode(picture, replace(JPEG_STYLES[codec], tables="own", markers=markers))
    return SynthLevel(
        width=width,
        length=length,
        tile=frame,
        entropy=[],
        rgb=np.concatenate([piece.rgb for piece in pieces]),
        jpeg_tables=pieces[0].jpeg_tables,
        pieces=[piece.data for piece in pieces],
        picture=whole.data,
    )
