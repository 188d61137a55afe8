"""Makes small pictures of instances, in a process of its own.

A file of an output may come from anywhere, and readers and decoders of pictures can be made to
crash. So instances are read and decoded by this file run as a program: it takes whole files from
its input, and writes small JPEGs, made anew of pixels, to its output.
"""

import contextlib
import struct
import subprocess
import sys
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

_REQUEST = struct.Struct("<QQII")
_ANSWER = struct.Struct("<Q")
_NO_PICTURE = (1 << 64) - 1
_SECONDS = 20
"""After which a process gives up on a file."""
_MEMORY = 4 << 30
"""Address space of a process."""
_JPEG = "1.2.840.10008.1.2.4.50"
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203")
_DEFLATED = "1.2.840.10008.1.2.8.1"
_QUALITIES = (82, 70, 58, 46, 34)
_MOST_FRAMES = 4096


class PictureMaker:
    """A process that makes pictures; it is started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "PictureMaker":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def jpeg_of(
        self, instance: bytes, *, most_pixels: int, edge: int, most_bytes: int
    ) -> bytes | None:
        """Return a JPEG of an instance, or ``None`` if it cannot be decoded.

        Parameters
        ----------
        instance
            The whole file.
        most_pixels
            Pixels above which it is not decoded.
        edge
            Pixels that the picture has at most along its longer side.
        most_bytes
            Bytes that the picture has at most.
        """
        process = self._process or _start()
        self._process = process
        try:
            return _ask(process, instance, (most_pixels, edge, most_bytes))
        except ValueError:
            self._end()  # the next picture gets a new process
            return None
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (this interpreter and this very file)
        # Without this folder on its path, and in a session of its own, where no Ctrl-C arrives.
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _ask(
    process: subprocess.Popen[bytes], instance: bytes, limits: tuple[int, int, int]
) -> bytes | None:
    requests, answers = process.stdin, process.stdout
    if requests is None or answers is None:
        raise AssertionError("the process has no pipes")
    with contextlib.suppress(BrokenPipeError):
        requests.write(_REQUEST.pack(len(instance), *limits))
        requests.write(instance)
        requests.flush()
    (byte_count,) = _ANSWER.unpack(_exactly(answers, _ANSWER.size))
    if byte_count == _NO_PICTURE:
        return None
    if byte_count > limits[-1]:
        raise ValueError("more than was wanted")
    return _exactly(answers, byte_count)


def _exactly(file: IO[bytes], byte_count: int) -> bytes:
    data = file.read(byte_count)
    if len(data) != byte_count:
        raise ValueError("the process ended")
    return data


def _serve() -> None:
    """Make pictures of whatever comes, until there is no more."""
    import resource
    import signal
    import warnings

    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while request := requests.read(_REQUEST.size):
        byte_count, most_pixels, edge, most_bytes = _REQUEST.unpack(request)
        data = requests.read(byte_count)
        signal.alarm(_SECONDS)
        try:
            picture = _small(pixels_of(data, most_pixels), edge, most_bytes)
        except Exception:  # noqa: BLE001 (hostile files raise anything; there is just no picture)
            picture = None
        signal.alarm(0)
        answers.write(_ANSWER.pack(_NO_PICTURE if picture is None else len(picture)))
        answers.write(picture or b"")
        answers.flush()


def pixels_of(instance: bytes, most_pixels: int) -> "Pixels":
    """Return the whole picture of a tiled instance; in a process of its own only.

    Of several focal planes it is the one in the middle.

    Raises
    ------
    ValueError
        If it is not one of ours, a part of a level only, or larger than is decoded. Readers and
        decoders raise more.
    """
    import numpy as np
    import pydicom
    from pydicom.encaps import generate_frames

    dataset = pydicom.dcmread(BytesIO(instance))
    if int(dataset.get("InConcatenationTotalNumber") or 1) > 1:
        raise ValueError("a part of a level")
    rows, columns, width, length = (
        int(dataset[keyword].value)
        for keyword in ("Rows", "Columns", "TotalPixelMatrixColumns", "TotalPixelMatrixRows")
    )
    if min(rows, columns, width, length) < 1:
        raise ValueError("a size is not positive")
    across, down = -(-width // columns), -(-length // rows)
    if across * columns * down * rows > most_pixels or across * down > _MOST_FRAMES:
        raise ValueError("too many pixels or frames")
    samples = int(dataset.SamplesPerPixel)
    whole = np.zeros((down * rows, across * columns, samples), np.uint8)
    count = int(dataset.NumberOfFrames)
    numbers = list(range(count))
    planes = count // (across * down)
    if dataset.get("DimensionOrganizationType") == "TILED_SPARSE":
        numbers, planes = _numbers(dataset, across, down), int(dataset.TotalPixelMatrixFocalPlanes)
        whole[:] = 0 if dataset.RecommendedAbsentPixelCIELabValue[0] == 0 else 255
    first = planes // 2 * across * down
    frames = generate_frames(dataset.PixelData, number_of_frames=count)
    for place, frame in zip(numbers, frames, strict=True):
        number = place - first
        if not 0 <= number < across * down:
            continue
        decoded = _decoded(frame, dataset)
        row, column = number // across * rows, number % across * columns
        whole[row : row + rows, column : column + columns] = decoded.reshape(rows, columns, samples)
    return whole[:length, :width]


def _numbers(dataset: Any, across: int, down: int) -> list[int]:  # noqa: ANN401 (a data set)
    """Return which tile of the grid each frame of a sparse instance is."""
    (measures,) = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    distance_um = 1000 * float(measures.get("SpacingBetweenSlices", 1))
    numbers = []
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        (place,) = groups.PlanePositionSlideSequence
        plane = round(float(place.ZOffsetInSlideCoordinateSystem) / distance_um)
        row = (int(place.RowPositionInTotalImagePixelMatrix) - 1) // int(dataset.Rows)
        column = (int(place.ColumnPositionInTotalImagePixelMatrix) - 1) // int(dataset.Columns)
        numbers.append((plane * down + row) * across + column)
    return numbers


def _decoded(frame: bytes, dataset: Any) -> "Pixels":  # noqa: ANN401 (a data set)
    """Return the samples of a frame as RGB or grey of 8 bits."""
    import imagecodecs

    syntax = str(dataset.file_meta.TransferSyntaxUID)
    colour = str(dataset.PhotometricInterpretation)
    if syntax == _JPEG:
        is_grey = colour.startswith("MONOCHROME")
        told = "grayscale" if is_grey else "rgb" if colour == "RGB" else "ycbcr"
        wanted = "grayscale" if is_grey else "rgb"
        pixels = imagecodecs.jpeg8_decode(frame, colorspace=told, outcolorspace=wanted)
    elif syntax in _JPEG_2000:
        pixels = imagecodecs.jpeg2k_decode(frame)
    elif syntax == _DEFLATED:
        pixels = _inflated(frame, dataset)
    else:
        raise ValueError("another transfer syntax")
    return pixels if pixels.itemsize == 1 else (pixels >> 8).astype("uint8")


def _inflated(frame: bytes, dataset: Any) -> Any:  # noqa: ANN401 (a data set; an array)
    """Return the samples of a frame that is a Deflate stream."""
    import zlib

    import numpy as np

    dtype = np.dtype("u1" if int(dataset.BitsAllocated) == 8 else "<u2")
    count = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel)
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, count * dtype.itemsize)
    return np.frombuffer(inflated, dtype)


def _small(pixels: "Pixels", edge: int, most_bytes: int) -> bytes | None:
    """Return a picture as JPEG, as good as the bytes allow."""
    from PIL import Image

    whole = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).convert("RGB")
    for longest in (edge, edge * 2 // 3, edge // 2, edge // 3, edge // 4):
        picture = whole.copy()
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        for quality in _QUALITIES:
            file = BytesIO()
            picture.save(file, "JPEG", quality=quality, optimize=True)
            if file.tell() <= most_bytes:
                return file.getvalue()
    return None


if __name__ == "__main__":
    _serve()
