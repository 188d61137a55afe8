"""What goes out: instances, what may be said in them, and what became of all else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from coverslip.model.slides import LabelSide, Role, Spacing, Uint64Array
from coverslip.model.text import ItemKind, OperatorText, Profile, SourceText, StoredValue


class RouteKind(StrEnum):
    """What happens to the tiles of a level."""

    COPY = "copy"
    STITCH = "stitch"
    RETILE = "retile"
    PIXEL = "pixel"
    RECODE = "recode"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFormat:
    """How the frames of one instance are encoded, in DICOM's terms."""

    transfer_syntax_uid: str
    photometric_interpretation: str
    samples_per_pixel: int
    bits_allocated: int
    lossy_methods: tuple[str, ...]
    """Terms of (0028,2114), one for each time that something was lost, the oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the instances that a level is divided among: a concatenation (PS3.3 C.7.6.16)."""

    sop_instance_uid: str
    concatenation_uid: str
    number: int
    """From 1."""
    count: int
    """How many parts there are."""
    first_frame: int
    """Among all frames of the level, from 0."""
    frame_count: int


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
    frame_numbers: Uint64Array | None = field(default=None, repr=False, compare=False)
    """Which of the grid's tiles the frames are, in its order, if not all are frames."""
    is_emitted: bool = False
    """Whether it is black where there is no frame, and not white."""
    spacing: Spacing
    optical_path: int = 0
    focal_planes: int = 1
    plane_distance_um: float | None = None
    """From one focal plane to the next, if there are several."""
    imaged_volume_width_mm: float
    imaged_volume_height_mm: float
    label_side: LabelSide
    frame_format: FrameFormat
    compression_ratios: tuple[float, ...]
    """Uncompressed bytes to those after each loss, the oldest first."""
    is_composed: bool = False
    """Whether the pixels of a level were put together and encoded anew."""
    role: Role = Role.VOLUME
    is_as_scanned: bool = False
    """Whether a label or overview shows what the camera saw, the slide's own label with it."""
    part: Part | None = None
    """Which part of a level the instance is, if not all. What stands here else is told of all."""

    @property
    def file_uid(self) -> str:
        """SOP Instance UID of the file: its own, if it is a part."""
        return self.sop_instance_uid if self.part is None else self.part.sop_instance_uid

    @property
    def frames(self) -> range:
        """Which frames of the level are in the file."""
        part = self.part
        if part is None:
            return range(self.frame_count)
        return range(part.first_frame, part.first_frame + part.frame_count)

    @property
    def grid(self) -> tuple[int, int]:
        """How many frames lie side by side, and one below the other, where none is missing."""
        across = -(-self.total_pixel_matrix_columns // self.columns)
        return across, -(-self.total_pixel_matrix_rows // self.rows)

    @property
    def grid_count(self) -> int:
        """How many frames there are where none is missing, in all focal planes."""
        across, down = self.grid
        return across * down * self.focal_planes


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
    """For a label, an overview and a thumbnail, if they go out."""
    concatenation_uids: tuple[str, ...] = ()
    """One for each level, if levels may be divided."""
    uid_of_part: Callable[[int, int], str] | None = field(default=None, repr=False, compare=False)
    """Returns the SOP Instance UID of a part of a level, by their numbers; how many there will be
    is known when the frames are."""
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
    are_levels_in_doubt: bool = False
    """Whether pixels of levels may identify, so that Burned In Annotation is YES."""
    accession_number: str = ""
    given: Mapping[str, OperatorText] = field(default_factory=dict, repr=False)
    """What the operator gave and the policy lets out, by path of keywords; dates are shifted."""
    stains: tuple[str, ...] = ()
    """Codes of the list ``stains``."""
    fixative: str | None = None
    """A code of the list of that name, as the next ones are."""
    embedding: str | None = None
    specimen_type: str | None = None
    anatomy: str | None = None


class Fate(StrEnum):
    """What became of something that was found in the source."""

    DROPPED = "dropped"
    REPLACED = "replaced"
    CLEANED = "cleaned"
    MASKED = "masked"
    KEPT = "kept"


class CheckResult(StrEnum):
    """Whether a check ran. One of files that fails leaves no output and no certificate."""

    PASSED = "passed"
    ATTESTED = "attested"
    """It found something, and a person vouches that this identifies nobody."""
    FOUND = "found"
    """It found something in the pixels, which the instances say."""
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelChecks:
    """What searching the pixels that go out came to."""

    bar_codes: CheckResult = CheckResult.NOT_RUN
    text: CheckResult = CheckResult.NOT_RUN
    """``PASSED`` only if text was looked for by reading it."""
    reduction: int = 1
    """By which factor each side of a level was reduced at most, to be searched."""
    are_levels_in_doubt: bool = False
    """Whether levels show, or may show, what identifies, and nobody vouches that they do not."""
    is_overview_masked: bool = False
    """Whether the overview goes out masked, the only one of the slide."""
    is_thumbnail_written: bool = False
    """Whether the thumbnail goes out, the only one of the slide: it shows the scan alone."""
    kept: frozenset[Role] = frozenset()
    """What the pictures show that go out as they were scanned, each the only one of its role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in the source that may identify, and what became of it; never its value."""

    place: str
    key: str | None
    kind: ItemKind
    fate: Fate
    attribute: str | None = None
    """Keyword of the attribute that now holds what replaced it, if any."""
    pieces: int = 1
    """Of how many pieces it was told as one."""
    byte_count: int | None = None
    """Of all pieces, if it is something beside tags and pixels."""
    looked_at: int | None = None
    """In how many streams it was looked for, if it was found in some."""
    among: int | None = None
    """How many streams there are at that place."""

    @property
    def is_leftover(self) -> bool:
        """Whether it lies beside tags and pixels: inside streams, or where nothing points."""
        return self.byte_count is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFinding:
    """A finding with the text it is about; for the vault only."""

    finding: Finding
    text: SourceText | None
    """``None`` where what was found is no text: a picture, a time of the file system."""
    rule: str
    """Which rule decided its fate, in our words."""
    stored: StoredValue | None = field(default=None, repr=False)
    """Where it lies in the file, if that is not told by its place."""
