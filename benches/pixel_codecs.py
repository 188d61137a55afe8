"""Compares lossless codecs for the route ``pixel``: size, speed, and who can read the result.

    python -m benches.pixel_codecs [--slide SLIDE]

The picture is built tissue, or the base level of a slide. Every codec has to give the pixels back.
Sizes and speeds are of one thread; readers get a small instance of each transfer syntax.
"""

import argparse
import contextlib
import dataclasses
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from tests.interop import readers
from tests.synth.texture import tiles_of, tissue
from tests.unit import builders

from coverslip.dicom import part10, wsm
from coverslip.model import FrameFormat


@dataclass(frozen=True)
class Codec:
    """A lossless codec and the transfer syntax it belongs to."""

    name: str
    uid: str
    photometric: str
    encode: Callable[[np.ndarray], bytes]
    decode: Callable[[bytes], np.ndarray] | None


def rle(pixels: np.ndarray) -> bytes:
    """Return a frame in RLE Lossless (PS3.5 G), each row packed by itself."""
    segments = []
    for plane in np.moveaxis(pixels, -1, 0):
        packed = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in plane)
        segments.append(packed + bytes(len(packed) % 2))
    offsets = np.cumsum([64, *map(len, segments[:-1])]).tolist()
    header = struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(offsets)))
    return header + b"".join(segments)


CODECS = [
    Codec(
        "JPEG 2000", "1.2.840.10008.1.2.4.90", "YBR_RCT",
        lambda pixels: imagecodecs.jpeg2k_encode(
            pixels, level=0, codecformat="j2k", reversible=True, mct=True, numthreads=1
        ),
        imagecodecs.jpeg2k_decode,
    ),
    Codec(
        "HTJ2K", "1.2.840.10008.1.2.4.201", "YBR_RCT",
        lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True, rgb=True),
        imagecodecs.htj2k_decode,
    ),
    Codec(
        "JPEG-LS", "1.2.840.10008.1.2.4.80", "RGB",
        imagecodecs.jpegls_encode, imagecodecs.jpegls_decode,
    ),
    Codec("RLE", "1.2.840.10008.1.2.5", "RGB", rle, None),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slide", type=Path, help="take the base level of this slide")
    options = parser.parse_args()
    picture = tissue(2048, 2048, 1)
    if options.slide is not None:
        import tifffile

        picture = tifffile.imread(options.slide, key=0)
    print("| codec | tile | size | encode MB/s | decode MB/s |\n|---|---|---|---|---|")
    for side in (256, 1024):
        tiles = [np.ascontiguousarray(tile) for tile in tiles_of(picture, side, side)]
        for codec in CODECS:
            print(f"| {codec.name} | {side} | {measure(codec, tiles)} |")
    print("\n| codec | " + " | ".join(READERS) + " |\n|---" + "|---" * len(READERS) + "|")
    for codec in CODECS:
        print(f"| {codec.name} | " + " | ".join(reads(codec)) + " |")


def measure(codec: Codec, tiles: list[np.ndarray]) -> str:
    raw = sum(tile.nbytes for tile in tiles)
    begin = time.perf_counter()
    encoded = [codec.encode(tile) for tile in tiles]
    encode_s = time.perf_counter() - begin
    speed = "-"
    if codec.decode is not None:
        begin = time.perf_counter()
        decoded = [codec.decode(data) for data in encoded]
        speed = f"{raw / 1e6 / (time.perf_counter() - begin):.0f}"
        assert all(map(np.array_equal, decoded, tiles))
    size = sum(map(len, encoded)) / raw
    return f"{100 * size:.0f} % | {raw / 1e6 / encode_s:.0f} | {speed}"


def _by_any_plugin_of_pydicom(path: Path) -> np.ndarray:
    import pydicom

    return pydicom.dcmread(path).pixel_array


def _by_gdcm(path: Path) -> np.ndarray:
    return readers.by_pydicom(path, "gdcm")


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "pydicom": lambda path: readers.mosaic(_by_any_plugin_of_pydicom(path), 100, 80),
    "GDCM in pydicom": lambda path: readers.mosaic(_by_gdcm(path), 100, 80),
    "OpenSlide": lambda path: readers.by_openslide(path.parent)[0],
    "wsidicom": lambda path: readers.by_wsidicom(path.parent)[0],
    "highdicom": readers.by_highdicom,
    "dciodvfy": lambda path: np.array(readers.dciodvfy(path, "dciodvfy")),
}


def reads(codec: Codec) -> list[str]:
    """Return what each reader makes of an instance with four frames: yes, no, or wrong."""
    picture = tissue(100, 80, 3)
    clean = builders.clean_metadata()
    frame_format = FrameFormat(
        transfer_syntax_uid=codec.uid,
        photometric_interpretation=codec.photometric,
        samples_per_pixel=3,
        bits_allocated=8,
        lossy_methods=(),
    )
    spec = dataclasses.replace(builders.instance_spec(clean, frame_format), compression_ratios=())
    frames = [bytes(codec.encode(np.ascontiguousarray(t))) for t in tiles_of(picture, 64, 64)]
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instance.dcm"
        header = part10.encode(wsm.build(clean, spec), codec.uid)
        path.write_bytes(header + builders.group_7fe0(frames))
        for name, read in READERS.items():
            verdict = "no"
            with contextlib.suppress(Exception):
                pixels = read(path)
                expected = np.array([]) if name == "dciodvfy" else picture
                verdict = "yes" if np.array_equal(pixels, expected) else "no, or wrong"
            verdicts.append(verdict)
    return verdicts


if __name__ == "__main__":
    main()
