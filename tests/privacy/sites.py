"""Places of a finished study in which a text may survive: each puts bytes there."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pydicom

ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0" + bytes(4)
PIXEL_DATA = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
LONG_VRS = {"OB", "OW", "OD", "UN", "UT", "UC", "UR", "SQ"}

Site = Callable[[Path, bytes], None]


def element(group: int, number: int, vr: str, value: bytes) -> bytes:
    """Return an element in Explicit VR Little Endian, with a value of even length."""
    value += b"\0" * (len(value) % 2)
    length = struct.pack("<2xI" if vr in LONG_VRS else "<H", len(value))
    return struct.pack("<HH2s", group, number, vr.encode()) + length + value


def item(value: bytes) -> bytes:
    return ITEM + struct.pack("<I", len(value)) + value


def instance_of(study: Path) -> Path:
    return min(study.rglob("*.dcm"))


def replaced(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new, 1))


def before_pixels(make: Callable[[bytes], bytes]) -> Site:
    """Put an element in front of the Pixel Data."""

    def plant(study: Path, data: bytes) -> None:
        replaced(instance_of(study), PIXEL_DATA, make(data) + PIXEL_DATA)

    return plant


def in_element(group: int, number: int, vr: str) -> Site:
    return before_pixels(lambda data: element(group, number, vr, data))


def in_file_meta(number: int, vr: str) -> Site:
    """Put an element at the end of group 2 and count it in the group's length."""

    def plant(study: Path, data: bytes) -> None:
        path = instance_of(study)
        whole = path.read_bytes()
        (length,) = struct.unpack_from("<I", whole, 140)
        added = element(2, number, vr, data)
        end = 144 + length
        meta = whole[:140] + struct.pack("<I", length + len(added)) + whole[144:end]
        path.write_bytes(meta + added + whole[end:])

    return plant


def in_preamble(study: Path, data: bytes) -> None:
    path = instance_of(study)
    path.write_bytes(data[:128].ljust(128, b"\0") + path.read_bytes()[128:])


def behind_the_end_of_a_text(study: Path, data: bytes) -> None:
    before_pixels(lambda d: element(0x0008, 0x0070, "LO", b"Unknown\0" + d))(study, data)


def in_icc(tag: bytes) -> Site:
    """Put bytes into the profile: at its end, under a new tag, or into its header."""

    def plant(study: Path, data: bytes) -> None:
        path = instance_of(study)
        profile = bytes(pydicom.dcmread(path).OpticalPathSequence[0].ICCProfile)
        if tag == b"header":
            changed = bytearray(profile)
            changed[44:128] = data[:84].ljust(84, b"\0")
        else:
            changed = bytearray(profile + data + b"\0" * (len(data) % 2))
        changed = bytes(changed)
        if len(changed) == len(profile):
            replaced(path, profile, changed)
        else:
            dataset = element(0x0028, 0x2000, "OB", changed)
            sequence = element(0x0048, 0x0105, "SQ", item(dataset))
            replaced(path, PIXEL_DATA, sequence + PIXEL_DATA)

    return plant


def in_frames(change: Callable[[bytes, bytes], bytes]) -> Site:
    """Change the first frame, and the offset table with it."""

    def plant(study: Path, data: bytes) -> None:
        path = instance_of(study)
        whole = path.read_bytes()
        start = whole.index(PIXEL_DATA) + len(PIXEL_DATA)
        items, at = [], start
        while whole[at : at + 4] == ITEM:
            (length,) = struct.unpack_from("<I", whole, at + 4)
            items.append(whole[at + 8 : at + 8 + length])
            at += 8 + length
        frame = change(items[1], data)
        items[1] = frame + b"\0" * (len(frame) % 2)
        offsets, offset = [], 0
        for frame in items[1:]:
            offsets.append(offset)
            offset += 8 + len(frame)
        items[0] = struct.pack(f"<{len(offsets)}I", *offsets)
        path.write_bytes(whole[:start] + b"".join(map(item, items)) + whole[at:])

    return plant


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def at(offset: int, make: Callable[[bytes], bytes]) -> Site:
    return in_frames(lambda frame, data: frame[:offset] + make(data) + frame[offset:])


def before(mark: bytes, make: Callable[[bytes], bytes]) -> Site:
    def change(frame: bytes, data: bytes) -> bytes:
        place = frame.index(mark)
        return frame[:place] + make(data) + frame[place:]

    return in_frames(change)


def unused_table(data: bytes) -> bytes:
    return segment(0xDB, b"\x13" + data[:128].ljust(128, b"\1"))


def in_scan(frame: bytes, data: bytes) -> bytes:
    """Put bytes into the middle of the entropy-coded data of a JPEG."""
    start = frame.index(b"\xff\xda") + 14
    place = start + (len(frame) - start) // 2
    while 0xFF in frame[place - 1 : place + 1]:
        place += 1
    return frame[:place] + data + frame[place:]


def behind_everything(study: Path, data: bytes) -> None:
    path = instance_of(study)
    path.write_bytes(path.read_bytes() + data)


def in_one_more_item(study: Path, data: bytes) -> None:
    added = item(data + b"\0" * (len(data) % 2))
    path = instance_of(study)
    whole = path.read_bytes()
    assert whole.endswith(DELIMITER)
    path.write_bytes(whole[: -len(DELIMITER)] + added + DELIMITER)


def in_offset_table(study: Path, data: bytes) -> None:
    path = instance_of(study)
    whole = path.read_bytes()
    start = whole.index(PIXEL_DATA) + len(PIXEL_DATA)
    (length,) = struct.unpack_from("<I", whole, start + 4)
    table = whole[start + 8 : start + 8 + length] + data + b"\0" * (-len(data) % 4)
    path.write_bytes(whole[:start] + item(table) + whole[start + 8 + length :])


def in_extended_table(study: Path, data: bytes) -> None:
    padded = data + b"\0" * (-len(data) % 8)
    tables = element(0x7FE0, 1, "OV", padded), element(0x7FE0, 2, "OV", padded)
    long = [table[:6] + b"\0\0" + struct.pack("<I", len(padded)) + padded for table in tables]
    replaced(instance_of(study), PIXEL_DATA, b"".join(long) + PIXEL_DATA)


def in_certificate(*path: str) -> Site:
    """Add to a value of the certificate, or a property to it."""

    def plant(study: Path, data: bytes) -> None:
        (file,) = study.glob("*.certificate.json")
        certificate = json.loads(file.read_text())
        place = certificate
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = "@@@"
        file.write_bytes(json.dumps(certificate).encode().replace(b"@@@", data))

    return plant


def in_certificate_name(study: Path, data: bytes) -> None:
    (file,) = study.glob("*.certificate.json")
    file.rename(study / (os.fsdecode(data) + ".certificate.json"))


def in_file(name: str) -> Site:
    return lambda study, data: (study / name).write_bytes(b"\n" + data + b"\n") and None


def in_file_name(study: Path, data: bytes) -> None:
    path = instance_of(study)
    path.rename(path.with_name(os.fsdecode(data) + ".dcm"))


def in_folder_name(study: Path, data: bytes) -> None:
    folder = instance_of(study).parent
    folder.rename(study / os.fsdecode(data))


def in_empty_folder(study: Path, data: bytes) -> None:
    (study / os.fsdecode(data)).mkdir()


def in_link(study: Path, data: bytes) -> None:
    (study / "link").symlink_to("/elsewhere/" + os.fsdecode(data))


def in_extended_attribute(study: Path, data: bytes) -> None:
    os.setxattr(instance_of(study), "user.comment", data)


def in_attribute_of_folder(study: Path, data: bytes) -> None:
    os.setxattr(study, "user.comment", data)


_VRS = (
    *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI"),
    *("UN", "UR", "UT", "OB", "OW", "OD"),
)
ANYWHERE: dict[str, Site] = {
    **{
        f"element {vr}": in_element(0x0008, number, vr)
        for number, vr in enumerate(_VRS, start=0x70)
    },
    "patient's name": in_element(0x0010, 0x0010, "PN"),
    "container identifier": in_element(0x0040, 0x0512, "LO"),
    "image comments": in_element(0x0020, 0x4000, "LT"),
    "private creator": in_element(0x0011, 0x0010, "LO"),
    "private element": before_pixels(
        lambda d: element(0x0011, 0x0010, "LO", b"MAKER") + element(0x0011, 0x1001, "UN", d)
    ),
    "unknown element": in_element(0x0008, 0x0003, "LO"),
    "overlay": in_element(0x6000, 0x3000, "OB"),
    "item of a sequence": before_pixels(
        lambda d: element(0x0040, 0x0560, "SQ", item(element(0x0040, 0x0551, "LO", d)))
    ),
    "item of an item": before_pixels(
        lambda d: element(
            0x0040,
            0x0560,
            "SQ",
            item(element(0x0040, 0x0562, "SQ", item(element(0x0040, 0x0031, "UT", d)))),
        )
    ),
    "private element in an item": before_pixels(
        lambda d: element(0x0048, 0x0105, "SQ", item(element(0x0049, 0x1001, "UN", d)))
    ),
    "behind the end of a text": behind_the_end_of_a_text,
    "ICC profile, header": in_icc(b"header"),
    "ICC profile, behind its end": in_icc(b"end"),
    "file meta, application entity": in_file_meta(0x0016, "AE"),
    "file meta, version name": in_file_meta(0x0013, "SH"),
    "file meta, private information": in_file_meta(0x0102, "OB"),
    "preamble": in_preamble,
    "Basic Offset Table": in_offset_table,
    "Extended Offset Table": in_extended_table,
    "one more item": in_one_more_item,
    "behind the Pixel Data": behind_everything,
    "data set trailing padding": lambda s, d: behind_everything(
        s, element(0xFFFC, 0xFFFC, "OB", d)
    ),
    "behind the end of a frame": in_frames(lambda frame, data: frame.rstrip(b"\0") + data),
    "certificate, a value": in_certificate("residual_risk"),
    "certificate, a new property": in_certificate("comment"),
    "certificate, a pseudonym": in_certificate("container_identifier"),
    "another file": in_file("notes.txt"),
    "a hidden file": in_file(".DS_Store"),
    "extended attribute": in_extended_attribute,
    "extended attribute of the folder": in_attribute_of_folder,
}
IN_JPEG: dict[str, Site] = {
    "JPEG comment": at(2, lambda d: segment(0xFE, d)),
    "JPEG APP1": at(2, lambda d: segment(0xE1, b"Exif\0\0" + d)),
    "JPEG APP14": at(2, lambda d: segment(0xEE, b"Adobe\0" + d)),
    "JPEG comment before the scan": before(b"\xff\xda", lambda d: segment(0xFE, d)),
    "quantisation table of nobody": at(2, unused_table),
    "between segments": before(b"\xff\xda", lambda d: d),
    "inside the scan": in_frames(in_scan),
    "between scan and end marker": in_frames(
        lambda frame, data: frame[: frame.rindex(b"\xff\xd9")] + data + b"\xff\xd9"
    ),
}
IN_JPEG_2000: dict[str, Site] = {
    "JPEG 2000 comment": before(b"\xff\x90", lambda d: segment(0x64, b"\0\1" + d)),
    "JPEG 2000 comment in a tile-part": before(b"\xff\x93", lambda d: segment(0x64, b"\0\1" + d)),
    "inside the packets": in_frames(
        lambda frame, data: frame[: frame.rindex(b"\xff\xd9")] + data + b"\xff\xd9"
    ),
    "between main header and tile-part": before(b"\xff\x90", lambda d: d),
}
IN_NAMES: dict[str, Site] = {
    "file name": in_file_name,
    "folder name": in_folder_name,
    "name of the certificate": in_certificate_name,
    "name of an empty folder": in_empty_folder,
    "target of a link": in_link,
}
"""Where bytes that mean something to the file system cannot be."""
