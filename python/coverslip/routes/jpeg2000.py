"""Routes of JPEG 2000 tiles that become frames."""

from coverslip import _core, colour
from coverslip.model import FrameFormat, RouteKind
from coverslip.routes.route import HTJ2K, JPEG_2000, Choices, Route, refuse
from coverslip.sampling import Sample

COMPRESSIONS = {33003, 33004, 33005, 34712}
"""Values of TIFF tag 259."""
_CORRECTED = (
    "in JPEG 2000 is legal since DICOM correction CP-2650 (2026): older viewers show wrong colours "
    "and older validators report one error"
)
_FEW_READERS = (
    "High-Throughput JPEG 2000 is read by wsidicom, highdicom and pydicom with pylibjpeg; "
    "OpenSlide, pydicom with GDCM and older validators do not read it"
)
TO_RGB = "--j2k-ycc pixel, in Python j2k_ycc='pixel', decodes them once and stores RGB without loss"


def jpeg2000_route(facts: _core.Jpeg2000Facts, sample: Sample, choices: Choices) -> Route:
    """Return the route of JPEG 2000 tiles.

    Raises
    ------
    UnsupportedSlideError
        If they cannot be frames.
    """
    level = sample.level
    notes: list[str] = []
    if level.compression not in COMPRESSIONS:
        notes.append(f"tag 259 says compression {level.compression}, but the tiles are JPEG 2000")
    samples = len(facts.depths)
    if samples != level.samples_per_pixel:
        raise refuse(
            f"its tiles have {samples} components, but tag 277 says {level.samples_per_pixel}"
        )
    if facts.is_signed or len(set(facts.depths)) != 1 or facts.depths[0] not in (8, 16):
        raise refuse("JPEG 2000 samples must be unsigned with 8 or 16 bits in this IOD")
    if samples == 3 and facts.depths[0] != 8:
        raise refuse("colour samples of 16 bits have no place in this IOD")
    if samples == 1 and level.photometric_interpretation == 0:
        raise refuse("white is zero (tag 262), which the VL WSM IOD cannot say")
    photometric, set_mct = "MONOCHROME2", False
    if samples == 3:
        photometric, set_mct, colour_notes = _colour(facts, sample, choices)
        notes.extend(colour_notes)
    elif samples != 1:
        raise refuse("JPEG 2000 tiles with a number of components that is neither one nor three")
    if facts.reversible:
        notes.append(
            "the wavelet is reversible, but a cut stream cannot be told from a whole one: "
            "declared as possibly lossy"
        )
    if facts.high_throughput:
        notes.append(_FEW_READERS)
    name = "HTJ2K" if facts.high_throughput else "JPEG 2000"
    return Route(
        kind=RouteKind.COPY,
        codec=f"{name} {'5/3' if facts.reversible else '9/7'}",
        reason="the tiles are JPEG 2000; only comments and boxes go",
        frame_format=FrameFormat(
            transfer_syntax_uid=HTJ2K if facts.high_throughput else JPEG_2000,
            photometric_interpretation=photometric,
            samples_per_pixel=samples,
            bits_allocated=facts.depths[0],
            lossy_methods=("ISO_15444_15" if facts.high_throughput else "ISO_15444_1",),
        ),
        set_mct=set_mct,
        needs_blank=sample.has_missing,
        notes=tuple(notes),
    )


def _colour(
    facts: _core.Jpeg2000Facts, sample: Sample, choices: Choices
) -> tuple[str, bool, list[str]]:
    """Return the Photometric Interpretation, whether to set the MCT byte, and notes."""
    if facts.separations[0] != (1, 1):
        raise refuse("its JPEG 2000 luminance is subsampled")
    chroma, is_copied = set(facts.separations[1:]), choices.j2k_ycc in (None, "copy")
    if chroma not in ({(1, 1)}, {(2, 1)}):
        raise refuse("JPEG 2000 chroma that is subsampled otherwise than 4:2:2")
    if chroma == {(1, 1)}:
        if facts.mct:
            return ("YBR_RCT" if facts.reversible else "YBR_ICT"), False, []
        verdict = colour.of_jpeg2000(
            facts,
            sample.level,
            lambda: colour.measure_jpeg2000(sample.data(), facts, sample.size),
            choices.judge,
        )
        if verdict.samples == "RGB":
            return "RGB", False, list(verdict.notes)
        if choices.j2k_ycc in (None, "mct"):
            return "YBR_ICT", True, [*verdict.notes, _switched(facts)]
    if not is_copied:
        what = "in 4:2:2" if chroma == {(2, 1)} else "without a colour transformation"
        raise refuse(f"YCbCr samples {what} are not to be copied (--j2k-ycc)", TO_RGB)
    sampling = "4:2:2" if chroma == {(2, 1)} else "4:4:4"
    return "YBR_FULL_422", False, [f"YCbCr {sampling} {_CORRECTED}"]


def _switched(facts: _core.Jpeg2000Facts) -> str:
    """Return the note on a colour transformation that is switched on.

    Raises
    ------
    UnsupportedSlideError
        If it would not be that of the samples.
    """
    if facts.reversible or facts.has_coc:
        raise refuse(
            "YCbCr samples under the reversible wavelet, which no Photometric Interpretation of "
            "this IOD describes",
            TO_RGB,
        )
    return "YCbCr samples: the colour transformation of JPEG 2000 was switched on, one byte a tile"
