"""OME-TIFF in several files, as Bio-Formats and micro-manager write it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.synth import tiff

Apart = Literal["channels", "focal planes", "planes"]
"""What has a file of its own; what is no plane of the specimen lies in the first."""
Metadata = Literal["each", "first", "companion"]
"""Which files have the XML: all others name the one that has it."""


@dataclass
class Member:
    """A file of a set, which may be the only one."""

    name: str
    uuid: str
    takes: Callable[[int, int], bool]
    """Whether it holds the plane of a channel and focal plane."""
    directories: list[tiff.Directory] = field(default_factory=list)


def members(secret, apart: Apart | None, channels: int, focal_planes: int) -> list[Member]:
    """Return the files of a slide, empty yet."""
    keys = {
        None: lambda _c, _z: 0,
        "channels": lambda c, _z: c,
        "focal planes": lambda _c, z: z,
        "planes": lambda c, z: z * channels + c,
    }
    key = keys[apart]
    count = 1 + key(channels - 1, focal_planes - 1)
    return [
        Member(
            name=f"{secret.word()}.ome.tif" if apart else f"{secret.word()}.tif",
            uuid=f"urn:uuid:{secret.number()}-{secret.number()}",
            takes=lambda c, z, number=number: key(c, z) == number,
        )
        for number in range(count)
    ]


def place(found: Sequence[Member], planes: Sequence[tiff.Directory], channels: int) -> str:
    """Put the planes of a picture into their files, and return the XML that says where they are."""
    said = []
    for number, directory in enumerate(planes):
        z, c = divmod(number, channels)
        member = next(one for one in found if one.takes(c, z))
        at = f'IFD="{len(member.directories)}" FirstC="{c}" FirstZ="{z}" FirstT="0" PlaneCount="1"'
        said.append(tiff_data(at, member.name, member.uuid))
        member.directories.append(directory)
    return "".join(said)


def tiff_data(attributes: str, file: str, uuid: str) -> str:
    return f'<TiffData {attributes}><UUID FileName="{file}">{uuid}</UUID></TiffData>'


def write(
    secret,
    found: Sequence[Member],
    paths: Sequence[Path],
    document: Callable[[str], str],
    metadata: Metadata,
    *,
    big_endian: bool,
) -> list[Path]:
    """Write the files and return them; one that holds the XML alone is the last."""
    holder = found[0].name
    beside: list[Path] = []
    if metadata == "companion":
        holder, uuid = f"{secret.word()}.companion.ome", f"urn:uuid:{secret.number()}"
        beside = [paths[0].with_name(holder)]
        beside[0].write_text(document(uuid), encoding="utf-8")
    whole, uuid = "" if beside else document(found[0].uuid), uuid if beside else found[0].uuid
    for member, path in zip(found, paths, strict=True):
        text = whole.replace(f' UUID="{found[0].uuid}">', f' UUID="{member.uuid}">')
        if metadata == "companion" or (metadata == "first" and member is not found[0]):
            text = (
                f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
                f'UUID="{member.uuid}"><BinaryOnly MetadataFile="{holder}" UUID="{uuid}"/></OME>'
            )
        member.directories[0].tags[270] = tiff.ascii_(text)
        tiff.write_tiff(
            path,
            member.directories,
            big_endian=big_endian,
            gap=secret.word().encode(),
            tail=secret.word().encode(),
        )
    return [*paths, *beside]
