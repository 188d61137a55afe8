"""One slide: open, describe and assemble it, or set it aside."""

from os import PathLike, fspath
from pathlib import Path
from typing import Literal

from coverslip.assembly import Result as Result
from coverslip.assembly import Work, assemble
from coverslip.colour import Samples
from coverslip.cutting import Frames
from coverslip.decoders import kept
from coverslip.deid.custody import Charge, Custody
from coverslip.deid.policy import Policy, Profile, size_of
from coverslip.deid.uids import Identity
from coverslip.errors import PolicyError, QuarantineError
from coverslip.examining import InDoubtError
from coverslip.instances import OnProgress
from coverslip.quarantine import require_quarantine
from coverslip.search import Seen
from coverslip.slide import OpenedSlide, open, require_copy, require_spacing

_VOUCH = (
    "if its pixels identify nobody, convert it again and say who vouches for that with "
    "--pixels-attested WHO"
)


def convert(
    path: str | PathLike[str],
    out_dir: str | PathLike[str],
    *,
    profile: str = "public",
    mpp_um: float | None = None,
    colour: Samples | None = None,
    allow_pixel: bool = False,
    allow_recode: int | None = None,
    ndpi_frames: Frames = "auto",
    j2k_ycc: Literal["copy", "mct", "pixel"] | None = None,
    deflated_frames: bool = False,
    sparse: bool = False,
    max_instance_size: int | str | None = None,
    label: Literal["drop", "substitute", "keep"] | None = None,
    overview: Literal["drop", "mask", "keep"] | None = None,
    thumbnail: Literal["drop", "keep"] = "drop",
    pixels_attested: str | None = None,
    policy: Policy | None = None,
    custody: Custody | None = None,
    overwrite: bool = False,
    verify: bool = True,
    sync: bool = True,
    on_progress: OnProgress | None = None,
) -> Result:
    """Convert one slide and return what was written.

    The instances appear under ``out_dir/<Study Instance UID>`` all together, or not at all.

    Parameters
    ----------
    path
        The slide.
    out_dir
        Folder for the study; made if it does not exist.
    profile
        What the output is for: ``public``, ``research`` or ``care``.
    mpp_um
        Micrometres per pixel of the first level, for a slide that does not tell or tells wrong.
        Other regions follow in the proportion that the slide says.
    colour
        What the samples of three-component tiles are, ``RGB`` or ``YBR``, where the slide's own
        signs contradict each other.
    allow_pixel
        Whether tiles that cannot be frames as they are, Deflate or LZW for example, may be decoded
        and stored with a lossless codec; without it such a slide is refused.
    allow_recode
        Quality, 1 to 100, of the JPEG in which tiles that only fit together once they are decoded
        (Ventana BIF that overlaps) may be encoded: a new loss, declared as such. Without it such a
        slide is refused.
    ndpi_frames
        Side in pixels of the frames that levels of Hamamatsu NDPI are cut into, a multiple of 16;
        ``native`` for frames that are whole restart intervals, so that nothing is coded anew;
        ``auto`` for those where no interval is wider than 2048 pixels, else 1024.
    j2k_ycc
        What becomes of YCbCr in JPEG 2000 that its own transformation does not know of (Aperio
        33003): ``mct`` switches that on, where chroma is not halved; ``copy`` declares it as it
        is, which few readers know; ``pixel`` decodes it to RGB, stored without loss. By default
        ``mct`` where that can be, else ``copy``.
    deflated_frames
        Whether Deflate tiles without a predictor are copied to frames of Deflated Image Frame
        Compression, which few readers know; they need not be decoded then.
    sparse
        Whether tiles that the slide does not have become no frame, in the place of a blank one.
        Such a level is TILED_SPARSE and says of each frame where it lies, which takes some 140
        bytes; without a missing tile a level stays as it is.
    max_instance_size
        Bytes that no file may have more of, or text such as ``"2GB"``: a level that would be larger
        is divided among several, all with the same Concatenation UID, which not every reader puts
        together. No frame is divided.
    label
        ``substitute`` to write one that shows the Container Identifier; ``keep``, under `care`
        only and its default, to write the slide's own; else ``drop``.
    overview
        ``mask`` to write the picture of the whole glass too, its label painted over; it is left
        out where that cannot be done beyond doubt, and `Result.notes` says why. ``keep``, under
        `care` only and its default, to write it as it is; else ``drop``.
    thumbnail
        ``keep``, under `research` and `care`, to write the scanner's small picture of the scan too,
        where a rule of the format says that it shows no label and it looks as the levels do; under
        `research` it is searched for bar codes and text as well. In any doubt it is left out, and
        `Result.notes` says why.
    pixels_attested
        Who vouches that the pixels show nothing that identifies, whatever the search for bar
        codes and text says; the name goes into the certificate.
    policy
        All choices in one, in the place of the fourteen above.
    custody
        Key, metadata and vault; by default neither key nor metadata.
    overwrite
        Whether the slide replaces itself in the output, once the new files are complete.
    verify
        Whether to read every file back, compare it with the source, and let the independent
        check of `coverslip.verify` look for every text of the source in the finished files.
    sync
        Whether to wait until all files are on the disk before they get their names. Without it a
        conversion is as fast as ``cp``, and as safe: it still appears whole or not at all, unless
        the machine itself loses power before the system has written what it holds.
    on_progress
        Called about ten times a second.

    Raises
    ------
    UnsupportedSlideError
        If a level cannot be copied without recoding.
    SourceError, LimitError
        If the slide is damaged, or exceeds a limit.
    PolicyError
        If the pixel spacing is unknown, or the policy cannot be carried out.
    QuarantineError
        Under `public`, if a small level shows a bar code or text, or is stored in a way that is not
        searched, and nobody vouches for it. The slide is converted all the same, into
        ``OUT.quarantine`` beside the output, which only its owner may enter: `study_path` of the
        error. Under `research` it is converted as usual, its levels say that Burned In Annotation
        is YES, and `Result.doubt` says why.
    VerificationError
        If what was written is not what was planned.
    OSError
        Disk, rights; without the source's name.
    """
    if policy is None:
        policy = Policy(
            profile=Profile(profile),
            mpp_um=mpp_um,
            colour=colour,
            allow_pixel=allow_pixel,
            allow_recode=allow_recode,
            ndpi_frames=ndpi_frames,
            j2k_ycc=j2k_ycc,
            deflated_frames=deflated_frames,
            sparse=sparse,
            max_instance_size=size_of(max_instance_size),
            label=label,
            overview=overview,
            thumbnail=thumbnail,
            pixels_attested=pixels_attested,
        )
    slide, source, out = open(path), Path(fspath(path)), Path(fspath(out_dir))
    require_spacing(slide.description, policy)
    with (custody or Custody()).of(slide.description, source, out, policy) as charge:
        return convert_opened(
            slide,
            out,
            policy,
            charge.identity,
            charge=charge,
            overwrite=overwrite,
            verify=verify,
            sync=sync,
            on_progress=on_progress,
        )


@kept()
def convert_opened(
    slide: OpenedSlide,
    out: Path,
    policy: Policy,
    identity: Identity,
    *,
    charge: Charge | None = None,
    overwrite: bool = False,
    verify: bool = True,
    sync: bool = True,
    on_progress: OnProgress | None = None,
) -> Result:
    """Convert an opened slide under an identity; see `convert`."""
    slide, routes = slide.routed(policy)
    spacing = require_spacing(slide.description, policy)
    for number, route in enumerate(routes):
        require_copy(number, route)
    work = Work(
        slide=slide,
        routes=routes,
        spacing=spacing,
        policy=policy,
        identity=identity,
        charge=charge,
        overwrite=overwrite,
        verify=verify,
        sync=sync,
        on_progress=on_progress,
    )
    try:
        return assemble(work, out)
    except InDoubtError as error:
        seen = error.seen
    # What was written said that nothing is burned into the pixels: it is gone, and comes anew.
    if policy.profile is Profile.PUBLIC:
        raise _set_aside(work, out, seen)
    return assemble(work, out, seen)


def _set_aside(work: Work, out: Path, seen: Seen) -> QuarantineError:
    """Write a slide into the quarantine, and return the error that says so.

    Where that cannot be done nothing is written: the slide itself can be looked at as well.
    """
    what = seen.doubt or ""
    try:
        folder = require_quarantine(out)
    except PolicyError as error:
        hint = f"nothing was written, since {error}: look at the slide; {_VOUCH}"
        return QuarantineError(what, hint=hint)
    path = assemble(work, folder, seen).study_path
    hint = f"look at what was set aside, with coverslip report OUT.quarantine; {_VOUCH}"
    return QuarantineError(what, hint=hint, study_path=path)
