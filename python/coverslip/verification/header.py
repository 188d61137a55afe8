"""What stands before the frames of an instance, element by element."""

import logging
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.multival import MultiValue

from coverslip import _core
from coverslip.verification import allowed, colours, order, parts, positions
from coverslip.verification.attributes import FILE_META, Rules, rules_of
from coverslip.verification.elements import (
    Problem,
    check_elements,
    name_of,
    problems_of_text,
    tags_of,
)
from coverslip.verification.forms import FILE_META as META_FORMS
from coverslip.verification.numbers import FILE_META as META_NUMBERS
from coverslip.verification.numbers import problems_of_numbers
from coverslip.verification.parts import Part
from coverslip.verification.positions import Positions
from coverslip.verification.tables import EXTENDED_OFFSET_TABLE, offset_tables

_PREAMBLE = 128
_CLEAN_PIXELS = "113101"
_DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
_LEVEL_SIZE = ("TotalPixelMatrixColumns", "TotalPixelMatrixRows", "Columns", "Rows")
_quiet: ContextVar[bool] = ContextVar("coverslip_verifies_header", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What pydicom read of an instance, and what is wrong with it."""

    uids: tuple[str, ...] = field(repr=False)
    """Of study, series and instance."""
    flavor: str
    """Value 3 of (0008,0008): what the picture shows."""
    optical_path: str
    """Identifier of the only one."""
    container_identifier: str = field(repr=False)
    frame_count: int
    """What (0028,0008) says."""
    part: Part | None
    """Which part of a level it is, if not all."""
    grid_count: int
    """How many frames the level has where none is missing."""
    positions: Positions | None = field(repr=False)
    """Of its frames, if not all tiles of the grid have one."""
    level_size: tuple[int, ...]
    """Columns and rows of the whole picture, then of a frame."""
    sample_bytes: int
    """Of a frame that is decoded."""
    transfer_syntax_uid: str
    losses: int
    """How often the pixels lost something."""
    pixel_data_offset: int
    extended_offset_table: tuple[tuple[int, int], tuple[int, int]] | None
    """Offset and byte count of both tables."""
    numbers: list[tuple[int, int]]
    """Offset and byte count of tables of numbers, sorted."""
    sizes: frozenset[str]
    """Sizes and the digits behind the point of measures: a number of the source that is one of
    them is so by chance, or since it is the size."""
    elements: tuple[tuple[int, str], ...] = field(repr=False)
    """Where the value of each element of the top level begins, and its tag."""
    retained: tuple[allowed.Range, ...] = field(repr=False)
    """Where texts stand that the instance says were given or retained."""
    identity_removed: bool
    """What (0012,0062) says; identity that was given is no problem where it was not."""
    is_given: bool
    """Whether it holds what somebody gave, and no list knows."""
    is_in_doubt: bool
    """Whether it says that its pixels may show who is meant, though identity was removed."""
    problems: tuple[Problem, ...]

    @property
    def core(self) -> _core.InstanceHeader:
        """What the core needs to walk the frames."""
        return _core.InstanceHeader(
            self.pixel_data_offset,
            extended_offset_table=self.extended_offset_table,
            numbers=self.numbers,
            deflated_bytes=self.sample_bytes if self.is_deflated else None,
        )

    @property
    def is_deflated(self) -> bool:
        """Whether frames are Deflate streams (PS3.5 A.4.13)."""
        return self.transfer_syntax_uid == _DEFLATED_IMAGE_FRAME

    def place_of(self, offset: int) -> str:
        """Return what stands at an offset of the file."""
        if offset < _PREAMBLE:
            return "preamble"
        if offset >= self.pixel_data_offset:
            return f"(7FE0,0010) byte {offset - self.pixel_data_offset}"
        tags = [tag for start, tag in self.elements if start <= offset]
        return tags[-1] if tags else "file meta information"


class UnreadableError(Exception):
    """pydicom cannot read a file; holds none of its values."""

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        """What was wrong with its elements, as far as these were read."""


def read(path: Path) -> Header:
    """Read all that stands before the Pixel Data, and check it.

    Raises
    ------
    UnreadableError
        If it is not a DICOM file.
    OSError
        If it cannot be read at all.
    """
    with path.open("rb") as file:
        return judge(file)


def judge(file: BinaryIO) -> Header:
    """Do the same for a file that is open, or the beginning of one.

    Raises
    ------
    UnreadableError, OSError
        As `read` does.
    """
    problems: list[Problem] = []
    try:
        with _silence():
            return _read(file, problems)
    except (OSError, KeyboardInterrupt, MemoryError):
        raise
    except InvalidDicomError:
        raise UnreadableError("it is not a DICOM file") from None
    except Exception:  # noqa: BLE001 (pydicom raises many kinds, with values in their messages)
        raise UnreadableError("its header cannot be read", problems) from None


@contextmanager
def _silence() -> Iterator[None]:
    """Hold back what pydicom warns of: it quotes values, and is looked for here as well."""
    log = logging.getLogger("pydicom")
    token = _quiet.set(True)
    quiet = _Silence()
    log.addFilter(quiet)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.removeFilter(quiet)
        _quiet.reset(token)


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _quiet.get()


def _read(file: BinaryIO, wrong: list[Problem]) -> Header:
    """Read a header; ``wrong`` gets what is wrong with its elements before any is understood."""
    dataset = read_partial(file, stop_when=lambda tag, vr, length: tag >= EXTENDED_OFFSET_TABLE)
    end = file.tell()
    tables = offset_tables(file, end)
    file.seek(0)
    data = file.read(end)
    claims = _claims(dataset)
    rules = rules_of(claims.profile, claims.codes)
    elements = tuple(_elements(dataset))
    items = positions.take(dataset)
    wrong.extend(_meta(dataset, data))
    found, filled = check_elements(dataset, rules)
    wrong.extend(found)
    places = None if items is None else positions.read(dataset, items)
    # The places of frames are the last element, and all that stands in it has been looked at.
    behind = positions.byte_count(data, items)
    walked = order.walk(data[: len(data) - behind])
    part = parts.read(dataset, data[: len(data) - behind], walked)
    problems = (
        *walked.problems,
        *tables.problems,
        *wrong,
        *_whole(dataset, rules, filled),
        *_grid(dataset, part),
        *_thumbnail(dataset, claims),
        *(() if part is None else part.problems),
        *(() if places is None else _places(places, part)),
    )
    profile = colours.profile_of(dataset)
    return Header(
        uids=tuple(str(dataset.get(f"{kind}InstanceUID")) for kind in ("Study", "Series", "SOP")),
        flavor=str([*dataset.get("ImageType", ()), "", "", ""][2]),
        optical_path=_optical_path(dataset),
        container_identifier=str(dataset.get("ContainerIdentifier")),
        frame_count=int(dataset.get("NumberOfFrames") or 0),
        part=part,
        grid_count=_grid_count(dataset),
        positions=places,
        level_size=tuple(int(dataset.get(keyword) or 0) for keyword in _LEVEL_SIZE),
        sample_bytes=_sample_bytes(dataset),
        transfer_syntax_uid=str(dataset.file_meta.get("TransferSyntaxUID")),
        losses=_losses(dataset),
        pixel_data_offset=tables.pixel_data_offset,
        extended_offset_table=tables.extended,
        numbers=sorted(
            (
                *colours.numbers_of(data, profile),
                *(((len(data) - behind, behind),) if behind else ()),
                *(tables.extended or ()),
            )
        ),
        sizes=frozenset(_sizes(dataset)),
        elements=elements,
        retained=tuple(allowed.in_instance(data, walked.values, claims)),
        identity_removed=claims.identity_removed,
        is_given=bool(filled & rules.given),
        is_in_doubt=claims.identity_removed and dataset.get("BurnedInAnnotation") == "YES",
        problems=problems,
    )


def _sample_bytes(dataset: Dataset) -> int:
    sizes = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    return math.prod(int(dataset.get(keyword) or 0) for keyword in sizes) // 8


def _losses(dataset: Dataset) -> int:
    methods = dataset.get("LossyImageCompressionMethod") or ()
    return 1 if isinstance(methods, str) else len(methods)


def _sizes(dataset: Dataset) -> Iterator[str]:
    yield from (str(dataset.get(keyword, 0)) for keyword in (*_LEVEL_SIZE, "NumberOfFrames"))
    measures = [dataset.get("LossyImageCompressionRatio")]
    for item in dataset.get("TotalPixelMatrixOriginSequence", ()):
        measures += [item.get(f"{axis}OffsetInSlideCoordinateSystem") for axis in "XY"]
    for groups in dataset.get("SharedFunctionalGroupsSequence", ()):
        for item in groups.get("PixelMeasuresSequence", ()):
            measures += [item.get("PixelSpacing"), item.get("SpacingBetweenSlices")]
    for measure in measures:
        yield from re.findall(r"(?<=\.)\d+", str(measure))
        if isinstance(measure, MultiValue):
            yield "\\".join(map(str, measure))


def _elements(dataset: Dataset) -> Iterator[tuple[int, str]]:
    for tag in tags_of(dataset):
        item = dataset.get_item(tag)
        start = item.value_tell if isinstance(item, RawDataElement) else item.file_tell
        if start is not None:
            yield int(start), name_of(tag)


def _meta(dataset: Dataset, data: bytes) -> Iterator[Problem]:
    if any(data[:_PREAMBLE]):
        yield "preamble", "it is not empty"
    meta = dataset.file_meta
    for tag in tags_of(meta):
        form, keyword = META_FORMS.get(keyword_for_tag(tag)), keyword_for_tag(tag)
        if form is not None:
            wrong = problems_of_text(meta.get_item(tag), form)
            yield from ((name_of(tag), what) for what in wrong)
        elif keyword in META_NUMBERS:
            wrong = problems_of_numbers(meta.get_item(tag), META_NUMBERS[keyword])
            yield from ((name_of(tag), what) for what in wrong)
        elif keyword not in FILE_META:
            yield name_of(tag), "an element that file meta information does not need"
    if meta.get("FileMetaInformationVersion") != b"\0\1":
        yield "(0002,0001)", "a version of file meta information that there is not"
    if str(meta.get("MediaStorageSOPInstanceUID")) != str(dataset.get("SOPInstanceUID")):
        yield "(0002,0003)", "it is not the SOP Instance UID"
    if str(meta.get("MediaStorageSOPClassUID")) != str(dataset.get("SOPClassUID")):
        yield "(0002,0002)", "it is not the SOP Class UID"


def _claims(dataset: Dataset) -> allowed.Claims:
    codes = (
        str(item.get("CodeValue")) for item in dataset.get("DeidentificationMethodCodeSequence", ())
    )
    removed = str(dataset.get("PatientIdentityRemoved")) != "NO"
    methods = [str(method) for method in _values(dataset, "DeidentificationMethod")]
    return allowed.Claims(
        identity_removed=removed,
        codes=frozenset(codes),
        is_research=removed and any(method.endswith(" profile=research") for method in methods),
    )


def _values(dataset: Dataset, keyword: str) -> list[object]:
    value = dataset.get(keyword)
    return list(value) if isinstance(value, MultiValue) else [value]


def _whole(dataset: Dataset, rules: Rules, filled: frozenset[str]) -> Iterator[Problem]:
    """Check what an instance must say of itself (deidentification, Type 1)."""
    top = "data set"
    for keyword in sorted(rules.required - filled):
        yield top, f"{keyword} is missing or empty"
    kinds = list(dataset.get("ImageType", ()))
    is_drawn = "DERIVED" in kinds or not rules.identity_removed
    if {"LABEL", "OVERVIEW"} & set(kinds):
        if not is_drawn:
            yield "(0008,0008)", "a label or overview as it was scanned"
        if rules.identity_removed and dataset.get("BurnedInAnnotation") != "NO":
            yield "(0028,0301)", "a label or overview that says that it identifies"
    may_show = {"LABEL"} if rules.identity_removed else {"LABEL", "OVERVIEW"}
    if dataset.get("SpecimenLabelInImage") == "YES" and not may_show & set(kinds):
        yield "(0048,0010)", "a label in a picture that is none"
    if _CLEAN_PIXELS in rules.claims and dataset.get("BurnedInAnnotation") != "NO":
        yield "(0028,0301)", "it says that it identifies, and claims clean pixels"
    yield from _label_texts(dataset, is_drawn="DERIVED" in kinds and "LABEL" in kinds)


def _label_texts(dataset: Dataset, *, is_drawn: bool) -> Iterator[Problem]:
    """Check Label Text and Barcode Value: the identifier of a drawn label, or nothing."""
    shown = str(dataset.get("ContainerIdentifier") or "") if is_drawn else ""
    for keyword, place in (("LabelText", "(2200,0002)"), ("BarcodeValue", "(2200,0005)")):
        if str(dataset.get(keyword) or "") != shown:
            yield place, "it is not what the label shows" if is_drawn else "it must be empty"


def _thumbnail(dataset: Dataset, claims: allowed.Claims) -> Iterator[Problem]:
    """Check that a picture of the scanner's own goes out where it may."""
    is_public = claims.identity_removed and not claims.is_research
    if is_public and "THUMBNAIL" in dataset.get("ImageType", ()):
        yield "(0008,0008)", "a thumbnail of the slide's own, for anybody"


def _places(places: Positions, part: Part | None) -> Iterator[Problem]:
    """Yield what is wrong with where frames lie; of parts only what one can tell by itself."""
    yield from places.problems
    if part is None and not places.problems:
        yield from positions.problems_of([places])


def _grid_count(dataset: Dataset) -> int:
    """Return how many tiles there are in all focal planes and optical paths."""
    width, length, columns, rows = (int(dataset.get(keyword) or 0) for keyword in _LEVEL_SIZE)
    planes = int(dataset.get("TotalPixelMatrixFocalPlanes") or 0)
    paths = int(dataset.get("NumberOfOpticalPaths") or 0)
    tiles = -(-width // columns) * -(-length // rows) if min(columns, rows) > 0 else 0
    return tiles * planes * paths


def _grid(dataset: Dataset, part: Part | None) -> Iterator[Problem]:
    """Check that TILED_FULL has a frame for each tile of each plane and path (PS3.3 C.7.6.17.3).

    A part has some of them.
    """
    if dataset.get("DimensionOrganizationType") != "TILED_FULL":
        return
    planes = int(dataset.get("TotalPixelMatrixFocalPlanes") or 0)
    paths = int(dataset.get("NumberOfOpticalPaths") or 0)
    frames, most = int(dataset.get("NumberOfFrames") or 0), _grid_count(dataset)
    if part is None and frames != most:
        yield "(0028,0008)", "its frames are not those of all tiles, focal planes and optical paths"
    if part is not None and part.first_frame + frames > most:
        yield "(0028,0008)", "its frames are more than tiles, focal planes and optical paths"
    if paths != len(dataset.get("OpticalPathSequence", ())):
        yield "(0048,0302)", "it is not the number of optical paths"
    for groups in dataset.get("SharedFunctionalGroupsSequence", ()):
        for item in groups.get("PixelMeasuresSequence", ()):
            if (planes > 1) != ("SpacingBetweenSlices" in item):
                yield (
                    "(0018,0088)",
                    "a distance of focal planes where there is one, or none of more",
                )


def _optical_path(dataset: Dataset) -> str:
    """Return the identifier of the first optical path; there is one in each instance."""
    for item in dataset.get("OpticalPathSequence", ()):
        return str(item.get("OpticalPathIdentifier", ""))
    return ""
