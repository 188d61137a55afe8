"""A slide that was opened: what it holds, what it gives away, what would become of it."""

from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path

from coverslip import _core, formats
from coverslip.colour import Judge, Samples
from coverslip.cutting import Frames, cut_into
from coverslip.deid.policy import Policy
from coverslip.deid.scrub import Scrubbed, scrub
from coverslip.deid.uids import RandomIdentity
from coverslip.errors import (
    CoverslipError,
    PolicyError,
    SourceError,
    UnsupportedSlideError,
    at_level,
)
from coverslip.leftovers import leftovers_of
from coverslip.model import (
    AssociatedImage,
    Finding,
    Leftover,
    Level,
    Picture,
    Slide,
    SourceFile,
    SourceText,
    Spacing,
)
from coverslip.routes import Choices, J2kYcc, Route, decide
from coverslip.sampling import core_picture
from coverslip.tiff import open_tiff

_MAX_PATHS = 999
_FIT_PIXELS = 1 << 18
"""Of a level whose colours are looked at before those of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSlide:
    """A slide as `coverslip.open` returns it; its files are only read and never shown by name."""

    description: Slide
    source: _core.Source = field(repr=False)
    files: tuple[SourceFile, ...] = field(default=(), repr=False)
    """The files that it lies in, one after the other; most slides are one."""
    path_parts: tuple[SourceText, ...] = field(default=(), repr=False)
    """The file's name and those of the folders above it, sealed: what must not be written."""

    @property
    def format(self) -> str:
        """Name of the format, ``Aperio SVS`` for example."""
        return self.description.format

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels of the pyramid, largest first."""
        return self.description.levels

    @property
    def associated_images(self) -> tuple[AssociatedImage, ...]:
        """Label, overview and thumbnail; what becomes of them is the policy's to say."""
        return self.description.associated_images

    @property
    def spacing(self) -> Spacing | None:
        """Pixel spacing of the base level, ``None`` if the slide does not tell."""
        return self.description.spacing

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the slide gives away and what would become of it, by place and never by value."""
        return self.scrub(Policy()).findings

    def scrub(self, policy: Policy) -> Scrubbed:
        """Return what may be written of the slide's metadata under a policy."""
        return scrub(
            self.description,
            policy,
            RandomIdentity(),
            package_version=_core.__version__,
            leftovers=self.leftovers(),
        )

    def leftovers(self) -> tuple[Leftover, ...]:
        """Return what lies in the slide beside its tags and pixels; reads a sample of its tiles."""
        return leftovers_of(self.description, self.source.byte_count, self.source.read)

    def cut_into(self, frames: Frames) -> "OpenedSlide":
        """Return the slide with frames of a size for levels that are one JPEG, as NDPI's are."""
        return replace(self, description=cut_into(self.description, self.source, frames))

    def routes(
        self,
        *,
        colour: Samples | None = None,
        allow_pixel: bool = False,
        allow_recode: int | None = None,
        j2k_ycc: J2kYcc | None = None,
        deflated_frames: bool = False,
    ) -> tuple[Route, ...]:
        """Return what would happen to each level; reads only a sample of its tiles."""
        choices = Choices(
            judge=Judge(declared=colour),
            allow_pixel=allow_pixel,
            allow_recode=allow_recode,
            j2k_ycc=j2k_ycc,
            deflated_frames=deflated_frames,
        )
        return self._routed(choices)[1]

    def routed(self, policy: Policy) -> tuple["OpenedSlide", tuple[Route, ...]]:
        """Return the slide as its levels are to be read under a policy, and the route of each."""
        choices = Choices(
            judge=Judge(declared=policy.colour),
            allow_pixel=policy.allow_pixel,
            allow_recode=policy.allow_recode,
            j2k_ycc=policy.j2k_ycc,
            deflated_frames=policy.deflated_frames,
        )
        slide, routes = self.cut_into(policy.ndpi_frames)._routed(choices)
        return slide, tuple(replace(route, is_sparse=policy.sparse) for route in routes)

    def _routed(self, choices: Choices) -> tuple["OpenedSlide", tuple[Route, ...]]:
        paths = self.description.optical_paths
        by_fitness = sorted(enumerate(self.levels), key=_by_how_fit_to_look_at)
        decided = {
            number: decide(
                self.source,
                level,
                self.description.private_ranges,
                choices,
                is_fluorescence=paths[level.optical_path].is_fluorescence,
            )
            for number, level in by_fitness
        }
        ordered = [decided[number] for number in range(len(self.levels))]
        levels = tuple(level for _, level in ordered)
        slide = replace(self, description=replace(self.description, levels=levels))
        return slide, tuple(route for route, _ in ordered)


def _by_how_fit_to_look_at(numbered: tuple[int, Level]) -> tuple[bool, int]:
    """Sort a small level before larger ones: it shows most of the glass in the fewest tiles.

    Smaller than a tile or two, it shows mostly how tiles are padded, so it comes last.
    """
    _, level = numbered
    pixels = level.image_width * level.image_length
    return pixels < _FIT_PIXELS, pixels


def open(path: str | PathLike[str]) -> OpenedSlide:
    """Return a slide; nothing is written and no tile is read.

    Parameters
    ----------
    path
        The TIFF file; of a set of OME-TIFF any of its files, of one of NDPI the index.

    Raises
    ------
    UnsupportedSlideError
        If it is a slide of another kind; the message says which and what to do.
    SourceError
        If it is damaged, or not a TIFF at all.
    LimitError
        If it exceeds a limit on untrusted input.
    OSError
        If it cannot be read; without the file's name, which may identify a patient.
    """
    path = Path(fspath(path))
    with open_tiff(path) as tiff:
        description = formats.detect(tiff)
        files = tuple(SourceFile(path=file.path, start=file.start) for file in tiff.files)
        source = _core.Source(*(file.path for file in files))
        if source.stamps != tiff.stamps:
            raise SourceError("the file was replaced while it was being opened")
    _check_paths(description)
    parts = tuple(SourceText(part.name) for part in (path.absolute(), *path.absolute().parents))
    description = cut_into(_with_true_sizes(description, source), source, "auto")
    return OpenedSlide(description=description, source=source, files=files, path_parts=parts)


def _check_paths(slide: Slide) -> None:
    """Raise for levels of no optical path, or more paths than Optical Path Identifiers have."""
    count = len(slide.optical_paths)
    if count > _MAX_PATHS:
        raise UnsupportedSlideError(f"{count} channels are more than can be told apart")
    if not all(0 <= level.optical_path < count for level in slide.levels):
        raise SourceError("a level was taken by an optical path that the slide does not have")


def _with_true_sizes(slide: Slide, source: _core.Source) -> Slide:
    """Return the slide with the sizes of its JPEG pictures, where tags are one pixel off."""
    return replace(
        slide, levels=tuple(_with_true_sizes_of(slide, level, source) for level in slide.levels)
    )


def _with_true_sizes_of(slide: Slide, level: Level, source: _core.Source) -> Level:
    """Return a level with the true size of each of its focal planes."""
    first = _with_true_size(slide, level, source)
    above = tuple(_with_true_size(slide, plane, source) for plane in level.planes_above)
    return replace(first, planes_above=above)


def _with_true_size(slide: Slide, level: Level, source: _core.Source) -> Level:
    if not isinstance(level.picture, Picture):
        return level
    try:
        picture = core_picture(level, level.picture, slide.private_ranges)
        facts = _core.inspect_picture(source, picture)
    except CoverslipError:
        return level  # the level's route tells what is wrong
    is_close = (
        abs(facts.columns - level.image_width) <= 1 and abs(facts.rows - level.image_length) <= 1
    )
    if not is_close:
        return level
    return replace(level, image_width=facts.columns, image_length=facts.rows)


def require_spacing(slide: Slide, policy: Policy) -> Spacing:
    """Return the pixel spacing of the base level, the user's before the slide's.

    Raises
    ------
    PolicyError
        If neither says it: a spacing is never invented.
    """
    if policy.mpp_um is not None:
        return Spacing.from_mpp_um(policy.mpp_um)
    if slide.spacing is None:
        raise PolicyError(
            "the slide does not tell its pixel spacing",
            hint="give it in micrometres per pixel with --mpp, 0.25 for a usual scan at 40x",
        )
    return slide.spacing


def require_copy(number: int, route: Route) -> None:
    """Raise for a level that cannot be copied, with its number and what can be done."""
    if route.error is not None:
        with at_level(number):
            raise route.error
