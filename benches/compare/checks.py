"""Looks at an output before its time counts: is it right, is it whole, whom does it name?

Nothing of coverslip is used for it but the list of words that its sample plants.
"""

import base64
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom.pixels import convert_color_space

from benches.compare.instances import Instance, instances_in, is_encapsulated
from benches.compare.slides import Pixels, Source, SourceLevel

SAMPLES_A_LEVEL = 6
VALIDATOR_TIMEOUT_S = 60
"""It takes the square of the number of frames where each frame is described by itself."""
SHORTEST_FORM = 6
WRONG_COLOURS = 8.0
"""Mean difference of samples from which on a picture is wrong; decoders differ by less than 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What an output is worth; ``None`` is what could not be looked at."""

    levels: int
    levels_wanted: int
    frames_kept: int | None
    """Frames with the entropy-coded bytes of the tile in their place."""
    frames_wanted: int
    colour_difference: float | None
    """Mean difference of the samples that frames show from the slide's, 0 to 255."""
    pictures: tuple[str, ...]
    """What was written beside the levels: ``LABEL``, ``OVERVIEW``, ``THUMBNAIL``."""
    identifiers_left: int | None
    identifiers_planted: int
    validator_errors: int | None
    validator_unfinished: int
    """Files that the validator did not come to an end with; their errors are not all counted."""
    tells_name: bool
    """Whether a file is named after the slide."""
    byte_count: int

    @property
    def has_right_colours(self) -> bool | None:
        """Whether the frames show the slide's colours."""
        difference = self.colour_difference
        return None if difference is None else difference < WRONG_COLOURS


def check(out: Path, source: Source) -> Checked:
    """Return what an output folder holds, compared with the slide."""
    instances = instances_in(out)
    pairs = [(level, _instance_of(level, instances)) for level in source.levels]
    there = [(level, instance) for level, instance in pairs if instance is not None]
    is_tiled = all(level.offsets for level in source.levels)
    differences = [d for pair in there for d in colour_differences(source, *pair)]
    files = [path for path in out.rglob("*") if path.is_file()]
    validation = validated([instance.path for instance in instances])
    return Checked(
        levels=len(there),
        levels_wanted=len(pairs),
        frames_kept=sum(_kept(source, *pair) for pair in there) if is_tiled else None,
        frames_wanted=sum(len(level.offsets) for level in source.levels),
        colour_difference=float(np.mean(differences)) if differences else None,
        pictures=tuple(sorted({i.image_type for i in instances} - {"VOLUME"})),
        identifiers_left=(
            len(left_in(files, out, source.identifiers)) if source.identifiers else None
        ),
        identifiers_planted=len(source.identifiers),
        validator_errors=None if validation is None else validation[0],
        validator_unfinished=0 if validation is None else validation[1],
        tells_name=any(source.path.stem in path.name for path in files),
        byte_count=sum(path.stat().st_size for path in files),
    )


def _instance_of(level: SourceLevel, instances: list[Instance]) -> Instance | None:
    same = [i for i in instances if i.size == (level.width, level.length)]
    return next((i for i in same if i.image_type == "VOLUME"), None)


def entropy_of(stream: bytes | memoryview) -> bytes:
    """Return the coded bytes of a JPEG or JPEG 2000 stream, without its headers."""
    stream = bytes(stream)
    is_jpeg = stream.startswith(b"\xff\xd8")
    last = 0xDA if is_jpeg else 0x90
    at = 2
    while at + 4 < len(stream) and stream[at + 1] != last:
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    if is_jpeg:
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    end = stream.rfind(b"\xff\xd9")
    return stream[at : end if end > at else None]


def _kept(source: Source, level: SourceLevel, instance: Instance) -> int:
    """Count the frames that hold what the tile in their place holds."""
    if instance.frame_size != (level.tile_width, level.tile_length):
        return 0
    if not is_encapsulated(instance):
        return 0
    kept = 0
    with source.path.open("rb") as file:
        for frame, place in zip_longest(instance.frames(), instance.places()):
            if frame is None or place is None or place >= len(level.offsets):
                continue
            file.seek(level.offsets[place])
            tile = file.read(level.byte_counts[place])
            kept += tile != b"" and entropy_of(frame) == entropy_of(tile)
    return kept


def colour_differences(source: Source, level: SourceLevel, instance: Instance) -> Iterator[float]:
    """Yield how far sample frames are from the slide, decoded as the header says they must be."""
    columns, rows = instance.frame_size
    across = -(-level.width // columns)
    places = instance.places()
    # Frames at the edges hold padding; from those within, some that are apart.
    whole = [
        (number, place % across * columns, place // across * rows)
        for number, place in enumerate(places)
        if (place % across + 1) * columns <= level.width
        and (place // across + 1) * rows <= level.length
    ]
    chosen = whole[len(whole) // (2 * SAMPLES_A_LEVEL) :: max(1, len(whole) // SAMPLES_A_LEVEL)]
    chosen = chosen[:SAMPLES_A_LEVEL]
    frames = instance.frames_at({number for number, _, _ in chosen})
    for number, x, y in chosen:
        shown = pixels_of(frames.get(number, b""), instance.photometric_interpretation)
        wanted = source.pixels(level, x, y, (columns, rows))
        if shown is not None and wanted is not None:
            yield float(np.abs(shown.astype(int) - wanted.astype(int)).mean())


def pixels_of(frame: bytes, photometric_interpretation: str) -> Pixels | None:
    """Return a frame as RGB, taking its samples for what the header says and nothing else."""
    is_ycc = photometric_interpretation.startswith("YBR_FULL")
    if frame.startswith(b"\xff\xd8"):
        colours = "YCBCR" if is_ycc else "RGB"
        return imagecodecs.jpeg8_decode(frame, colorspace=colours, outcolorspace="RGB")
    if not frame.startswith(b"\xff\x4f"):
        return None
    samples = imagecodecs.jpeg2k_decode(frame)
    return convert_color_space(samples, "YBR_FULL", "RGB") if is_ycc else samples


def validated(paths: list[Path]) -> tuple[int, int] | None:
    """Return how many errors dciodvfy found, and for how many files it took too long."""
    program = shutil.which("dciodvfy")
    if program is None:
        return None
    errors = unfinished = 0
    for path in paths:
        command = [program, "-new", path]
        try:
            done = subprocess.run(
                command, capture_output=True, check=False, timeout=VALIDATOR_TIMEOUT_S
            )
            said = done.stdout + done.stderr
        except subprocess.TimeoutExpired as expired:
            unfinished += 1
            said = (expired.stdout or b"") + (expired.stderr or b"")
        errors += sum(line.startswith(b"Error") for line in said.splitlines())
    return errors, unfinished


def left_in(files: list[Path], out: Path, identifiers: tuple[str, ...]) -> set[str]:
    """Return the identifiers that are in a file or its name, in any of the usual spellings."""
    forms = {form: text for text in identifiers for form in spellings_of(text)}
    names = "\n".join(str(path.relative_to(out)) for path in files).encode()
    with tempfile.TemporaryDirectory(prefix="coverslip-bench-") as folder:
        patterns = Path(folder) / "patterns"
        patterns.write_bytes(b"\n".join(forms))
        command = ["grep", "-a", "-o", "-h", "-F", "-f", patterns, "-"]
        found = set()
        for path in files:
            with path.open("rb") as file:
                found |= _lines(command, stdin=file)
        found |= _lines(command, input=names)
    return {forms[form] for form in found if form in forms}


def _lines(command, **stdin) -> set[bytes]:
    # In the locale C a byte is a character, whatever it is.
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=False, env={"LC_ALL": "C"}, **stdin
    )
    assert done.returncode in (0, 1), "grep failed"
    return set(done.stdout.splitlines())


def spellings_of(text: str) -> set[bytes]:
    """Return a text as it might survive: in other cases, wide, in hexadecimal, Base64, or DICOM."""
    found = set()
    for variant in {text, text.upper(), text.lower(), text.title(), _as_dicom(text)}:
        plain = variant.encode()
        found |= {plain, variant.encode("utf-16-le"), variant.encode("utf-16-be")}
        found |= {plain.hex().encode(), plain.hex().upper().encode()}
        for phase in range(3):
            encoded = base64.b64encode(b"\0" * phase + plain)
            found.add(encoded[-(-phase * 8 // 6) : len(plain) * 8 // 6 - 1])
    # A pattern of grep is a line; what is shorter stands in coded pictures by chance.
    return {form for form in found if b"\n" not in form and len(form) >= SHORTEST_FORM}


def _as_dicom(text: str) -> str:
    """Return a date as DA and a time as TM; any other text as it is."""
    parts = text.split("/")
    if len(parts) == 3:
        month, day, year = parts
        return year + month + day
    is_day = len(text) == 10 and text[4] == text[7] == "-"
    is_time = len(text) == 8 and text[2] == text[5] == ":"
    return text.replace("-", "").replace(":", "") if is_day or is_time else text
