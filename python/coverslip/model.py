"""What a slide is and what may leave it, as plain frozen values.

`RawMetadata` holds what the source says, sealed; `CleanMetadata` holds what may be written.
They are different types on purpose: `coverslip.dicom` accepts only the second, and only
`coverslip.deid.scrub` makes one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from coverslip.errors import PolicyError

Uint64Array = npt.NDArray[np.uint64]


class SourceText:
    """Text of a slide, sealed: printing, formatting and encoding it show nothing.

    The DICOM writer's allow-list refuses it wherever it stands, so it cannot reach an output by
    mistake.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "<sealed>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceText) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """Return the text itself; for detection, scrubbing and verification only."""
        return self._text


class OperatorText:
    """Text that the operator gave about a slide: the only free text that may be written.

    It has a type of its own so that nothing of a slide can pass for it. Printing it shows
    nothing either.

    Parameters
    ----------
    text
        At most 64 printable characters without a backslash, which separates values in DICOM.

    Raises
    ------
    PolicyError
        If it is empty, too long, or holds what may not be in a value; without the text.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise PolicyError("what the operator gives must be text")
        if not re.fullmatch(r"[^\\\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}", text):
            raise PolicyError("a text must have 1 to 64 printable characters and no backslash")
        self._text = text

    def __repr__(self) -> str:
        return "<given>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OperatorText) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text


class Profile(StrEnum):
    """What the output is for; the strictest is the default.

    Aliases are accepted by the constructor: ``Profile("anonymised")`` is `PUBLIC`.
    """

    PUBLIC = "public"
    RESEARCH = "research"
    CARE = "care"

    @classmethod
    def _missing_(cls, value: object) -> "Profile":
        alias = _ALIASES.get(value) if isinstance(value, str) else None
        if alias is None:
            raise PolicyError(
                "there is no profile of this name", hint=f"choose one of {', '.join(cls)}"
            )
        return alias


_ALIASES = {
    "anonymised": Profile.PUBLIC,
    "pseudonymised": Profile.RESEARCH,
    "clinical": Profile.CARE,
}


class ItemKind(StrEnum):
    """What a piece of source metadata may give away."""

    NAME = "file name"
    IDENTIFIER = "identifier"
    DATE = "date"
    DEVICE = "device"
    PERSON = "person"
    PLACE = "place"
    TEXT = "free text"
    PICTURE = "picture"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceItem:
    """One place in the source that holds text.

    ``place`` and ``key`` are in our words (``IFD 0 ImageDescription``, ``Filename``): a key that
    is not in the vocabulary of its format is itself source text, and ``key`` is then ``None``.
    """

    place: str
    key: str | None
    kind: ItemKind
    text: SourceText


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMetadata:
    """What the source says beside its pixels; never written."""

    items: tuple[SourceItem, ...] = ()
    device: tuple[SourceText, ...] = ()
    """Texts that name the scanner; only a closed vocabulary is looked up in them."""
    icc_profile: bytes | None = field(default=None, repr=False)


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
    picture: Picture | Strips | Mosaic | None = None
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
    are_colour_tags_sure: bool = True
    """Whether tags 259 and 262 say what the samples are, as far as the writer can be trusted."""

    @property
    def focal_planes(self) -> tuple["Level", ...]:
        """All focal planes in their order, this one first."""
        return (self, *self.planes_above)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociatedImage:
    """A picture that is not a level. Whatever is not recognised is a LABEL."""

    ifd: int
    role: Role
    image_width: int
    image_length: int
    pixels: StoredPixels | None = None
    """``None`` if the picture is not to be decoded, or cannot be."""


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


class RouteKind(StrEnum):
    """What happens to the tiles of a level."""

    COPY = "copy"
    STITCH = "stitch"
    RETILE = "retile"
    PIXEL = "pixel"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFormat:
    """How the frames of one instance are encoded, in DICOM's terms."""

    transfer_syntax_uid: str
    photometric_interpretation: str
    samples_per_pixel: int
    bits_allocated: int
    lossy_method: str | None
    """Term of (0028,2114), ``None`` if the data were never compressed with loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """One level, or an overview, on its way into an instance: numbers only."""

    sop_instance_uid: str
    region: int = 0
    instance_number: int
    is_base: bool
    total_pixel_matrix_columns: int
    total_pixel_matrix_rows: int
    columns: int
    """Width of a frame in pixels."""
    rows: int
    frame_count: int
    spacing: Spacing
    optical_path: int = 0
    focal_planes: int = 1
    plane_distance_um: float | None = None
    """From one focal plane to the next, if there are several."""
    imaged_volume_width_mm: float
    imaged_volume_height_mm: float
    label_side: LabelSide
    frame_format: FrameFormat
    compression_ratio: float | None
    """Uncompressed bytes to those after the last loss; ``None`` where nothing was lost."""
    role: Role = Role.VOLUME
    is_as_scanned: bool = False
    """Whether a label or overview shows what the camera saw, the slide's own label with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanRegion:
    """What may be written about one region: a series of its own."""

    series_instance_uid: str
    pyramid_uid: str
    dimension_organization_uid: str
    corner_mm: tuple[float, float] | None
    """Where it lies; ``None`` where a default will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanOpticalPath:
    """What may be written about one optical path."""

    is_fluorescence: bool = False
    wave_length_nm: float | None = None
    description: str | None = None
    """The name of a dye, or the number of the channel; ``None`` where neither may be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanMetadata:
    """What may be written about a slide. Made by `coverslip.deid.scrub` and nowhere else."""

    profile: Profile
    slide_pseudonym: str
    """Stands for the slide in the certificate and its name, whatever the profile."""
    patient_id: str
    patient_name: str
    container_identifier: str
    specimen_identifier: str
    study_instance_uid: str
    frame_of_reference_uid: str
    specimen_uid: str
    regions: tuple[CleanRegion, ...]
    sop_instance_uids: tuple[str, ...]
    """One for each level, in the order of the slide's."""
    associated_sop_instance_uids: tuple[str, ...]
    """For a label and an overview, if they go out."""
    study_date: str
    study_time: str
    content_date: str
    content_time: str
    acquisition_date_time: str
    manufacturer: str
    manufacturer_model_name: str
    device_serial_number: str
    software_versions: str
    objective_power: float | None
    optical_paths: tuple[CleanOpticalPath, ...]
    icc_profile: bytes = field(repr=False)
    icc_is_synthetic: bool
    """True if the source had no profile and sRGB was assumed."""
    srgb_profile: bytes = field(repr=False)
    """For an overview: the profile of the source is that of another camera."""
    patient_identity_removed: bool
    deidentification_method: tuple[str, ...]
    deidentification_codes: tuple[str, ...]
    """Code values of CID 7050, scheme DCM."""
    longitudinal_temporal_information_modified: str | None
    accession_number: str = ""
    given: Mapping[str, OperatorText] = field(default_factory=dict, repr=False)
    """What the operator gave and the policy lets out, by path of keywords; dates are shifted."""
    stains: tuple[str, ...] = ()
    """Codes of the list ``stains``."""
    anatomy: str | None = None
    """A code of the list ``anatomy``."""


class Fate(StrEnum):
    """What became of something that was found in the source."""

    DROPPED = "dropped"
    REPLACED = "replaced"
    CLEANED = "cleaned"
    MASKED = "masked"
    KEPT = "kept"


class CheckResult(StrEnum):
    """Whether a check ran. One that fails leaves no output and no certificate."""

    PASSED = "passed"
    ATTESTED = "attested"
    """It found something, and a person vouches that this identifies nobody."""
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelChecks:
    """What searching the pixels that go out came to."""

    bar_codes: CheckResult = CheckResult.NOT_RUN
    text: CheckResult = CheckResult.NOT_RUN
    """``PASSED`` only if text was looked for by reading it."""
    masked_ifd: int | None = None
    """Directory of the overview that goes out masked, if one does."""
    kept_ifds: frozenset[int | None] = frozenset()
    """Directories of the pictures that go out as they were scanned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in the source that may identify, and what became of it; never its value."""

    place: str
    key: str | None
    kind: ItemKind
    fate: Fate
    attribute: str | None = None
    """Keyword of the attribute that now holds what replaced it, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFinding:
    """A finding with the text it is about; for the vault only."""

    finding: Finding
    text: SourceText | None
    """``None`` where what was found is no text: a picture, a time of the file system."""
