"""Checks finished files, independently of what wrote them.

Every byte of every file is searched for the source's texts in every encoding; names, links, times
and attributes of files are looked at; each instance is walked element by element and frame by
frame. Nothing is imported of the writer, of its tables or of the policy.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path

from coverslip import _core
from coverslip.errors import VerificationError
from coverslip.limits import LIMITS
from coverslip.slide import OpenedSlide, open
from coverslip.verification import decoded, files, header, pictures, schema
from coverslip.verification.files import Entry
from coverslip.verification.frames import frame_ranges
from coverslip.verification.report import Survivor, VerifyReport
from coverslip.verification.source import (
    LevelTiles,
    first_offset,
    level_tiles,
    listed_terms,
    terms_of_slide,
)
from coverslip.verification.terms import Terms

OnProgress = Callable[[int, int], object]
"""Called with the bytes that are done and those that there are."""

_CERTIFICATE = ".certificate.json"
_PICTURES = ("LABEL", "OVERVIEW")
"""No tiles of the slide: these were drawn, or changed."""
_JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
_COMPOSED = "frames against tiles: they were composed and encoded anew, so no tile has their pixels"
_OUT_OF_SCOPE = (
    "bar codes in levels, and text in any picture: those pixels are not looked at",
    "terms of fewer than four characters, and numbers of fewer than five digits",
    "terms of fewer than seven characters inside compressed frames, where chance writes them too",
)
_NO_TERMS = "texts of the source: neither a slide nor a list of terms was given"
_NO_FRAMES = "frames against tiles: no slide was given"


def verify(
    out: str | PathLike[str],
    source: str | PathLike[str] | None = None,
    terms: str | PathLike[str] | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> VerifyReport:
    """Check finished files and return what was found, by kind and place.

    Parameters
    ----------
    out
        The output folder, a study in it, or one file.
    source
        The slide: all its texts are looked for, and its tiles compared with the frames.
    terms
        A text file with more terms, one a line.
    on_progress
        Called about ten times a second with the bytes that are done and those that there are.

    Raises
    ------
    VerificationError
        If there is nothing to check.
    SourceError, UnsupportedSlideError, LimitError
        If the slide cannot be opened.
    OSError
        If a file cannot be read; without its name.
    """
    root = Path(fspath(out))
    slide = None if source is None else open(source)
    listed = () if terms is None else listed_terms(Path(fspath(terms)))
    tiles = () if slide is None else tuple(level_tiles(slide))
    times = None if source is None else Path(fspath(source)).stat()
    check = _Check(
        terms=terms_of_slide(slide, listed), slide=slide, tiles=tiles, source=times,
        on_progress=on_progress, slide_path=None if source is None else Path(fspath(source)),
    )  # fmt: skip
    check.unchecked.extend(check.terms.notes)
    with closing(check.comparer):
        check.folder(root.absolute())
    if check.file_count == 0:
        raise VerificationError("there is no file to check")
    out_of_scope = list(_OUT_OF_SCOPE)
    if slide is None:
        out_of_scope.insert(0, _NO_FRAMES)
    if slide is None and not listed:
        out_of_scope.insert(0, _NO_TERMS)
    return check.report(tuple(out_of_scope))


def require_clean(study: Path, slide: OpenedSlide, released: Iterable[str] = ()) -> None:
    """Raise if anything in a finished study is not as it must be; see `verify`.

    ``released`` are texts that the operator lets go out on purpose.

    The frames were compared with the tiles when they were read back, so that is not repeated.

    Raises
    ------
    VerificationError
        For the first thing that is found, or that could not be checked.
    """
    check = _Check(terms=terms_of_slide(slide, released=released), hashes=False)
    check.folder(study)
    for survivor in check.found:
        raise VerificationError(
            f"the independent check found: {survivor}",
            hint="nothing was written; please report this line, it holds nothing of the slide",
        )
    for what in check.unchecked:
        raise VerificationError(f"the independent check could not check: {what}")


@dataclass(kw_only=True)
class _Check:
    """One run over a folder."""

    terms: Terms
    slide: OpenedSlide | None = None
    tiles: tuple[LevelTiles, ...] = ()
    slide_path: Path | None = None
    source: os.stat_result | None = None
    hashes: bool = True
    """Whether digests in certificates are compared."""
    on_progress: OnProgress | None = None
    found: list[Survivor] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    file_count: int = 0
    byte_count: int = 0
    bytes_done: int = 0
    bytes_in_all: int = 0
    comparer: decoded.Comparer = field(default_factory=decoded.Comparer)
    instances: dict[str, Path] = field(default_factory=dict)
    """Paths by SOP Instance UID."""
    frames: int = 0
    frames_equal: int = 0
    numbers: set[str] = field(default_factory=set)
    """Sizes that the outputs tell rightfully."""
    studies: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.scanner = _core.Scanner([(t.spelling, t.whole_word) for t in self.terms.terms])

    def report(self, out_of_scope: tuple[str, ...]) -> VerifyReport:
        """Return what was found so far."""
        return VerifyReport(
            files=self.file_count,
            instances=len(self.instances),
            frames=self.frames,
            frames_equal=None if self.slide is None else self.frames_equal,
            byte_count=self.byte_count,
            terms=len(self.terms.terms),
            encodings=tuple(_core.Scanner.ENCODINGS),
            found=tuple(dict.fromkeys(self.found)),
            unchecked=tuple(dict.fromkeys(self.unchecked)),
            out_of_scope=out_of_scope,
        )

    def folder(self, root: Path) -> None:
        """Check all that is in a folder; instances first, since they tell sizes."""
        try:
            entries = list(files.entries_of(root))
            self.bytes_in_all = sum(entry.path.lstat().st_size for entry in entries)
            others = [entry for entry in entries if not self._instance_or_folder(entry)]
            for entry in others:
                self._other(entry)
        except OSError as error:
            raise OSError(error.errno, error.strerror) from None

    def _report(self, done: int) -> None:
        """Pass on how far the search of the present file is."""
        if self.on_progress is not None:
            self.on_progress(self.bytes_done + done, self.bytes_in_all)

    def _instance_or_folder(self, entry: Entry) -> bool:
        """Check what every entry has, and the contents of instances; tell if that was all."""
        self._found(entry, files.problems_of(entry, self.terms.dates, self.source))
        self._hits(entry, "name", self.scanner.scan_bytes(_encoded(entry.relative)))
        for name, value in files.attributes_of(entry.path).items():
            data = _encoded(name) + b"\n" + value
            self._hits(entry, "extended attributes", self.scanner.scan_bytes(data))
        if entry.path.is_symlink():
            target = _encoded(str(entry.path.readlink()))
            self._hits(entry, "link", self.scanner.scan_bytes(target))
        if entry.path.is_symlink() or not (entry.is_folder or entry.path.is_file()):
            return True
        if entry.is_folder:
            if not any(entry.path.iterdir()):
                self._found(entry, [("folder", "it is empty")])
            return True
        self.file_count += 1
        self.byte_count += entry.path.stat().st_size
        if entry.path.suffix != ".dcm":
            return False
        try:
            instance = header.read(entry.path)
        except header.UnreadableError as error:
            self.unchecked.append(f"{entry.shown}: {error}")
            self._bytes(entry)
            return True
        self._instance(entry, instance)
        return True

    def _instance(self, entry: Entry, instance: header.Header) -> None:
        self._found(entry, instance.problems)
        study, _, uid = instance.uids
        if (*entry.path.parts[-3:-1], entry.path.stem) != instance.uids:
            self._found(entry, [("name", "its path is not made of its three UIDs")])
        if uid in self.instances:
            self._found(entry, [("(0008,0018)", "another file has the same SOP Instance UID")])
        self.instances[uid] = entry.path
        self.studies.add(study)
        self.numbers |= instance.sizes
        report = self.scanner.check_instance(
            entry.path,
            instance.pixel_data_offset,
            extended_offset_table=instance.extended_offset_table,
            numbers=instance.numbers,
            tiles=self._tiles(entry, instance),
            on_progress=self._report,
        )
        self._found(entry, [("frames", problem) for problem in report.problems])
        self.unchecked.extend(f"{entry.shown}: {what}" for what in report.unchecked)
        if report.frame_count != instance.frame_count:
            what = f"it says {instance.frame_count} frames, there are {report.frame_count}"
            self._found(entry, [("(0028,0008)", what)])
        if instance.flavor in _PICTURES:
            self._picture(entry, instance)
        self.bytes_done += entry.path.stat().st_size
        self.frames += report.frame_count
        self.frames_equal += report.frames_equal
        self._hits(entry, None, report.hits, instance)

    def _picture(self, entry: Entry, instance: header.Header) -> None:
        """Look at a label or an overview."""
        try:
            problems = pictures.problems_of(
                entry.path, instance.pixel_data_offset, instance.container_identifier
            )
            self._found(entry, [("frames", what) for what in problems])
        except (ValueError, VerificationError) as error:
            self.unchecked.append(f"{entry.shown}: {error}")

    def _tiles(
        self, entry: Entry, instance: header.Header
    ) -> tuple[_core.Source, _core.TileIndex] | None:
        """Return the tiles that an instance's frames must be, if the slide has such a level."""
        if self.slide is None or instance.flavor in _PICTURES:
            return None
        if len(self.studies) > 1:
            self.unchecked.append("frames against tiles: the folder holds several studies")
            return None
        for level in self.tiles:
            if not _is_of(instance, level):
                continue
            if instance.losses > 1:
                self.unchecked.append(f"{entry.shown}: {_COMPOSED}")
            elif instance.transfer_syntax_uid == _JPEG_2000_LOSSLESS:
                self._pixels(entry, instance, level)
            elif level.coded:
                self._coefficients(entry, instance, level)
            elif level.tiles is not None:
                return self.slide.source, level.tiles
            else:
                self.unchecked.append(f"{entry.shown}: {_COMPOSED}")
            return None
        self.unchecked.append(f"{entry.shown}: no level of the slide has its size and tiles")
        return None

    def _pixels(self, entry: Entry, instance: header.Header, level: LevelTiles) -> None:
        """Compare the pixels of frames with those that the slide has."""
        if self.slide_path is None:
            raise AssertionError("the slide was opened by a path")
        try:
            offsets, counts = frame_ranges(
                entry.path, instance.pixel_data_offset, instance.frame_count
            )
            each = len(offsets) // len(level.planes)
            planes = [
                decoded.Plane(
                    image_width=level.total_columns,
                    image_length=level.total_rows,
                    columns=level.columns,
                    rows=level.rows,
                    first_offset=first_offset(plane),
                    offsets=offsets[number * each : (number + 1) * each],
                    byte_counts=counts[number * each : (number + 1) * each],
                )
                for number, plane in enumerate(level.planes)
            ]
            result = self.comparer.compare(self.slide_path, entry.path, planes)
        except VerificationError as error:
            self.unchecked.append(f"{entry.shown}: {error}")
            return
        self.frames_equal += result.equal
        differing = (
            f"frame {number} has other pixels than the slide" for number in result.different
        )
        self._found(entry, [("frames", what) for what in differing])

    def _coefficients(self, entry: Entry, instance: header.Header, level: LevelTiles) -> None:
        """Compare the coefficients of frames with those of the pictures or tiles they came from."""
        # What the samples are makes no difference to their coefficients.
        *_, columns, rows = instance.level_size
        frames = _core.JpegFrames(
            columns=columns, rows=rows, colour="YBR", jpeg_tables=level.jpeg_tables
        )
        try:
            offsets, counts = frame_ranges(
                entry.path, instance.pixel_data_offset, instance.frame_count
            )
            written, each = _core.Source(entry.path), len(offsets) // len(level.coded)
            for plane, coded in enumerate(level.coded):
                part = slice(plane * each, (plane + 1) * each)
                ranges = (written, offsets[part], counts[part])
                if isinstance(coded.held, _core.Mosaic):
                    equal = _core.prove_rewritten(coded.source, coded.held, frames, *ranges)
                    self.frames_equal += equal
                else:
                    _core.prove_retiled(coded.source, coded.held, frames, *ranges)
                    self.frames_equal += each
        except VerificationError as error:
            self._found(entry, [("frames", str(error))])

    def _other(self, entry: Entry) -> None:
        """Check a file that is no instance: a certificate, or something that must not be here."""
        self._bytes(entry)
        if entry.path.name.endswith(_CERTIFICATE):
            try:
                problems = list(self._certificate(entry.path))
                self._found(entry, [("certificate", what) for what in problems])
            except NotImplementedError as error:
                self.unchecked.append(f"{entry.shown}: {error}")
        else:
            self._found(entry, [("folder", "a file that belongs to no study")])

    def _certificate(self, path: Path) -> Iterator[str]:
        """Check a certificate against its schema, its place and the instances that it lists."""
        if path.stat().st_size > LIMITS.checked_certificate_bytes:
            yield "it is larger than a certificate can be"
            return
        try:
            certificate = json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError):
            yield "it is not JSON"
            return
        broken = list(schema.problems_of(certificate, schema.certificate_schema()))
        yield from broken
        if broken:
            return
        if path.name != f"{certificate['slide_pseudonym']}{_CERTIFICATE}":
            yield "its name is not the container identifier"
        if path.parent.name != certificate["study_instance_uid"]:
            yield "it lies in the folder of another study"
        for record in certificate["instances"]:
            instance = self.instances.get(record["sop_instance_uid"])
            if instance is None:
                yield "it lists an instance that is not there"
            elif self.hashes and record["sha256"] is not None:
                with instance.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != record["sha256"]:
                        yield "an instance is not the one that it lists"

    def _bytes(self, entry: Entry) -> None:
        hits = self.scanner.scan_file(entry.path, on_progress=self._report)
        self.bytes_done += entry.path.stat().st_size
        self._hits(entry, None, hits)

    def _found(self, entry: Entry, problems: Iterable[tuple[str, str]]) -> None:
        shown = self._shown(entry)
        self.found.extend(Survivor(file=shown, place=place, what=what) for place, what in problems)

    def _hits(
        self,
        entry: Entry,
        place: str | None,
        hits: Iterable[_core.Hit],
        instance: header.Header | None = None,
    ) -> None:
        shown = self._shown(entry)
        for hit in hits:
            term = self.terms.terms[hit.term]
            if term.spelling in self.numbers:
                continue
            where = place or f"byte {hit.offset}"
            if place is None and instance is not None:
                where = f"{instance.place_of(hit.offset)}, byte {hit.offset}"
            what = f"term {hit.term + 1} ({term.kind})"
            self.found.append(Survivor(file=shown, place=where, what=what, encoding=hit.encoding))

    def _shown(self, entry: Entry) -> str:
        """Return a name for the report: none in which a term is."""
        if self.scanner.scan_bytes(_encoded(entry.relative)):
            return "a file with a name that identifies"
        return entry.shown


def _encoded(name: str) -> bytes:
    return os.fsencode(name)


def _is_of(instance: header.Header, level: LevelTiles) -> bool:
    """Tell whether an instance has the size and frames of a level, and its light."""
    *total, columns, rows = instance.level_size
    if total != [level.total_columns, level.total_rows]:
        return False
    if instance.optical_path != level.optical_path or min(columns, rows) < 1:
        return False
    if level.is_cut:
        grid = -(-level.total_columns // columns) * -(-level.total_rows // rows)
        return instance.frame_count == grid * len(level.coded)
    has_frames = instance.frame_count == level.frame_count
    return has_frames and (columns, rows) == (level.columns, level.rows)
