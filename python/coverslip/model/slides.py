"""What a slide is: regions, levels, tiles, and the pictures beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from coverslip.errors import UnsupportedSlideError
from coverslip.model.text import RawMetadata, SourceText

Uint64Array = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """Distance between the centres of neighbouring pixels, in millimetres."""

    row_mm: float
    column_mm: float

    @classmethod
    def from_mpp_um(cls, mpp_um: float) -> "Spacing":
        """Return the spacing of square pixels of ``mpp_um`` micrometres.

        Raises
        ------
        ValueError
            If the value is not a positive, finite number.
        """
        if not 0 < mpp_um < float("inf"):
            raise ValueError("MPP must be positive and finite")
        return cls(row_mm=mpp_um / 1000, column_mm=mpp_um / 1000)

    def scaled(self, row_factor: float, column_factor: float) -> "Spacing":
        """Return the spacing of an image that is reduced by the given factors."""
        return Spacing(row_mm=self.row_mm * row_factor, column_mm=self.column_mm * column_factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileIndex:
    """Where the tiles of one level lie in the file: row-major, one entry a tile.

    A missing tile has byte count 0. Nothing here is checked against the file yet: the core does.
    """

    offsets: Uint64Array = field(repr=False)
    byte_counts: Uint64Array = field(repr=False)
    across: int
    down: int


def one_after_another(planes: Sequence[TileIndex]) -> TileIndex:
    """Return the tiles of all focal planes in the order of TILED_FULL (PS3.3 C.7.6.17.3)."""
    first, *above = planes
    if not above:  # no copy of what may be millions of tiles
        return first
    return replace(
        first,
        offsets=np.concatenate([plane.offsets for plane in planes]),
        byte_counts=np.concatenate([plane.byte_counts for plane in planes]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One JPEG stream that holds a whole level, as Hamamatsu stores it.

    Nothing here is checked against the file yet: the core does.
    """

    offset: int
    byte_count: int
    starts: Uint64Array | None = field(default=None, repr=False)
    """Where its restart intervals begin, from its own start, if the file says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strips:
    """JPEG strips that are a whole level, from top to bottom."""

    offsets: Uint64Array = field(repr=False)
    byte_counts: Uint64Array = field(repr=False)
    rows_per_strip: int
    """Height in pixels of each but the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """JPEG tiles that have to be put together before they are frames.

    They overlap by whole MCUs, or hold one colour each. Nothing here is checked against the file
    yet: the core does.
    """

    offsets: Uint64Array = field(repr=False)
    byte_counts: Uint64Array = field(repr=False)
    """Row by row; where colours are apart, all tiles of one before those of the next."""
    across: int
    tile_width: int
    tile_length: int
    overlap: tuple[int, int] = (0, 0)
    """Columns and rows that neighbouring tiles share."""
    planes: int = 1
    """How many tiles lie at each place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """How the samples of a raster are coded whose streams, not whose tags, say it."""

    process: Literal["JPEG", "lossless JPEG", "JPEG 2000", "JPEG-LS", "LERC"]
    depth: int
    """Bits of a sample that are used."""
    is_ycbcr: bool
    """Whether what is decoded is YCbCr, and becomes RGB."""
    lossy_method: str | None
    """Term of (0028,2114), ``None`` if nothing was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """Tiles or strips that cannot be frames as they are: their samples must be decoded.

    Nothing here is checked against the file yet: the core and `coverslip.samples` do.
    """

    codec: str
    """Name of the compression, ``Deflate`` for example."""
    offsets: Uint64Array = field(repr=False)
    byte_counts: Uint64Array = field(repr=False)
    """Row by row; where colours are apart, all pieces of one before those of the next."""
    width: int
    """Of a tile, or of the picture if it is stored in strips."""
    length: int
    """The last strip may have fewer rows."""
    is_tiled: bool
    is_planar: bool
    """Whether each colour has pieces of its own (TIFF tag 284)."""
    predictor: int
    """TIFF tag 317."""
    byte_order: Literal["<", ">"]
    """Of samples with more than 8 bits."""
    palette: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    """Red, green and blue of each value, if samples are numbers of colours."""
    chroma: tuple[int, int] | None = None
    """How many columns and rows share a sample of chroma, if samples are YCbCr."""
    coded: Coded | None = None
    """Set if it is JPEG or JPEG 2000 that cannot be frames, whose tiles may end where the level
    does; or LERC that lost something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Montage:
    """Tiles that lie at any place: they overlap, or gape, by any number of pixels."""

    stored: "Level"
    """The level as the file has it, its tiles side by side."""
    places: npt.NDArray[np.int64] = field(repr=False)
    """Shape (rows, columns, 2): left and top of each tile of the base, negative where there is none
    to be shown."""
    parts: int
    """How many tiles of the base lie side by side in one of the level: it was reduced first."""
    why: str
    """Why its tiles cannot be frames: a sentence for a message."""
    instead: str = ""
    """What the user can do without composing it."""
    largest_shift: float = 0.0
    """By how many pixels a joint of two tiles lies beside where the source measured it."""

    @property
    def offsets(self) -> Uint64Array:
        """Where its tiles lie in the file."""
        return (self.stored.raster or self.stored.tiles).offsets

    @property
    def byte_counts(self) -> Uint64Array:
        """How long they are."""
        return (self.stored.raster or self.stored.tiles).byte_counts


class Role(StrEnum):
    """What a picture of a slide shows, in the words of DICOM (PS3.3 C.8.12.4.1.1)."""

    VOLUME = "VOLUME"
    LABEL = "LABEL"
    OVERVIEW = "OVERVIEW"
    THUMBNAIL = "THUMBNAIL"


class LabelSide(StrEnum):
    """Side of the stored picture at which the slide's label lies."""

    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    BOTTOM = "bottom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One resolution of the pyramid, as a TIFF directory stores it."""

    ifd: int
    """Number of the directory in the file's chain, from 0."""
    image_width: int
    image_length: int
    tile_width: int
    tile_length: int
    samples_per_pixel: int
    bits_per_sample: int
    compression: int
    """TIFF tag 259."""
    photometric_interpretation: int
    """TIFF tag 262."""
    tiles: TileIndex
    jpeg_tables: bytes | None = field(default=None, repr=False)
    spacing: Spacing | None = None
    """Spacing that the source gives for this very level, if it can be trusted."""
    picture: Picture | Strips | Mosaic | Montage | None = None
    """Set if its tiles are no frames; its tiles are then those it can be cut into, without data."""
    raster: Raster | None = None
    """Set if its tiles must be decoded; in strips, its tiles are those it can be cut into."""
    surplus: npt.NDArray[np.uint64] | None = field(default=None, repr=False)
    """Shape (n, 2): offset and byte count of tiles that hold padding only, and become no frame."""
    region: int = 0
    """Which of the slide's regions it shows."""
    optical_path: int = 0
    """By which of the slide's optical paths it was taken."""
    planes_above: tuple["Level", ...] = field(default=(), repr=False)
    """The same picture in further focal planes, from this one upwards; none has any itself."""
    plane_distance_um: float | None = None
    """From one focal plane to the next, if there are several."""
    refused: UnsupportedSlideError | None = field(default=None, repr=False)
    """Set if its tags alone tell that it can be no instance; its tiles are then none."""
    are_colour_tags_sure: bool = True
    """Whether tags 259 and 262 say what the samples are, as far as the writer can be trusted."""
    other_ifds: tuple[int, ...] = ()
    """Directories of its further colours, if each has one of its own."""

    @property
    def focal_planes(self) -> tuple["Level", ...]:
        """All focal planes in their order, this one first."""
        return (self, *self.planes_above)

    @property
    def ifds(self) -> tuple[int, ...]:
        """Numbers of all directories that it is stored in, those of all focal planes."""
        return tuple(ifd for plane in self.focal_planes for ifd in (plane.ifd, *plane.other_ifds))

    @property
    def frame_count(self) -> int:
        """How many frames its tiles become, those of all focal planes."""
        return self.tiles.across * self.tiles.down * len(self.focal_planes)

    @property
    def has_tiles(self) -> bool:
        """Whether its frames are tiles, and not cut out of something larger."""
        return self.picture is None and (self.raster is None or self.raster.is_tiled)

    def stored_ranges(self) -> npt.NDArray[np.uint64]:
        """Return offset and byte count of all streams of the level in the file, shape (n, 2)."""
        if self.planes_above:
            planes = (replace(self, planes_above=()), *self.planes_above)
            return np.concatenate([plane.stored_ranges() for plane in planes])
        if isinstance(self.picture, Picture):
            return np.array([[self.picture.offset, self.picture.byte_count]], np.uint64)
        held = self.raster or self.picture or self.tiles
        ranges = np.stack([held.offsets, held.byte_counts], axis=1)
        return ranges if self.surplus is None else np.concatenate([ranges, self.surplus])


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """An area of the glass that was scanned by itself, so a pyramid of its own."""

    corner_mm: tuple[float, float] | None = None
    """X and Y on the slide of the outer corner at the first pixel, if the source tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalPath:
    """With what light a level was taken: a channel, if the slide was lit to glow."""

    is_fluorescence: bool = False
    """Else the light went through the slide."""
    wave_length_nm: float | None = None
    """Of the light that makes it glow, in nanometres; ``None`` if the source does not tell."""
    name: SourceText | None = None
    """What the slide calls the channel; only a closed vocabulary is looked up in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPixels:
    """How and where a picture is stored that may be decoded as a whole; samples of 8 bits."""

    image_width: int
    image_length: int
    tile_width: int
    tile_length: int
    is_tiled: bool
    """Tiles are padded to their size; strips, as wide as the picture, end where it ends."""
    samples_per_pixel: int
    compression: int
    """TIFF tag 259."""
    photometric_interpretation: int
    """TIFF tag 262."""
    tiles: TileIndex
    predictor: int = 1
    """TIFF tag 317."""
    jpeg_tables: bytes | None = field(default=None, repr=False)
    overlap: tuple[int, int] = (0, 0)
    """Columns and rows that neighbouring tiles share."""
    held: bytes | None = field(default=None, repr=False)
    """What its tiles lie in, where that is no part of the file as it is: Base64 in a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociatedImage:
    """A picture that is not a level. Whatever is not recognised is a LABEL."""

    ifd: int
    """The directory that holds it, or the text that it stands in."""
    role: Role
    image_width: int
    image_length: int
    pixels: StoredPixels | None = None
    """``None`` if the picture is not to be decoded, or cannot be."""
    is_known_label: bool = False
    """Whether the slide tells that it is the label; any other LABEL may be one, or anything."""

    @property
    def is_recognised(self) -> bool:
        """Whether it is known to show what its role says, so that it may go out as that."""
        return self.role is not Role.LABEL or self.is_known_label


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One of the files that a slide lies in, one after the other."""

    path: Path = field(repr=False)
    start: int
    """How many bytes of other files lie in front of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slide:
    """What was scanned: levels, and what comes with them."""

    format: str
    levels: tuple[Level, ...]
    """Region by region, in each one optical path after the other, from the largest to the
    smallest."""
    associated_images: tuple[AssociatedImage, ...]
    metadata: RawMetadata
    spacing: Spacing | None
    """Pixel spacing of the first level, ``None`` if the source does not tell."""
    objective_power: float | None
    label_side: LabelSide
    private_ranges: npt.NDArray[np.uint64] = field(repr=False)
    """Shape (n, 2): offset and byte count of what no frame may touch: other pictures, texts."""
    regions: tuple[Region, ...] = (Region(),)
    notes: tuple[str, ...] = ()
    """What the user should know about how the slide was understood; no source text."""
    optical_paths: tuple[OpticalPath, ...] = (OpticalPath(),)
