"""Checks finished files, independently of what wrote them.

Every byte of every file is searched for the source's texts in every encoding; names, links, times
and attributes of files are looked at; each instance is walked element by element and frame by
frame. Nothing is imported of the writer, of its tables or of the policy.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path

from coverslip import _core
from coverslip.errors import VerificationError
from coverslip.limits import LIMITS
from coverslip.slide import open
from coverslip.verification import allowed, certificates, files, header, labels, pictures
from coverslip.verification.compare import PICTURES, Comparison
from coverslip.verification.files import Entry
from coverslip.verification.notes import Notes, outside, scanner_of
from coverslip.verification.report import VerifyReport
from coverslip.verification.source import listed_terms, terms_of_slide
from coverslip.verification.wholes import Whole, wholes_of

OnProgress = Callable[[int, int], object]
"""Called with the bytes that are done and those that there are."""

_OUT_OF_SCOPE = (
    "terms of fewer than four characters (beyond Latin: six bytes), numbers of fewer than five",
    "terms of fewer than six characters, or seven digits, as parts of longer words",
    "terms of fewer than seven characters inside compressed frames, where chance writes them too",
    "texts of the source that are compressed, encrypted or misspelled",
)
_NO_TERMS = "texts of the source: neither a slide nor a list of terms was given"
_ONLY_HEADERS = "frames, pictures and digests: only headers, names and certificates were looked at"
_NO_CERTIFICATE = "digests and counts of studies in which no certificate lies"
_NO_FRAMES = "frames against tiles: no slide was given"


def verify(
    out: str | PathLike[str] | Sequence[str | PathLike[str]],
    source: str | PathLike[str] | None = None,
    terms: str | PathLike[str] | None = None,
    *,
    given: Iterable[str] = (),
    kept: Iterable[str] = (),
    fast: bool = False,
    on_progress: OnProgress | None = None,
) -> VerifyReport:
    """Check finished files and return what was found, by kind and place.

    Parameters
    ----------
    out
        The output folder, a study in it, or one file; or several of these.
    source
        The slide: all its texts are looked for, and its tiles compared with the frames.
    terms
        A text file with more terms, one a line.
    given
        What the operator knows of the slide. Where an instance says that such a text was retained,
        it may stand there, and nowhere else.
    kept
        Originals that a vault keeps of the slides, where these are not at hand.
    fast
        Whether only what stands before the frames is looked at, and all other files: no frame is
        walked, searched or compared, and no picture.
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
    slide = None if source is None else open(source)
    listed = () if terms is None else listed_terms(Path(fspath(terms)))
    comparison = None if slide is None or fast else Comparison(slide)
    kept = tuple(kept)
    shown, unread = ([], []) if slide is None else labels.texts_of(slide)
    looked_for = terms_of_slide(slide, listed, given, shown, kept)
    check = Check(
        notes=Notes(terms=looked_for, scanner=scanner_of(looked_for)),
        comparison=comparison,
        times=frozenset() if slide is None else frozenset(s[3] for s in slide.source.stamps),
        pixels=None if fast else pictures.Pixels(),
        hashes=not fast,
        only_headers=fast,
        on_progress=on_progress,
    )
    check.notes.unchecked.extend(looked_for.notes)
    check.out_of_scope.extend(unread)
    with nullcontext() if comparison is None else closing(comparison):
        check.folders([Path(fspath(root)).absolute() for root in _listed(out)])
    if check.file_count == 0:
        raise VerificationError("there is no file to check")
    return check.report(has_terms=slide is not None or any((listed, given, kept)))


@dataclass(kw_only=True)
class Check:
    """One run over a folder."""

    notes: Notes
    """What was found so far, and what looks for it."""
    comparison: Comparison | None = None
    pixels: "pictures.Pixels | None" = None
    """Looks at pictures and the lowest level; without it, at pictures alone."""
    times: frozenset[int] = frozenset()
    """When the files of the source were changed, in nanoseconds."""
    hashes: bool = True
    """Whether digests in certificates are compared."""
    only_headers: bool = False
    """Whether of instances only what stands before the frames is looked at."""
    on_progress: OnProgress | None = None
    out_of_scope: list[str] = field(default_factory=lambda: list(_OUT_OF_SCOPE))
    file_count: int = 0
    byte_count: int = 0
    bytes_done: int = 0
    bytes_in_all: int = 0
    instances: dict[str, Path] = field(default_factory=dict)
    """Paths by SOP Instance UID."""
    read: set[Path] = field(default_factory=set)
    """Instances whose bytes were looked at."""
    certified: set[Path] = field(default_factory=set)
    """Folders of studies in which a certificate lies."""
    parts: dict[Path, tuple[Entry, header.Header]] = field(default_factory=dict)
    """Instances that are parts of a level."""
    frames: int = 0
    frames_equal: int = 0
    identified: int = 0
    """Instances that say that identity was not removed."""
    given: int = 0
    """Others that hold what somebody gave."""
    is_identified: dict[str, bool] = field(default_factory=dict)
    """Whether identity is in a study, by its UID."""
    in_doubt: set[str] = field(default_factory=set)
    """SOP Instance UIDs of instances that say that their pixels may identify."""
    names: list[Entry] = field(default_factory=list)
    """What has a name that was not searched yet: what it may tell, instances say."""

    def report(self, *, has_terms: bool) -> VerifyReport:
        """Return what was found so far."""
        out_of_scope = [*self.out_of_scope, *self.notes.terms.out_of_scope]
        if self.pixels is not None:
            out_of_scope += self.pixels.out_of_scope
        if self.identified:
            out_of_scope.append(f"who is meant by {self.identified} instances with identity")
        if self.given:
            out_of_scope.append(f"what was given and {self.given} instances say was retained")
        if self.only_headers:
            out_of_scope.insert(0, _ONLY_HEADERS)
        elif self.comparison is None:
            out_of_scope.insert(0, _NO_FRAMES)
        elif self.comparison.others:
            others = self.comparison.others
            out_of_scope.insert(0, f"frames of {others} other slides in the folder")
        if not {path.parent.parent for path in self.instances.values()} <= self.certified:
            out_of_scope.insert(0, _NO_CERTIFICATE)
        if not has_terms:
            out_of_scope.insert(0, _NO_TERMS)
        return VerifyReport(
            files=self.file_count,
            instances=len(self.instances),
            frames=self.frames,
            frames_equal=None if self.comparison is None else self.frames_equal,
            byte_count=self.byte_count,
            terms=len(self.notes.terms.terms),
            encodings=tuple(_core.Scanner.ENCODINGS),
            found=tuple(dict.fromkeys(self.notes.found)),
            unchecked=tuple(dict.fromkeys(self.notes.unchecked)),
            in_doubt=tuple(self.notes.in_doubt),
            out_of_scope=tuple(out_of_scope),
        )

    def folders(self, roots: Sequence[Path]) -> None:
        """Check all that is in some folders; instances first, since they tell sizes."""
        try:
            entries = [entry for root in roots for entry in files.entries_of(root)]
            if self.comparison is not None:
                self.comparison.choose(e.path for e in entries if e.path.suffix == ".dcm")
                self.notes.unchecked.extend(self.comparison.unchecked)
            self.bytes_in_all = sum(entry.path.lstat().st_size for entry in entries)
            others = [entry for entry in entries if not self._instance_or_folder(entry)]
            self._wholes()
            for entry in others:
                self._other(entry)
            self._search_names()
            if self.pixels is not None:
                for path, what in self.pixels.problems(self.notes.terms):
                    self.notes.problems(files.entry_of(path), [("pixels", what)])
                self.notes.unchecked.extend(self.pixels.unchecked)
        except OSError as error:
            raise OSError(error.errno, error.strerror) from None

    def _search_names(self) -> None:
        """Search the names of files and folders for terms."""
        for entry in self.names:
            hits = self.notes.scanner.scan_bytes(os.fsencode(entry.relative))
            permitted = tuple(allowed.in_name(entry.relative, self._with_identity()))
            self.notes.hits(entry, "name", outside(hits, permitted))
        self.names.clear()

    def _with_identity(self) -> list[str]:
        """Return the UIDs of studies whose instances all say that identity was not removed."""
        return [study for study, is_identified in self.is_identified.items() if is_identified]

    def forget(self, path: Path) -> None:
        """Forget an instance that was removed."""
        self.instances = {uid: known for uid, known in self.instances.items() if known != path}
        self.read.discard(path)
        self.parts.pop(path, None)

    def _report(self, done: int) -> None:
        """Pass on how far the search of the present file is."""
        if self.on_progress is not None:
            self.on_progress(self.bytes_done + done, self.bytes_in_all)

    def _instance_or_folder(self, entry: Entry) -> bool:
        """Check what every entry has, and the contents of instances; tell if that was all."""
        self.notes.problems(entry, files.problems_of(entry, self.notes.terms.dates, self.times))
        self.names.append(entry)
        for name, value in files.attributes_of(entry.path).items():
            self.notes.text(entry, "extended attributes", os.fsencode(name) + b"\n" + value)
        if entry.path.is_symlink():
            self.notes.text(entry, "link", str(entry.path.readlink()))
        if entry.path.is_symlink() or not (entry.is_folder or entry.path.is_file()):
            return True
        if entry.is_folder:
            if not any(entry.path.iterdir()):
                self.notes.problems(entry, [("folder", "it is empty")])
            return True
        self.file_count += 1
        self.byte_count += entry.path.stat().st_size
        if entry.path.suffix != ".dcm":
            return False
        if entry.path in self.read:
            return True
        try:
            instance = header.read(entry.path)
        except header.UnreadableError as error:
            self.notes.problems(entry, error.problems)
            self.notes.not_checked(entry, [error])
            self._bytes(entry)
            return True
        self._instance(entry, instance)
        return True

    def _instance(self, entry: Entry, instance: header.Header) -> None:
        if self.only_headers:
            self._header(entry, instance)
            with entry.path.open("rb") as file:
                hits = self.notes.scanner.scan_bytes(file.read(instance.pixel_data_offset))
            # Tables of numbers hold every short text sooner or later.
            numbers = tuple((start, start + count) for start, count in instance.numbers)
            self.notes.hits(entry, None, outside(hits, (*instance.retained, *numbers)), instance)
            self._done(entry)
            return
        report = self.notes.scanner.check_instance(
            entry.path,
            instance.core,
            tiles=self._tiles(entry, instance),
            on_progress=self._report,
        )
        self.judge(entry, instance, report)

    def judge(self, entry: Entry, instance: header.Header, report: _core.InstanceReport) -> None:
        """Note what is wrong with an instance, now that its bytes were looked at."""
        self._header(entry, instance)
        self.notes.problems(entry, [("frames", problem) for problem in report.problems])
        self.notes.not_checked(entry, report.unchecked)
        if report.frame_count != instance.frame_count:
            what = f"it says {instance.frame_count} frames, there are {report.frame_count}"
            self.notes.problems(entry, [("(0028,0008)", what)])
        if instance.flavor in PICTURES and instance.identity_removed:
            self._picture(entry, instance)
        elif instance.part is None and instance.flavor not in PICTURES:
            self._level(entry, Whole(((entry.path, instance),)))
        self.frames += report.frame_count
        self.frames_equal += report.frames_equal
        self.notes.hits(entry, None, outside(report.hits, instance.retained), instance)
        self._done(entry)

    def _header(self, entry: Entry, instance: header.Header) -> None:
        """Note what is wrong with the header of an instance, and what it says of itself."""
        self.read.add(entry.path)
        self.notes.problems(entry, instance.problems)
        study, _, uid = instance.uids
        if (*entry.path.parts[-3:-1], entry.path.stem) != instance.uids:
            self.notes.problems(entry, [("name", "its path is not made of its three UIDs")])
        if uid in self.instances:
            self.notes.problems(
                entry, [("(0008,0018)", "another file has the same SOP Instance UID")]
            )
        self.instances[uid] = entry.path
        if instance.is_in_doubt:
            self.notes.doubt(entry)
            self.in_doubt.add(uid)
        if instance.part is not None:
            self.parts[entry.path] = entry, instance
        self.identified += not instance.identity_removed
        self.given += instance.identity_removed and instance.is_given
        is_identified = self.is_identified.get(study, True)
        self.is_identified[study] = is_identified and not instance.identity_removed
        self.notes.sizes |= instance.sizes

    def _done(self, entry: Entry) -> None:
        self.bytes_done += entry.path.stat().st_size
        self._report(0)

    def _picture(self, entry: Entry, instance: header.Header) -> None:
        """Look at a label or an overview."""
        try:
            problems = list(pictures.problems_of(entry.path, instance))
            self.notes.problems(entry, [("frames", what) for what in problems])
            if self.pixels is not None:
                self.pixels.add_picture(entry.path, instance)
        except (ValueError, VerificationError) as error:
            self.notes.not_checked(entry, [error])

    def _tiles(
        self, entry: Entry, instance: header.Header
    ) -> tuple[_core.Source, _core.TileIndex] | None:
        """Return the tiles that an instance's frames must be, if they are tiles."""
        if self.comparison is None or not self.comparison.is_own(instance):
            return None
        if instance.flavor not in PICTURES and self.comparison.level_of(instance) is None:
            self.notes.not_checked(entry, ["no level of the slide has its size and tiles"])
        return self.comparison.tiles_of(instance)

    def _level(self, entry: Entry, whole: Whole) -> None:
        """Check what takes all frames of a level to be told."""
        if self.pixels is not None and whole.header.identity_removed:
            self.pixels.add(whole)
        if self.comparison is None or not self.comparison.is_own(whole.header):
            return
        made = self.comparison.of_level(whole)
        self.notes.problems(entry, [("frames", what) for what in made.problems])
        self.notes.not_checked(entry, made.unchecked)
        self.frames_equal += made.equal

    def _wholes(self) -> None:
        """Check levels that are divided among several files, now that all are known."""
        for whole in wholes_of((path, instance) for path, (_, instance) in self.parts.items()):
            entry, _ = self.parts[whole.path]
            problems = list(whole.problems())
            self.notes.problems(entry, problems)
            is_sound = not problems and not any(instance.problems for _, instance in whole.files)
            if is_sound and not self.only_headers:
                self._level(entry, whole)

    def _other(self, entry: Entry) -> None:
        """Check a file that is no instance: a certificate, or something that must not be here."""
        if not entry.path.name.endswith(certificates.ENDING):
            self._bytes(entry)
            self.notes.problems(entry, [("folder", "a file that belongs to no study")])
        elif entry.path.stat().st_size > LIMITS.checked_certificate_bytes:
            self._bytes(entry)
            self.notes.problems(entry, [("certificate", "it is larger than a certificate can be")])
        else:
            data = entry.path.read_bytes()
            self._bytes(entry, tuple(allowed.in_certificate(data, self._with_identity())))
            try:
                self._certificate(entry)
            except NotImplementedError as error:
                self.notes.not_checked(entry, [error])

    def _certificate(self, entry: Entry) -> None:
        parts = {path: instance.part for path, (_, instance) in self.parts.items()}
        known = certificates.Known(
            instances=self.instances,
            parts={path: part for path, part in parts.items() if part is not None},
            is_identified=self.is_identified,
            in_doubt=self.in_doubt,
            hashes=self.hashes,
        )
        certificate = certificates.read(entry.path, known)
        self.certified.add(entry.path.parent)
        self.notes.problems(entry, [("certificate", what) for what in certificate.problems])
        if self.pixels is not None:
            self.pixels.attested |= certificate.attested

    def _bytes(self, entry: Entry, permitted: tuple[allowed.Range, ...] = ()) -> None:
        hits = self.notes.scanner.scan_file(entry.path, on_progress=self._report)
        self.notes.hits(entry, None, outside(hits, permitted))
        self._done(entry)


def _listed(
    out: str | PathLike[str] | Sequence[str | PathLike[str]],
) -> Sequence[str | PathLike[str]]:
    return (out,) if isinstance(out, str | PathLike) else out
