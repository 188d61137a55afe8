"""What a route is, and what the operator lets happen to the tiles that cannot be frames."""

from dataclasses import dataclass, field
from typing import Literal

from coverslip.colour import Judge
from coverslip.errors import CoverslipError, UnsupportedSlideError
from coverslip.model import FrameFormat, RouteKind

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K = "1.2.840.10008.1.2.4.203"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
J2kYcc = Literal["copy", "mct", "pixel"]
"""What becomes of YCbCr in JPEG 2000 that its own colour transformation does not know of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the operator says of a slide's samples, and allows to be done to its tiles."""

    judge: Judge = field(default_factory=Judge)
    """Knows what the operator says the samples of three-component tiles are, and what other levels
    of the slide look like."""
    allow_pixel: bool = False
    """Whether tiles that cannot be frames as they are may be decoded and stored without loss."""
    allow_recode: int | None = None
    """Quality of the JPEG in which tiles that only fit together once they are decoded may be
    encoded; ``None`` does not let that happen."""
    j2k_ycc: J2kYcc | None = None
    """``None`` for ``mct`` where that can be, else ``copy``."""
    deflated_frames: bool = False
    """Whether Deflate tiles may be copied to frames that few readers know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What would happen to a level, and why; the words are those of the documentation."""

    kind: RouteKind
    codec: str
    reason: str
    frame_format: FrameFormat | None = None
    jpeg_colour: Literal["RGB", "YBR", "GREY"] | None = None
    set_mct: bool = False
    is_inverted: bool = False
    is_emitted: bool = False
    """Whether it is light that the specimen gives off, so that nothing is black."""
    needs_blank: bool = False
    is_sparse: bool = False
    """Whether tiles that are missing become no frame."""
    quality: int | None = None
    """Of the JPEG that is encoded, if it is."""
    notes: tuple[str, ...] = ()
    error: CoverslipError | None = None

    def to_dict(self) -> dict[str, object]:
        """Return what is fit for JSON."""
        described: dict[str, object] = {
            "route": str(self.kind),
            "codec": self.codec,
            "reason": self.reason,
            "notes": list(self.notes),
        }
        if self.error is not None and self.error.hint is not None:
            described["hint"] = self.error.hint
        if self.frame_format is not None:
            described["transfer_syntax_uid"] = self.frame_format.transfer_syntax_uid
            described["photometric_interpretation"] = self.frame_format.photometric_interpretation
        return described


def refuse(message: str, hint: str | None = None) -> UnsupportedSlideError:
    """Return the error of tiles that cannot become frames."""
    return UnsupportedSlideError(message, hint=hint)


def baseline(photometric: str, samples: int) -> FrameFormat:
    """Return the format of frames in baseline JPEG."""
    return FrameFormat(
        transfer_syntax_uid=JPEG_BASELINE,
        photometric_interpretation=photometric,
        samples_per_pixel=samples,
        bits_allocated=8,
        lossy_methods=("ISO_10918_1",),
    )
