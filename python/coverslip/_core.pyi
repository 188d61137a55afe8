"""The Rust core: moves compressed tiles into frames and knows no meaning.

Every call that reads or writes releases the GIL, calls ``on_progress`` about ten times a second
with the work done so far, and ends on Ctrl-C. No message or exception holds a file name.

Exceptions, unless a function says otherwise: `SourceError` if the slide is damaged,
`UnsupportedSlideError` if its tiles cannot be frames, `LimitError` for a cap on untrusted
input, `VerificationError` if what was written is not what was planned, `OSError` with ``errno``
for all that the operating system refuses.
"""

import os
from collections.abc import Callable
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "IS_DEBUG_BUILD",
    "FramePlan",
    "Hit",
    "InstanceHeader",
    "InstanceReport",
    "Jpeg2000Facts",
    "JpegFacts",
    "JpegFrames",
    "Mosaic",
    "Picture",
    "Scanner",
    "Source",
    "TileIndex",
    "WriteReport",
    "Written",
    "__version__",
    "blake3_of_file",
    "inspect_any",
    "inspect_coded",
    "inspect_jpeg",
    "inspect_picture",
    "inspect_tile",
    "join_jpeg",
    "limits",
    "plan_deflated",
    "plan_jpeg",
    "plan_jpeg2000",
    "plan_stitched",
    "prove_retiled",
    "prove_rewritten",
    "retile",
    "rewrite",
    "set_limit",
    "stitch_strips",
    "verify_instance",
    "write_instance",
]

__version__: str
IS_DEBUG_BUILD: bool

_Progress = Callable[[int], object] | None
_Uint64Array = npt.NDArray[np.uint64]

@final
class Source:
    """The files of a slide, opened once for reading, one behind the other in one space."""

    def __new__(cls, *paths: str | os.PathLike[str]) -> Source: ...
    @property
    def stamps(self) -> list[tuple[int, int, int, int]]:
        """Device, inode, length and time of change in nanoseconds of each file, as at opening."""

    @property
    def byte_count(self) -> int:
        """Bytes of all files together."""

    def read(self, offset: int, byte_count: int) -> bytes:
        """Return bytes of one file; not for the copy path."""

    def check_unchanged(self) -> None:
        """Raise `SourceError` if a file is not what it was when it was opened."""

@final
class TileIndex:
    """The tiles of one level, every one inside the file and apart from ``private``.

    ``offsets`` and ``byte_counts`` are ``uint64`` arrays of equal length in row-major order,
    byte count 0 for a missing tile; ``private`` has shape (n, 2), offset and byte count.
    """

    def __new__(
        cls,
        source: Source,
        offsets: _Uint64Array,
        byte_counts: _Uint64Array,
        private: _Uint64Array,
    ) -> TileIndex: ...
    def __len__(self) -> int: ...

@final
class JpegFacts:
    """What the header of a JPEG tile says (T.81 B.2)."""

    @property
    def sof(self) -> int:
        """Second byte of the SOF marker."""

    @property
    def precision(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> int: ...
    @property
    def component_ids(self) -> bytes: ...
    @property
    def sampling(self) -> list[tuple[int, int]]:
        """Horizontal and vertical sampling factor of each component."""

    @property
    def jfif(self) -> bool: ...
    @property
    def adobe_transform(self) -> int | None: ...
    @property
    def restart_interval(self) -> int: ...
    def stitches(self, width: int, frame_width: int) -> bool:
        """Tell whether frames of a width are whole restart intervals of a picture of a width."""

@final
class Jpeg2000Facts:
    """What the main header of a JPEG 2000 tile says (T.800 A.5)."""

    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> int: ...
    @property
    def depths(self) -> bytes:
        """Bits a sample, one byte for each component."""

    @property
    def is_signed(self) -> bool: ...
    @property
    def separations(self) -> list[tuple[int, int]]:
        """XRsiz and YRsiz of each component: 2 where chroma is halved."""

    @property
    def mct(self) -> bool: ...
    @property
    def reversible(self) -> bool: ...
    @property
    def decompositions(self) -> int: ...
    @property
    def layers(self) -> int: ...
    @property
    def has_coc(self) -> bool: ...
    @property
    def high_throughput(self) -> bool: ...
    @property
    def jp2_colour(self) -> int | None:
        """Enumerated colour space of a JP2 file: 16 sRGB, 17 grey, 18 sYCC."""

@final
class FramePlan:
    """What each frame of an instance is made of, with its exact length."""

    def portions(self, most: int, header: int, beside: int) -> list[int]:
        """Return how many frames go into each file if none may have more than ``most`` bytes.

        ``header`` bytes stand in front of group 7FE0 of each, and ``beside`` bytes for each frame
        besides. Raises `LimitError` for a frame that no file has the room for.
        """
    def portion(self, first: int, count: int) -> FramePlan:
        """Return some of the frames, one after the other, to be written like all."""

    @property
    def frame_count(self) -> int: ...
    @property
    def copied(self) -> int: ...
    @property
    def blank(self) -> int: ...
    @property
    def truncated(self) -> int:
        """Copied frames whose tile had no end marker; it was added."""

    @property
    def dropped_segments(self) -> int:
        """Segments and boxes of the frames' tiles that were left out.

        Those of a picture that frames are joined or cut of are told by a plan of all frames only.
        """

    @property
    def frame_bytes(self) -> int: ...
    @property
    def facts(self) -> JpegFacts | Jpeg2000Facts | None:
        """Of the first tile, and so of all; ``None`` of those that are Deflate."""

@final
class WriteReport:
    """What was written."""

    @property
    def byte_count(self) -> int: ...
    @property
    def pixel_data_offset(self) -> int: ...
    @property
    def has_extended_offset_table(self) -> bool: ...
    @property
    def blake3(self) -> str | None:
        """BLAKE3 of the whole file in hexadecimal, if it was asked for."""

@final
class Written:
    """How far a file is written: a check in another thread follows its writer."""

    def __init__(self) -> None: ...
    def wait_for_start(self) -> int:
        """Wait for all that stands before the frames; return the length the file will have.

        Raises `KeyboardInterrupt` if the writer gave up.
        """
    def give_up(self) -> None:
        """Let whoever waits go: nothing more will come."""

@final
class Hit:
    """A term that is there."""

    @property
    def offset(self) -> int: ...
    @property
    def term(self) -> int:
        """Which term, by its place in the list."""

    @property
    def encoding(self) -> str:
        """One of `Scanner.ENCODINGS`."""

@final
class InstanceHeader:
    """What stands before the frames of an instance, as a parser of data sets found it.

    ``pixel_data_offset`` is where (7FE0,0010) begins, ``extended_offset_table`` are offset and
    byte count of the values of (7FE0,0001) and (7FE0,0002), ``numbers`` those of parts that are
    numbers, sorted: they hold every short text sooner or later, so only what is long enough counts
    there. ``deflated_bytes`` is what each frame inflates to, if they are Deflate streams.
    """

    def __new__(
        cls,
        pixel_data_offset: int,
        *,
        extended_offset_table: tuple[tuple[int, int], tuple[int, int]] | None = None,
        numbers: list[tuple[int, int]] = ...,
        deflated_bytes: int | None = None,
    ) -> InstanceHeader: ...

@final
class InstanceReport:
    """What was found in an instance."""

    @property
    def frame_count(self) -> int: ...
    @property
    def frames_equal(self) -> int:
        """Frames that hold the entropy-coded bytes of their tile."""

    @property
    def frames_blank(self) -> int:
        """Frames for tiles that are not there, if they were compared with the plan."""

    @property
    def hits(self) -> list[Hit]: ...
    @property
    def problems(self) -> list[str]:
        """What must not be there, or is not where it must be."""

    @property
    def unchecked(self) -> list[str]:
        """What could not be checked."""

@final
class Scanner:
    """Looks for terms in every encoding in which they may survive.

    A term is a text and whether it counts only where no letter or digit stands beside it. Terms
    of fewer than four characters are not looked for.
    """

    ENCODINGS: ClassVar[list[str]]

    def __new__(cls, terms: list[tuple[str, bool]]) -> Scanner: ...
    @property
    def unsure_terms(self) -> int:
        """How many terms are too short to be looked for in entropy-coded data."""

    def scan_bytes(self, data: bytes) -> list[Hit]:
        """Return what is in bytes none of which are entropy-coded."""

    def scan_file(
        self, path: str | os.PathLike[str], *, on_progress: _Progress = None
    ) -> list[Hit]:
        """Return what is in a file none of whose bytes are entropy-coded; progress in bytes."""

    def check_instance(
        self,
        path: str | os.PathLike[str],
        header: InstanceHeader,
        *,
        tiles: tuple[Source, TileIndex] | None = None,
        on_progress: _Progress = None,
    ) -> InstanceReport:
        """Look at every byte of an instance and walk its frames; progress counts bytes.

        With ``tiles``, one for each frame, the entropy-coded bytes are compared.
        """

def set_limit(name: str, value: int) -> bool:
    """Set a limit of the core for this process; return whether there is one of this name."""

def limits() -> list[tuple[str, int, str]]:
    """Return name, value and reason of each limit of the core."""

def inspect_tile(
    source: Source, tile: int, offset: int, byte_count: int, columns: int, rows: int
) -> JpegFacts | Jpeg2000Facts:
    """Return what the header of one tile says, if it can be a frame of the given size.

    ``tile`` is its number, for messages.
    """

def inspect_jpeg(stream: bytes) -> JpegFacts:
    """Return what the header of a JPEG says that lies in memory."""

def inspect_any(
    source: Source, tile: int, offset: int, byte_count: int
) -> JpegFacts | Jpeg2000Facts:
    """Return what the header of one tile says, of any process and size.

    It need not be fit for a frame.
    """

def inspect_coded(source: Source, tile: int, offset: int, byte_count: int) -> JpegFacts:
    """Return what the header of one tile says, if its coefficients can be read.

    Unlike with `inspect_tile` it may be progressive, arithmetic-coded, or of another size.
    """

def join_jpeg(tile: bytes, jpeg_tables: bytes, columns: int, rows: int) -> bytes:
    """Return a tile as a stream for any decoder, its samples marked as not transformed.

    It is padded to the size, and coded anew if it is no baseline JPEG.
    """

def plan_jpeg(
    source: Source,
    tiles: TileIndex,
    *,
    columns: int,
    rows: int,
    colour: Literal["RGB", "YBR", "GREY"],
    jpeg_tables: bytes,
    is_emitted: bool = False,
    is_sampled: bool = False,
    on_progress: _Progress = None,
) -> FramePlan:
    """Look at all bytes of every tile and plan its frame; progress counts tiles.

    With ``is_sampled`` no more is read than the header and the end of each, or of some, if these
    are alike. `write_instance` looks at the rest, and raises `UnlikeTilesError` where a tile
    differs from the others, or has an end before its end.
    """

def plan_jpeg2000(
    source: Source,
    tiles: TileIndex,
    *,
    columns: int,
    rows: int,
    set_mct: bool,
    blank: bytes | None = None,
    is_sampled: bool = False,
    on_progress: _Progress = None,
) -> FramePlan:
    """Look at tiles as `plan_jpeg` does; ``blank`` stands for missing ones."""

def plan_deflated(
    source: Source,
    tiles: TileIndex,
    *,
    columns: int,
    rows: int,
    pixel_bytes: int,
    blank: bytes | None = None,
    on_progress: _Progress = None,
) -> FramePlan:
    """Inflate every Deflate tile and plan its frame; ``blank`` stands for missing tiles."""

@final
class Picture:
    """One JPEG stream that holds a whole level of ``width`` x ``length`` pixels.

    ``starts`` are the offsets of its restart intervals from its own start: a hint that is
    checked. ``private`` has shape (n, 2): offset and byte count of what no frame may touch.
    """

    def __new__(
        cls,
        offset: int,
        byte_count: int,
        *,
        width: int,
        length: int,
        private: _Uint64Array,
        starts: _Uint64Array | None = None,
    ) -> Picture: ...

@final
class JpegFrames:
    """How the frames of a picture are made: their size, in whole MCUs, and their colour.

    Where there is nothing they are white, or black if they are of emitted light.
    """

    def __new__(
        cls,
        *,
        columns: int,
        rows: int,
        colour: Literal["RGB", "YBR", "GREY"],
        jpeg_tables: bytes,
        is_emitted: bool = False,
    ) -> JpegFrames: ...

def inspect_picture(source: Source, picture: Picture) -> JpegFacts:
    """Return what the header of a picture says, if it can be cut into frames."""

def plan_stitched(
    source: Source,
    pictures: list[Picture],
    frames: JpegFrames,
    *,
    is_sampled: bool = False,
    on_progress: _Progress = None,
) -> FramePlan:
    """Plan frames that are joined of the restart intervals of pictures, one for each focal plane.

    Pictures are searched for their restart markers; progress counts frames. With ``is_sampled``
    the ``starts`` of all pictures are taken for true after a few were looked at; `write_instance`
    looks at all, and raises `UnlikeTilesError` where one is wrong.
    """

def retile(
    source: Source,
    picture: Picture,
    frames: JpegFrames,
    spool: str | os.PathLike[str],
    *,
    on_progress: _Progress = None,
) -> tuple[bytes, bytes]:
    """Cut a picture into frames without changing a coefficient; progress counts frames.

    Frames that are whole restart intervals are stitched of their bytes. The frames become
    stand-alone JPEG streams behind what is in the file ``spool``; it is made if it is not there.
    Returned are their offsets and byte counts in it, row by row, as little-endian ``uint64``.
    """

def prove_retiled(
    source: Source,
    picture: Picture,
    frames: JpegFrames,
    spool: Source,
    offsets: _Uint64Array,
    byte_counts: _Uint64Array,
    *,
    on_progress: _Progress = None,
) -> None:
    """Decode picture and frames symbol by symbol and compare; progress counts frames.

    Raises `VerificationError` if a coefficient or a quantisation step differs.
    """

@final
class Mosaic:
    """JPEG tiles of one size that make up a level.

    ``offsets`` and ``byte_counts`` go row by row, ``across`` tiles in each; where there are
    ``planes``, all tiles of one colour before those of the next. ``tile``, ``overlap`` and ``size``
    are width and length: of a tile, of what neighbours share, of the level.
    """

    def __new__(
        cls,
        offsets: _Uint64Array,
        byte_counts: _Uint64Array,
        *,
        across: int,
        tile: tuple[int, int],
        overlap: tuple[int, int],
        size: tuple[int, int],
        planes: int,
        private: _Uint64Array,
    ) -> Mosaic: ...

def rewrite(
    source: Source,
    mosaic: Mosaic,
    frames: JpegFrames,
    spool: str | os.PathLike[str],
    *,
    on_progress: _Progress = None,
) -> tuple[tuple[bytes, bytes], bytes]:
    """Write frames with the coefficients of a mosaic's tiles; progress counts frames.

    A tile that can be a frame keeps its entropy-coded bytes. The frames become stand-alone JPEG
    streams behind what is in the file ``spool``; it is made if it is not there. Returned are their
    offsets and byte counts in it, row by row, as little-endian ``uint64``, 0 where there is no
    tile; and for each a byte, 1 if it was coded anew.
    """

def prove_rewritten(
    source: Source,
    mosaic: Mosaic,
    frames: JpegFrames,
    spool: Source,
    offsets: _Uint64Array,
    byte_counts: _Uint64Array,
    *,
    on_progress: _Progress = None,
) -> int:
    """Decode tiles and frames and compare their coefficients; progress counts frames.

    Returns how many frames were compared: those that no tile has are blank, and are not.

    Raises `VerificationError` if a coefficient or a quantisation step differs.
    """

def stitch_strips(
    source: Source,
    offsets: _Uint64Array,
    byte_counts: _Uint64Array,
    frames: JpegFrames,
    *,
    rows_per_strip: int,
    private: _Uint64Array,
) -> bytes:
    """Join JPEG strips into one stream of the size of ``frames``, with restart markers between.

    Their entropy-coded bytes are copied. ``rows_per_strip`` is the height of each but the last,
    in pixels.
    """

def write_instance(
    source: Source,
    plan: FramePlan,
    header: bytes,
    path: str | os.PathLike[str],
    *,
    extended_offset_table: bool | None = None,
    digest: bool = False,
    past_cache: bool = False,
    written: Written | None = None,
    on_progress: _Progress = None,
) -> WriteReport:
    """Write one instance in one pass; progress counts bytes.

    ``header`` is a Part 10 file up to group 7FE0 (PS3.10 7). The file must not exist.
    With ``digest`` its BLAKE3 is computed on the way.
    With ``past_cache`` it goes past the page cache, where the file system can do that; not if
    somebody is told by ``written`` how far it is, to read it there.
    """

def blake3_of_file(path: str | os.PathLike[str], *, on_progress: _Progress = None) -> str:
    """Return the digest of a file in hexadecimal, as ``b3sum`` shows it; progress counts bytes."""

def verify_instance(
    source: Source,
    plan: FramePlan,
    path: str | os.PathLike[str],
    header: InstanceHeader,
    *,
    scanner: Scanner | None = None,
    written: Written | None = None,
    on_progress: _Progress = None,
) -> InstanceReport:
    """Read an instance back and compare it with the source; progress counts bytes.

    With ``written``, which another thread gave to `write_instance`, it is read while it is written,
    and `KeyboardInterrupt` is raised if the writer gave up.

    With a scanner, all of it is searched on the way, as `Scanner.check_instance` does; the report
    holds what that found. Raises `VerificationError` for whatever else is wrong.
    """
