"""Other people's readers and decoders, each behind one function.

Every function returns decoded pixels as an array of shape (rows, columns, samples) or (rows,
columns), RGB where there is colour, so that they can be compared with each other.
"""

import io
import subprocess
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder

JPEG_2000 = "1.2.840.10008.1.2.4.91"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"


def frames_of(path: Path) -> list[bytes]:
    """Return the encoded frames of an instance, as pydicom finds them through its tables."""
    dataset = pydicom.dcmread(path)
    extended = None
    if "ExtendedOffsetTable" in dataset:
        extended = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    return list(
        generate_frames(
            dataset.PixelData,
            number_of_frames=int(dataset.NumberOfFrames),
            extended_offsets=extended,
        )
    )


def by_pydicom(path: Path, plugin: str) -> np.ndarray:
    """Return all frames, decoded by a plugin of pydicom: ``pylibjpeg``, ``gdcm`` or ``pillow``."""
    dataset = pydicom.dcmread(path)
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    pixels, _ = decoder.as_array(dataset, raw=False, as_rgb=True, decoding_plugin=plugin)
    return pixels if int(dataset.NumberOfFrames) > 1 else pixels[np.newaxis]


def by_zlib(path: Path) -> np.ndarray:
    """Return all frames, which zlib inflates: no program but zlib reads them yet."""
    dataset = pydicom.dcmread(path)
    dtype = np.dtype("u1" if dataset.BitsAllocated == 8 else "<u2")
    samples = () if dataset.SamplesPerPixel == 1 else (dataset.SamplesPerPixel,)
    shape = (dataset.Rows, dataset.Columns, *samples)
    frames = []
    for frame in frames_of(path):
        inflater = zlib.decompressobj(wbits=-15)
        pixels = inflater.decompress(frame)
        assert inflater.eof
        assert len(frame) % 2 == 0
        assert inflater.unused_data in (b"", b"\0")
        frames.append(np.frombuffer(pixels, dtype).reshape(shape))
    return np.stack(frames)


def by_dcmtk(path: Path, program: str, work: Path) -> np.ndarray:
    """Return all frames of a JPEG instance, decoded by DCMTK to an uncompressed file."""
    decoded = work / f"{path.stem}.raw.dcm"
    done = subprocess.run([program, path, decoded], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    dataset = pydicom.dcmread(decoded)
    pixels = dataset.pixel_array
    return pixels if int(dataset.NumberOfFrames) > 1 else pixels[np.newaxis]


def by_libjpeg_turbo(frame: bytes, program: str) -> np.ndarray:
    """Return one frame, decoded by djpeg, which must not complain."""
    done = subprocess.run([program, "-pnm"], input=frame, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr == b""
    return _pnm(done.stdout)


def _pnm(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    magic = stream.readline().strip()
    columns, rows = map(int, stream.readline().split())
    stream.readline()
    samples = 3 if magic == b"P6" else 1
    pixels = np.frombuffer(stream.read(), np.uint8).reshape(rows, columns, samples)
    return pixels if samples == 3 else pixels[..., 0]


def by_openjpeg(frame: bytes, program: str, work: Path) -> np.ndarray:
    """Return one frame, decoded by OpenJPEG's own tool, which takes subsampled chroma for YCbCr."""
    source, target = work / "frame.j2k", work / "frame.raw"
    source.write_bytes(frame)
    command = [program, "-i", source, "-o", target, "-upsample"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout + done.stderr
    rows, columns = (int.from_bytes(frame[at : at + 4]) for at in (12, 8))
    planes = np.frombuffer(target.read_bytes(), np.uint8).reshape(-1, rows, columns)
    return np.moveaxis(planes, 0, -1)


def by_imagecodecs(frame: bytes) -> np.ndarray:
    """Return one frame, decoded by libjpeg-turbo or OpenJPEG by its first bytes."""
    if frame.startswith(b"\xff\x4f"):
        return imagecodecs.jpeg2k_decode(frame)
    return imagecodecs.jpeg8_decode(frame)


def absent_colour(dataset: pydicom.Dataset) -> int | None:
    """Return what a sample is where a sparse instance has no frame; ``None`` of any other."""
    if dataset.get("DimensionOrganizationType") != "TILED_SPARSE":
        return None
    lightness, *colour = dataset.RecommendedAbsentPixelCIELabValue
    assert colour == [0x8080, 0x8080]
    return {0xFFFF: (1 << dataset.BitsStored) - 1, 0: 0}[lightness]


def places_of(path: Path) -> tuple[list[int], int]:
    """Return the number of each frame in the grid of all, and how many these are."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    across = -(-dataset.TotalPixelMatrixColumns // dataset.Columns)
    down = -(-dataset.TotalPixelMatrixRows // dataset.Rows)
    planes = dataset.TotalPixelMatrixFocalPlanes
    if absent_colour(dataset) is None:
        return list(range(dataset.NumberOfFrames)), dataset.NumberOfFrames
    heights = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    numbers = []
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        (place,) = groups.PlanePositionSlideSequence
        column, beside = divmod(place.ColumnPositionInTotalImagePixelMatrix - 1, dataset.Columns)
        row, below = divmod(place.RowPositionInTotalImagePixelMatrix - 1, dataset.Rows)
        assert (beside, below) == (0, 0)
        height = float(place.ZOffsetInSlideCoordinateSystem) / 1000
        plane = round(height / heights.SpacingBetweenSlices) if planes > 1 else 0
        numbers.append((plane * down + row) * across + column)
    return numbers, across * down * planes


def on_grid(path: Path, frames: list | np.ndarray) -> list | np.ndarray:
    """Return a frame at each place of the grid, where a sparse instance has none ``None``.

    Arrays have there what the instance recommends to be shown.
    """
    numbers, count = places_of(path)
    assert len(numbers) == len(frames)
    if isinstance(frames, list):
        found = dict(zip(numbers, frames, strict=True))
        return [found.get(number) for number in range(count)]
    colour = absent_colour(pydicom.dcmread(path, stop_before_pixels=True))
    whole = np.full((count, *frames.shape[1:]), colour or 0, frames.dtype)
    whole[numbers] = frames
    return whole


def mosaic(frames: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Return the total pixel matrix that frames in row-major order make up."""
    frame_rows, frame_columns = frames.shape[1:3]
    across, down = -(-columns // frame_columns), -(-rows // frame_rows)
    grid = frames.reshape(down, across, *frames.shape[1:])
    whole = np.concatenate([np.concatenate(list(row), axis=1) for row in grid], axis=0)
    return whole[:rows, :columns]


def by_openslide(folder: Path) -> list[np.ndarray]:
    """Return every level of a series, read by OpenSlide."""
    import openslide

    first = min(folder.glob("*.dcm"))
    datasets = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.glob("*.dcm")]
    colour = max((absent_colour(dataset) or 0 for dataset in datasets), default=0)
    with openslide.OpenSlide(first) as slide:
        shown = []
        for level, size in enumerate(slide.level_dimensions):
            picture = slide.read_region((0, 0), level, size)
            # It leaves transparent where there is no frame.
            ground = Image.new("RGBA", size, (colour, colour, colour, 255))
            shown.append(np.asarray(Image.alpha_composite(ground, picture).convert("RGB")))
        return shown


def by_wsidicom(folder: Path, *, plane: int = 0, path: str | None = None) -> list[np.ndarray]:
    """Return every level of a series in one focal plane and channel, read by wsidicom."""
    import wsidicom

    with wsidicom.WsiDicom.open(folder) as slide:
        shown = []
        for level in slide.pyramids[0]:
            heights = sorted(level.focal_planes)
            size = level.size.to_tuple()
            picture = slide.read_region((0, 0), level.level, size, z=heights[plane], path=path)
            is_deep = picture.mode.startswith("I")
            shown.append(np.asarray(picture if is_deep else picture.convert("RGB")))
        return shown


def by_highdicom(path: Path) -> np.ndarray:
    """Return the total pixel matrix of an instance, read by highdicom."""
    import highdicom

    image = highdicom.imread(path)
    if absent_colour(image) is not None:  # where frames are missing it puts no matrix together
        frames = on_grid(path, _frames_of(image))
        return mosaic(frames, image.TotalPixelMatrixColumns, image.TotalPixelMatrixRows)
    return image.get_total_pixel_matrix(apply_icc_profile=False, dtype=_type_of(image))


def frames_by_highdicom(path: Path) -> np.ndarray:
    """Return all frames: of focal planes highdicom puts no matrix together."""
    import highdicom

    return _frames_of(highdicom.imread(path))


def _frames_of(image) -> np.ndarray:
    return image.get_frames(apply_icc_profile=False, dtype=_type_of(image))


def _type_of(image) -> np.dtype:
    """Return the type of the samples; highdicom makes numbers of eight bytes of them otherwise."""
    return np.dtype(f"u{image.BitsAllocated // 8}")


def dciodvfy(path: Path, program: str) -> list[str]:
    """Return what dciodvfy has to complain about."""
    done = subprocess.run([program, "-new", path], capture_output=True, check=False)
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    return [line for line in lines if line.startswith(("Error", "Warning"))]


def by_jpegtran(stream: bytes, area: tuple[int, int, int, int], program: str) -> list[bytes]:
    """Return what tells the coefficients of a part of a JPEG: its steps, and its coded blocks.

    Two streams with equal coefficients get equal optimised codes. ``area`` is x, y, width, length,
    the first two whole MCUs.
    """
    x, y, width, length = area
    crop = f"{width}x{length}+{x}+{y}"
    command = [program, "-copy", "none", "-optimize", "-crop", crop]
    done = subprocess.run(command, input=stream, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr == b""
    cropped = done.stdout
    at, kept = 2, []
    while cropped[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(cropped[at + 2 : at + 4])
        if cropped[at + 1] in (0xDB, 0xC4):
            kept.append(cropped[at:end])
        at = end
    return [*kept, cropped[at + 2 + int.from_bytes(cropped[at + 2 : at + 4]) :]]
