"""What anybody may write into an instance without identity is found without its certificate.

A plain value is put in the place of each element of converted slides, one by one, items of
sequences and file meta information included, and behind each, as one value more.
"""

import itertools
import shutil
import struct
from functools import partial
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info

import coverslip
from coverslip.verification import colours, header
from tests.choices import of_each_builder
from tests.privacy.given import KEY, TRIAL, convert, custody
from tests.synth import FORMATS, build_svs
from tests.synth.overview import draw_overview

TEXT_VRS = frozenset(
    {
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
        *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
    }
)
SINGLE = frozenset(("LT", "ST", "UR", "UT"))
"""In these a backslash is a character like any other."""
EXPLICIT = (False, True, True)
"""Of elements that are read: their VR is told, bytes of numbers are in little-endian order."""
PROFILE = "(0048,0105)[0].(0028,2000)"
FRAMES, GROUP_LENGTH = 0x00280008, 0x00020000
DAY = b"19570423"
PLAIN = (b"Jane Doe", b"B22-66177", b"SMITH", b"biopsy", DAY, b"2266177")
LONG = b"Doe^John 1957-03-05 Ward 12 MRN 4711"
"""Of nine times four bytes, which is a whole number of numbers of any size."""
OF_EACH_LENGTH = (b"Jane Doe", b"B22-66177", b"SMITH", LONG)
"""To a number nothing else of a text counts."""
GIVEN = {"stains": "H&E", "fixative": "434162003", "embedding": "311731000", "anatomy": "76752008"}
KEPT = ("device", "institution", "patient_characteristics")
CASES = {
    "pictures": (
        partial(build_svs, levels=2, overview=draw_overview(5, noise=1.0).picture),
        "public",
        {"overview": "mask", "label": "substitute", "anatomy": "keep"},
    ),
    "channels": (FORMATS["ome-channels-16"], "public", {}),
    "sparse parts": (
        FORMATS["svs-jpeg-missing-tiles"],
        "public",
        {"sparse": True, "max_instance_size": 60_000},
    ),
    "fluorescence": (FORMATS["scn-fluorescence"], "research", {"keep": KEPT}),
    "planes": (FORMATS["svs-focal-planes"], "research", {"dates": "drop"}),
}
OF_A_KEPT = {
    *("DeviceSerialNumber", "StationName", "UniqueDeviceIdentifier"),
    *("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
}
"""What its code of CID 7050 says was retained as the operator gave it."""
OF_A_PROJECT = "ClinicalTrial"
"""What a project calls itself and its subjects, which nothing but the operator's table tells."""
OF_DAYS = {"StudyDate", "ContentDate", "AcquisitionDateTime", "DateOfLastCalibration"}
"""Any day may be one that was moved by whole weeks."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return profile and instances of each conversion."""
    cases = []
    for build, profile, options in CASES.values():
        folder = tmp_path_factory.mktemp("plain")
        is_research = profile == "research"
        given = custody(folder, KEY if is_research else None, **GIVEN, **TRIAL)
        result = convert(build(folder), folder / "out", profile, given, **options)
        cases.append((profile, [instance.path for instance in result.instances]))
    return cases


def elements_in(dataset, parents=()):
    """Yield path, item and element of each value; elements are as they were read."""
    for tag in list(dataset.keys()):
        element, keyword = dataset.get_item(tag), keyword_for_tag(tag)
        if element.VR == "SQ":
            for item in dataset[tag].value:
                yield from elements_in(item, (*parents, keyword))
        elif tag != GROUP_LENGTH:  # pydicom writes it anew
            yield ".".join((*parents, keyword)), item_of(dataset), element


def item_of(dataset):
    """Return what elements of a data set can be put into as bytes, whatever their kind."""
    return dataset._dict


def problems_of(dataset):
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    stream.write(bytes(128) + b"DICM")
    write_file_meta_info(stream, dataset.file_meta, enforce_standard=False)
    write_dataset(stream, dataset)
    try:
        return header.judge(BytesIO(stream.getvalue())).problems
    except header.UnreadableError as error:
        return error.problems


def in_place_of(element):
    """Yield plain values, and one behind what is there."""
    old = element.value if isinstance(element, RawDataElement) else str(element.value).encode()
    if element.VR not in TEXT_VRS:
        yield from OF_EACH_LENGTH
        yield element.value + LONG if isinstance(element.value, bytes) else LONG * 2
        return
    yield from PLAIN
    if old and element.VR not in SINGLE:
        yield old.rstrip(b" \0") + b"\\" + PLAIN[0]


def with_value(element, value):
    padding = b"\0" if element.VR == "UI" else b" "
    value += padding * (len(value) % 2)
    return RawDataElement(element.tag, element.VR, len(value), value, 0, *EXPLICIT)


def missed_in(path, profile, seen):
    """Yield places and values that nothing is said of; each place is tried once."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    assert problems_of(dataset) == ()
    for place, item, element in itertools.chain(
        elements_in(dataset.file_meta), elements_in(dataset)
    ):
        if (profile, place) in seen:
            continue
        seen.add((profile, place))
        for value in in_place_of(element):
            item[element.tag] = with_value(element, value)
            if not problems_of(dataset):
                yield place, value
        item[element.tag] = element


def is_legitimate(place, value):
    keyword = place.rpartition(".")[2]
    if keyword in OF_DAYS:
        return value == DAY
    return keyword in OF_A_KEPT or keyword.startswith(OF_A_PROJECT)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_plain_value_in_the_place_of_any_element_is_found(made):
    seen, missed = set(), {}
    for profile, paths in made:
        missed[profile] = missed.get(profile, []) + [
            one for path in paths for one in missed_in(path, profile, seen)
        ]
    assert len(seen) > 250
    assert missed["public"] == []
    assert [one for one in missed["research"] if not is_legitimate(*one)] == []


def test_what_nobody_can_judge_is_told(made):
    told = "what was given and 4 instances say was retained"
    for profile, paths in made[:4]:
        report = coverslip.verify(paths[0].parents[1], fast=True)
        assert (told in report.out_of_scope) == (profile == "research")


def test_what_is_found_is_told_without_the_certificate_if_the_header_cannot_be_read(made, tmp_path):
    _, paths = made[0]
    study = Path(shutil.copytree(paths[0].parents[1], tmp_path / paths[0].parents[1].name))
    for certificate in study.glob("*.json"):
        certificate.unlink()
    assert coverslip.verify(study).exit_status == 0
    path = study / paths[0].relative_to(paths[0].parents[1])
    dataset = pydicom.dcmread(path)
    item_of(dataset)[FRAMES] = with_value(dataset.get_item(FRAMES), b"Jane Doe")
    dataset.save_as(path)
    report = coverslip.verify(study)
    assert report.exit_status == 1
    assert [one.place for one in report.found] == ["(0028,0008)"]
    assert [what.partition(": ")[2] for what in report.unchecked] == ["its header cannot be read"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rebuilt RGB profile".encode("utf-16-be"), "Jane Doe, B22-66177".encode("utf-16-be")),
        ("not stated".encode("utf-16-be"), "Jane Doe !".encode("utf-16-be")),
        (b"acsp" + bytes(12), b"acsp" + bytes(8) + b"JDOE"),
        (b"acsp" + bytes(16), b"acsp" + bytes(12) + b"B226"),
        (bytes(48), b"JDOE" + bytes(44)),
        (bytes(48), bytes(20) + b"Jane Doe" + bytes(20)),
        (None, b"Jane Doe"),
    ],
    ids=["description", "copyright", "maker", "model", "creator", "reserved", "behind"],
)
def test_plain_value_in_a_colour_profile_is_found(old, new, made):
    _, paths = made[0]
    dataset = pydicom.dcmread(paths[0], stop_before_pixels=True)
    (path,) = dataset.OpticalPathSequence
    profile = path.ICCProfile
    assert old is None or old in profile
    path.ICCProfile = profile + new if old is None else profile.replace(old, new, 1)
    assert {place for place, _ in problems_of(dataset)} == {PROFILE}


def parts_of(profile):
    """Yield where the fields of the header and of the table of a profile lie, and its elements."""
    for start, end in itertools.pairwise((0, 4, 8, 12, 16, 20, 24, 36, 40, 44, 48, 52, 56, 64, 68)):
        yield start, end
    yield from ((68, 80), (80, 84), (84, 100), (100, 128), (128, 132))
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(132, 132 + 12 * count, 12):
        yield from ((entry + at, entry + at + 4) for at in (0, 4, 8))
        start, size = struct.unpack_from(">II", profile, entry + 4)
        yield start, start + 4
        yield start + 4, start + 8
        yield start + 8, start + size


@pytest.mark.parametrize("plain", [*PLAIN, LONG])
def test_plain_value_in_any_part_of_a_colour_profile_is_found(plain, made):
    _, paths = made[0]
    dataset = pydicom.dcmread(paths[0], stop_before_pixels=True)
    (path,) = dataset.OpticalPathSequence
    profile = path.ICCProfile
    assert list(colours.problems_of(profile)) == []
    for start, end in parts_of(profile):
        text = (plain * (end - start))[: end - start]
        changed = profile[:start] + text + profile[end:]
        assert list(colours.problems_of(changed)) != [], (start, end)


@pytest.mark.parametrize("signature", [b"wtpt", b"rXYZ", b"rTRC"])
@pytest.mark.parametrize("kind", ["longer", "text"])
def test_plain_value_in_an_element_of_another_length_or_type_is_found(signature, kind, made):
    _, paths = made[0]
    dataset = pydicom.dcmread(paths[0], stop_before_pixels=True)
    (path,) = dataset.OpticalPathSequence
    profile = bytearray(path.ICCProfile)
    entry = profile.index(signature, 132)
    start, size = struct.unpack_from(">II", profile, entry + 4)
    old = bytes(profile[start : start + size]) if kind == "longer" else b"text" + bytes(4)
    struct.pack_into(">II", profile, entry + 4, len(profile), len(old + LONG))
    profile += old + LONG + bytes(-len(old + LONG) % 4)
    struct.pack_into(">I", profile, 0, len(profile))
    path.ICCProfile = bytes(profile)
    assert (PROFILE, "its profile has something else than the numbers of a tag") in problems_of(
        dataset
    )


@pytest.mark.parametrize("name", of_each_builder(1))
@pytest.mark.parametrize("profile", ["public", "research"])
def test_clean_output_without_its_certificate_is_clean(name, profile, needed, tmp_path):
    needed(name)
    given = custody(tmp_path, KEY if profile == "research" else None, **GIVEN)
    result = convert(FORMATS[name](tmp_path), tmp_path / "out", profile, given)
    result.certificate_path.unlink()
    assert [str(one) for one in coverslip.verify(result.study_path, fast=True).found] == []
