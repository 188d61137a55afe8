import importlib.resources
import io
import itertools
import struct

import imagecodecs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from coverslip.deid import icc
from coverslip.limits import LIMITS

PLANTED = b"CANARY-SCANNER-7731"
D50 = bytes.fromhex("0000f6d6000100000000d32d")
D65 = struct.pack(">3i", 62289, 65536, 71372)
PRIMARIES = {
    b"rXYZ": struct.pack(">3i", 28578, 14581, 912),
    b"gXYZ": struct.pack(">3i", 25240, 46983, 6365),
    b"bXYZ": struct.pack(">3i", 9375, 3972, 46799),
}
INTENTS = list(ImageCms.Intent)


def xyz(numbers: bytes) -> bytes:
    return b"XYZ " + bytes(4) + numbers


def curve(*entries: int) -> bytes:
    return b"curv" + bytes(4) + struct.pack(f">I{len(entries)}H", len(entries), *entries)


GAMMA = curve(*(round(65535 * (i / 255) ** 2.2) for i in range(256)))
PARAMETRIC = b"para" + bytes(4) + struct.pack(">HHi", 0, 0, round(1.8 * 65536))


def matrix_tags(trc: bytes = GAMMA) -> dict[bytes, bytes]:
    tags = {name: xyz(numbers) for name, numbers in PRIMARIES.items()}
    return tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc)


def table_16(outputs: int = 3) -> bytes:
    grid = itertools.product((0, 32768, 65535), repeat=3)
    values = [(r + g + b) // 3 ^ channel * 0x1F00 for r, g, b in grid for channel in range(outputs)]
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = [0, 32768, 65535]
    body = [*ramp * 3, *values, *ramp * outputs]
    return (
        b"mft2"
        + bytes(4)
        + bytes((3, outputs, 3, 0))
        + matrix
        + struct.pack(f">2H{len(body)}H", 3, 3, *body)
    )


def table_8() -> bytes:
    grid = itertools.product((0, 128, 255), repeat=3)
    values = [component for point in grid for component in point]
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = [*range(256)] * 3
    return b"mft1" + bytes(4) + bytes((3, 3, 3, 0)) + matrix + bytes([*ramp, *values, *ramp])


def stages() -> bytes:
    """Return a lutAToBType with all five stages, in an order that is not ours, with slack."""
    curves = (PARAMETRIC + PLANTED[: -len(PARAMETRIC) % 4]) * 3
    grid = itertools.product((0, 128, 255), repeat=3)
    table = bytes((3, 3, 3)) + PLANTED[:13] + b"\1" + PLANTED[:3]
    table += bytes(component for point in grid for component in point)
    table += bytes(-len(table) % 4)
    matrix = struct.pack(">12i", 65536, 0, 0, 0, 60000, 0, 0, 0, 65536, 0, 1000, 0)
    start = 32 + len(PLANTED) + 1
    at_matrix = start + len(curves)
    at_table = at_matrix + len(matrix)
    offsets = struct.pack(">5I", start, at_matrix, start, at_table, start)
    head = b"mAB " + PLANTED[:4] + bytes((3, 3)) + PLANTED[:2] + offsets + PLANTED + b"\0"
    return head + curves + matrix + table


def profile(
    tags: dict[bytes, bytes],
    *,
    major: int = 2,
    device_class: bytes = b"mntr",
    space: bytes = b"XYZ ",
    white: bytes = D50,
    intent: int = 0,
) -> bytes:
    """Return a profile with planted text in every place that holds no colour."""
    text = b"text" + bytes(4) + PLANTED + b"\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(PLANTED) + 1) + PLANTED + bytes(79)
    if major == 4:
        utf16 = PLANTED.decode().encode("utf-16-be")
        text = description = (
            b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(utf16), 28) + utf16
        )
    tags = {b"desc": description, b"cprt": text, b"dmdd": description, b"priv": text} | tags
    tags |= {b"wtpt": xyz(white)}
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, element in tags.items():
        slack = PLANTED if name.endswith((b"TRC", b"XYZ")) else b""
        table += name + struct.pack(">II", start + len(body), len(element) + len(slack))
        body += element + slack
        body += bytes(-len(body) % 4)
    header = struct.pack(">I", start + len(body)) + PLANTED[:4] + bytes((major, 0x20, 0, 0))
    header += device_class + b"RGB " + space + struct.pack(">6H", 2023, 5, 17, 11, 42, 7)
    header += b"acsp" + PLANTED[:4] + bytes(4) + PLANTED[:8] + bytes(8)
    header += struct.pack(">I", intent) + D50 + PLANTED[:4] + PLANTED[:16]
    header += PLANTED[:16] + bytes(12)
    assert len(header) == 128
    return header + table + body


PROFILES = {
    "matrix v2": profile(matrix_tags()),
    "matrix v2 with a white point of its own": profile(matrix_tags(), white=D65),
    "matrix v2 of an input device": profile(
        matrix_tags(curve(461)), device_class=b"scnr", white=D65
    ),
    "matrix v4": profile(matrix_tags(PARAMETRIC), major=4),
    "lut16": profile({b"A2B0": table_16(), b"A2B1": table_16()}, space=b"Lab ", major=2),
    "lut8": profile({b"A2B0": table_8()}, space=b"Lab ", major=2, device_class=b"scnr"),
    "stages": profile({b"A2B0": stages()}, space=b"Lab ", major=4, device_class=b"spac"),
    "matrix and lut": profile(matrix_tags() | {b"A2B0": table_16()}),
}


def opened(data: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(data))


def colour_grid() -> Image.Image:
    steps = range(0, 256, 17)
    return Image.frombytes(
        "RGB", (16, 256), bytes(itertools.chain(*itertools.product(steps, repeat=3)))
    )


def transformed(data: bytes, intent: ImageCms.Intent, target: str) -> bytes:
    target_profile = (
        opened(icc.srgb_profile()) if target == "RGB" else ImageCms.createProfile("LAB")
    )
    transform = ImageCms.buildTransform(
        opened(data), target_profile, "RGB", target, renderingIntent=intent
    )
    return ImageCms.applyTransform(colour_grid(), transform).tobytes()


def elements(data: bytes) -> dict[bytes, bytes]:
    count = int.from_bytes(data[128:132])
    rows = struct.iter_unpack(">4sII", data[132 : 132 + 12 * count])
    return {name: data[start : start + length] for name, start, length in rows}


@pytest.mark.parametrize("target", ["RGB", "LAB"])
@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: intent.name)
@pytest.mark.parametrize("source", PROFILES.values(), ids=PROFILES)
def test_colours_are_the_same_before_and_after(source, intent, target):
    rebuilt = icc.rebuild_profile(source)

    assert transformed(rebuilt, intent, target) == transformed(source, intent, target)


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: intent.name)
def test_preference_profile_with_both_directions_keeps_its_colours(intent):
    package = importlib.resources.files("highdicom")
    source = package.joinpath("_icc_profiles/sRGB_v4_ICC_preference.icc").read_bytes()

    rebuilt = icc.rebuild_profile(source)

    assert transformed(rebuilt, intent, "RGB") == transformed(source, intent, "RGB")
    assert set(elements(rebuilt)) == {
        *(b"desc", b"cprt", b"wtpt", b"chad", b"A2B0", b"A2B1", b"B2A0", b"B2A1"),
    }


@pytest.mark.parametrize("source", PROFILES.values(), ids=PROFILES)
def test_planted_text_and_date_are_gone(source):
    rebuilt = icc.rebuild_profile(source)

    assert PLANTED[:4] in source
    assert PLANTED[:4] not in rebuilt
    assert PLANTED[:4].decode().encode("utf-16-be") not in rebuilt
    assert struct.pack(">3H", 2023, 5, 17) not in rebuilt


@pytest.mark.parametrize("source", PROFILES.values(), ids=PROFILES)
def test_rebuilt_profile_is_what_dicom_asks_for(source):
    rebuilt = icc.rebuild_profile(source)

    assert len(rebuilt) % 2 == 0
    assert int.from_bytes(rebuilt[:4]) == len(rebuilt)
    assert rebuilt[12:16] in (b"scnr", b"spac")
    assert rebuilt[24:36] == bytes(12)
    assert rebuilt[80:128] == bytes(48)


@pytest.mark.parametrize(("major", "kind"), [(2, b"desc"), (4, b"mluc")])
def test_description_has_the_type_of_its_version(major, kind):
    rebuilt = icc.rebuild_profile(profile(matrix_tags(), major=major), description="neutral")

    assert elements(rebuilt)[b"desc"][:4] == kind
    assert elements(rebuilt)[b"cprt"][:4] == (b"text" if major == 2 else b"mluc")
    assert opened(rebuilt).profile.profile_description == "neutral"
    assert opened(rebuilt).profile.copyright == icc.NOT_STATED


@pytest.mark.parametrize("source", [*PROFILES.values(), icc.srgb_profile()])
def test_rebuilding_again_changes_nothing(source):
    once = icc.rebuild_profile(source)

    assert icc.rebuild_profile(once) == once


def test_equal_curves_are_stored_once():
    rebuilt = icc.rebuild_profile(profile(matrix_tags()))

    assert rebuilt.count(GAMMA) == 1


def test_synthetic_profile_is_srgb():
    source = bytes(imagecodecs.cms_profile("srgb"))

    for intent in INTENTS:
        assert transformed(icc.srgb_profile(), intent, "LAB") == transformed(source, intent, "LAB")
    assert opened(icc.srgb_profile()).profile.profile_description == "sRGB"


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def entry(data: bytes, name: bytes) -> int:
    return data.index(name, 132)


PLAIN = PROFILES["matrix v2"]
UNUSABLE = {
    "empty": b"",
    "header only": PLAIN[:128],
    "no signature": patched(PLAIN, 36, b"xxxx"),
    "version 5": patched(PLAIN, 8, b"\5"),
    "printer": patched(PLAIN, 12, b"prtr"),
    "grey": patched(PLAIN, 16, b"GRAY"),
    "linked to a device": patched(PLAIN, 20, b"RGB "),
    "more tags than bytes": patched(PLAIN, 128, b"\xff\xff\xff\xff"),
    "element past the end": patched(PLAIN, entry(PLAIN, b"rTRC") + 4, b"\xff\xff\xff\xf0"),
    "element in the tag table": patched(PLAIN, entry(PLAIN, b"rTRC") + 4, b"\0\0\0\x90"),
    "tag twice": patched(PLAIN, entry(PLAIN, b"gTRC"), b"rTRC"),
    "elements overlap": patched(
        PLAIN,
        entry(PLAIN, b"gTRC") + 4,
        struct.pack(
            ">I", int.from_bytes(PLAIN[entry(PLAIN, b"rTRC") + 4 : entry(PLAIN, b"rTRC") + 8]) + 4
        ),
    ),
    "no green": profile({k: v for k, v in matrix_tags().items() if k != b"gXYZ"}),
    "curve longer than its element": profile(
        matrix_tags() | {b"rTRC": b"curv" + bytes(4) + b"\0\0\x70\0"}
    ),
    "curve of a billion entries": profile(
        matrix_tags() | {b"rTRC": b"curv" + bytes(4) + b"\x40\0\0\0"}
    ),
    "unknown parametric function": profile(
        matrix_tags() | {b"rTRC": b"para" + bytes(4) + b"\0\x09" + bytes(40)}
    ),
    "matrix with another connection space": profile(matrix_tags(), space=b"Lab "),
    "table of another size": profile({b"A2B0": patched(table_16(), 10, b"\xff")}, space=b"Lab "),
    "table of four channels": profile({b"A2B0": patched(table_16(), 8, b"\4")}, space=b"Lab "),
    "stages that start in the header": profile(
        {b"A2B0": patched(stages(), 12, b"\xff\xff\xff\xff")}, space=b"Lab ", major=4
    ),
}


@pytest.mark.parametrize("source", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_profile_counts_as_none(source):
    assert icc.rebuild_profile(source) is None


def test_malformed_element_is_dropped_where_colour_does_not_need_it():
    source = profile(matrix_tags() | {b"bkpt": b"text" + bytes(4) + PLANTED})

    assert b"bkpt" not in elements(icc.rebuild_profile(source))


def test_profile_over_the_cap_counts_as_none():
    assert icc.rebuild_profile(PLAIN + bytes(LIMITS.profile_bytes)) is None


def check_hostile(data: bytes) -> None:
    rebuilt = icc.rebuild_profile(data)
    if rebuilt is not None:
        assert icc.rebuild_profile(rebuilt) == rebuilt
        opened(rebuilt)


@given(source=st.sampled_from([*PROFILES.values()]), end=st.integers(0, 4000))
def test_truncated_profiles_never_crash(source, end):
    check_hostile(source[:end])


@given(
    source=st.sampled_from([*PROFILES.values()]),
    changes=st.lists(
        st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=4)), max_size=6
    ),
)
def test_mutated_profiles_never_crash(source, changes):
    for at, new in changes:
        source = patched(source, at % len(source), new)

    check_hostile(source)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_never_crash(data):
    assert icc.rebuild_profile(data) is None


@given(st.binary(max_size=300))
def test_arbitrary_elements_never_crash(element):
    for kind in (b"curv", b"para", b"mft1", b"mft2", b"mAB ", b"mBA "):
        source = profile(matrix_tags() | {b"A2B0": kind + element, b"gamt": kind + element})
        check_hostile(source)
