"""What holds for every format: on slides with randomly planted identifiers."""

import functools
import io
import itertools
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose

import coverslip
from coverslip import conversion, guard
from coverslip.cli import main
from coverslip.deid.policy import Policy
from coverslip.deid.uids import RandomIdentity
from tests.choices import choices_of, words_of
from tests.interop import alike, intervals, readers
from tests.interop.validator import validator_findings
from tests.privacy.search import found_in, places_of, survivors
from tests.synth import FORMATS

SPARSE = (
    "svs-jpeg-missing-tiles",
    "svs-33005-missing-tiles",
    "svs-focal-planes",
    "scn-fluorescence-in-jpeg2000",
    "ome-channels-in-planes",
    "ndpi-stitched",
    "generic-deflate",
    "generic-jpeg-planar",
    "generic-progressive",
    "ventana-bif-overlaps",
    "ventana-bif-focal-planes",
)
"""Held to the laws with --sparse too: some of each kind of route, with missing tiles or without."""
DEFLATED = ("generic-deflate", "generic-deflate-grey-16")
"""Held to the laws with --deflated-frames too."""
CASES = (
    *FORMATS,
    *(f"{name}+sparse" for name in SPARSE),
    *(f"{name}+deflated" for name in DEFLATED),
)


class Case:
    def __init__(self, slide, option, result, captured):
        self.option = option
        self.is_sparse, self.is_deflated = option == "sparse", option == "deflated"
        self.slide = slide
        self.result = result
        self.captured = captured
        self.instances = [instance.path for instance in result.instances]
        self.study = result.study_path

    def pairs(self):
        return zip(self.slide.levels, self.instances, strict=True)

    def planes(self, level, frames):
        """Yield each focal plane of a level with its frames."""
        each = len(frames) // len(level.planes)
        for number, plane in enumerate(level.planes):
            yield plane, frames[number * each : (number + 1) * each]

    def regions(self):
        """Yield levels and instances of each region: one series each."""
        for region in sorted({level.region for level in self.slide.levels}):
            pairs = [pair for pair in self.pairs() if pair[0].region == region]
            yield [level for level, _ in pairs], [path for _, path in pairs]


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory, needed):
    name, _, option = request.param.partition("+")
    needed(name)
    folder = tmp_path_factory.mktemp("slide")
    slide = FORMATS[name](folder)
    out = folder / "out"
    chosen = words_of(choices_of(slide, option))
    said = command("convert", slide.path, "-o", out, "--json", *chosen)
    return Case(slide, option, numbered(slide, option, out), said)


def numbered(slide, option, out):
    """Convert a slide under an identity whose random bytes are counted."""
    counter = itertools.count()
    identity = RandomIdentity(lambda count: next(counter).to_bytes(count))
    opened, policy = coverslip.open(slide.path), Policy(**choices_of(slide, option))
    return conversion.convert_opened(opened, out, policy, identity, verify=False)


def command(*words):
    """Run the command line in this process, and return all that it says.

    The process is not the command's own: it stays without the limits that one has for good.
    """
    said = io.StringIO()
    with (
        patch.object(guard, "confine"),
        patch.object(sys, "argv", ["coverslip", *map(str, words)]),
        redirect_stdout(said),
        redirect_stderr(said),
        pytest.raises(SystemExit) as ended,
    ):
        main(is_program=False)
    assert ended.value.code == 0, said.getvalue()
    return said.getvalue()


def entropy_of(frame):
    """Return the entropy-coded bytes of a frame by a plain walk over its header."""
    marker = b"\xda" if frame.startswith(b"\xff\xd8") else b"\x90"
    at = 2
    while frame[at + 1 : at + 2] != marker:
        at += 2 + int.from_bytes(frame[at + 2 : at + 4])
    if marker == b"\xda":
        at += 2 + int.from_bytes(frame[at + 2 : at + 4])
    return frame[at : frame.rindex(b"\xff\xd9")]


def frames_of(path):
    """Return the frame at each place of the grid, ``None`` where a sparse instance has none."""
    return readers.on_grid(path, readers.frames_of(path))


@functools.lru_cache(maxsize=16)  # both plugins' of all levels of most slides
def pixels_of(path, plugin):
    """Return what pydicom shows at each place of the grid, or zlib where pydicom cannot."""
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    if syntax == readers.DEFLATED_IMAGE_FRAME:
        return readers.on_grid(path, readers.by_zlib(path))
    return readers.on_grid(path, readers.by_pydicom(path, plugin))


def entropies_of(level):
    """Return what is in the tiles of all focal planes, ``None`` where one is missing."""
    return [entropy for plane in level.planes for entropy in plane.entropy]


def test_every_frame_holds_the_entropy_coded_bytes_of_its_tile(case):
    if case.slide.is_decoded or case.slide.recode is not None:
        pytest.skip("the tiles cannot be frames")
    for level, path in case.pairs():
        if level.picture is not None or level.whole is not None:
            continue
        frames = frames_of(path)
        entropies = entropies_of(level)
        assert len(frames) == len(entropies)
        for frame, entropy in zip(frames, entropies, strict=True):
            if frame is None:
                assert case.is_sparse
                assert entropy is None
                continue
            assert len(frame) % 2 == 0
            if entropy is not None:
                assert entropy_of(frame) == entropy


def test_every_deflated_frame_is_the_stream_of_its_tile(case):
    if not case.is_deflated:
        pytest.skip("its frames are none")
    for level, path in case.pairs():
        for frame, tile in zip(readers.frames_of(path), level.pieces, strict=True):
            if tile:
                bare = tile[2:-4]  # what zlib writes around a stream
                assert frame == bare + bytes(len(bare) % 2)


@pytest.mark.tools
def test_every_cut_frame_holds_the_coefficients_of_its_part(case, tool, tmp_path):
    for level, path in case.pairs():
        if level.picture is None:
            continue
        for plane, frames in case.planes(level, frames_of(path)):
            check_coefficients(plane, frames, tool("jpegtran"))


def check_coefficients(level, frames, jpegtran):
    across = -(-level.width // level.tile)
    assert len(frames) == across * -(-level.length // level.tile)
    for number, frame in enumerate(frames):
        x, y = number % across * level.tile, number // across * level.tile
        width = min(level.tile, level.width - x)
        length = min(level.tile, level.length - y)
        theirs = readers.by_jpegtran(level.picture, (x, y, width, length), jpegtran)
        ours = readers.by_jpegtran(frame, (0, 0, width, length), jpegtran)
        assert ours == theirs


def test_every_stitched_frame_is_the_restart_intervals_of_its_part(request, case):
    compared = 0
    for instance, (level, path) in zip(case.result.instances, case.pairs(), strict=True):
        if not instance.frames.stitched:
            continue
        whole, across = intervals.take_apart(level.picture), -(-level.width // level.tile)
        before = compared
        for number, frame in enumerate(frames_of(path)):
            x, y = number % across * level.tile, number // across * level.tile
            pairs = intervals.part_of(whole, intervals.take_apart(frame), x, y)
            assert [ours for ours, _ in pairs] == [theirs for _, theirs in pairs]
            compared += len(pairs)
        assert compared - before == len(whole.pieces)
    # Others are stitched as well where their intervals are no wider than viewers like.
    assert compared or not request.node.callspec.params["case"].startswith("ndpi-stitched")


@pytest.mark.tools
def test_every_frame_that_was_coded_anew_holds_the_coefficients_of_its_tile(case, tool):
    for level, path in case.pairs():
        if not level.whole:
            continue
        frames = frames_of(path)
        across = -(-level.width // level.tile)
        for number, (frame, stream) in enumerate(zip(frames, level.whole, strict=True)):
            if stream is None:
                continue
            x, y = number % across * level.tile, number // across * level.tile
            size = min(level.tile, level.width - x), min(level.tile, level.length - y)
            theirs = readers.by_jpegtran(stream, (0, 0, *size), tool("jpegtran"))
            assert readers.by_jpegtran(frame, (0, 0, *size), tool("jpegtran")) == theirs


def test_planar_frames_decode_to_exactly_the_planes(case):
    for level, path in case.pairs():
        if level.whole != []:
            continue
        frames = np.stack([readers.by_imagecodecs(each) for each in readers.frames_of(path)])
        shown = readers.mosaic(readers.on_grid(path, frames), level.width, level.length)
        assert np.array_equal(shown, level.rgb)


@pytest.mark.parametrize("plugin", ["pylibjpeg", "gdcm"])
def test_every_frame_that_was_decoded_holds_exactly_the_pixels_of_the_slide(case, plugin):
    if not case.slide.is_decoded:
        pytest.skip("the tiles are frames")
    for level, path in case.pairs():
        decoded = pixels_of(path, plugin)
        assert len(decoded) == len(entropies_of(level))
        for plane, frames in case.planes(level, decoded):
            assert np.array_equal(readers.mosaic(frames, level.width, level.length), plane.rgb)


def test_small_levels_are_searched_for_bar_codes(case):
    checks = json.loads(case.result.certificate_path.read_text())["checks"]
    assert checks["bar_codes"] == "passed"


def test_missing_tiles_and_only_those_are_counted_as_blank_or_absent(case):
    missing = [
        sum(entropy is None for entropy in entropies_of(level)) for level in case.slide.levels
    ]
    none = [0] * len(missing)
    blank, absent = (none, missing) if case.is_sparse else (missing, none)
    frames = [instance.frames for instance in case.result.instances]
    assert [(each.blank, each.absent) for each in frames] == list(zip(blank, absent, strict=True))
    certified = json.loads(case.result.certificate_path.read_text())["instances"]
    assert [record["frames_blank"] for record in certified] == blank
    assert [record["frames_absent"] for record in certified] == absent


def test_a_level_is_sparse_if_that_is_allowed_and_a_tile_is_missing(case):
    for level, path in case.pairs():
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        is_sparse = case.is_sparse and None in entropies_of(level)
        organization = "TILED_SPARSE" if is_sparse else "TILED_FULL"
        assert dataset.DimensionOrganizationType == organization
        assert ("PerFrameFunctionalGroupsSequence" in dataset) == is_sparse


@pytest.mark.parametrize("plugin", ["pylibjpeg", "gdcm"])
def test_decoded_colours_are_those_of_the_slide(case, plugin):
    if case.slide.is_ycc422_jpeg2000:
        pytest.skip("pydicom does not know YCbCr 4:2:2 in JPEG 2000; OpenJPEG does, see below")
    for level, path in case.pairs():
        for plane, frames in case.planes(level, pixels_of(path, plugin)):
            assert_alike(readers.mosaic(frames, level.width, level.length), plane.rgb)


def assert_alike(pixels, expected):
    """Compare decodings: nothing but rounding, colour conversion and chroma upsampling differ."""
    assert pixels.shape == expected.shape
    distances = alike.difference(pixels, expected)
    assert distances.mean() < 2.5
    assert alike.nearly_all_within(distances, 24)


@pytest.mark.tools
def test_openjpeg_shows_the_colours_of_subsampled_jpeg2000(case, tool, tmp_path):
    if not case.slide.is_ycc422_jpeg2000:
        pytest.skip("another codec")
    for level, path in case.pairs():
        frames = frames_of(path)
        pixels = np.stack(
            [readers.by_openjpeg(frame, tool("opj_decompress"), tmp_path) for frame in frames]
        )
        whole = readers.mosaic(pixels, level.width, level.length)
        assert_alike(whole, level.rgb)


def test_blank_frames_are_white_or_black_where_light_is_emitted(case):
    if case.slide.is_ycc422_jpeg2000:
        pytest.skip("compared with OpenJPEG above")
    for level, path in case.pairs():
        missing = [tile for tile, entropy in enumerate(entropies_of(level)) if entropy is None]
        if missing:
            # Where there is no frame, what the instance recommends is looked at.
            frames = pixels_of(path, "pylibjpeg")
            glows = case.slide.glows or any(level.optical_path for level in case.slide.levels)
            expected = 0 if glows else np.iinfo(frames.dtype).max
            assert np.abs(frames[missing].astype(int) - expected).max() <= 1


def test_openslide_and_wsidicom_show_the_same_levels(case):
    if case.slide.is_ycc422_jpeg2000:
        pytest.skip("neither reader knows the photometric interpretation")
    if case.is_deflated:
        pytest.skip("neither reader knows the transfer syntax")
    dataset = pydicom.dcmread(case.instances[0], stop_before_pixels=True)
    if dataset.PhotometricInterpretation == "MONOCHROME2":
        pytest.skip("OpenSlide reads colour only")
    if any(level.optical_path for level in case.slide.levels):
        pytest.skip("OpenSlide takes one picture of a size; wsidicom is asked below")
    for truths, instances in case.regions():
        folder = instances[0].parent
        # OpenSlide takes no instance of several focal planes.
        shown = [] if truths[0].above else [readers.by_openslide(folder)]
        # Where colour has no frame wsidicom shows white, whatever the instance recommends.
        if readers.absent_colour(dataset) != 0:
            shown.append(readers.by_wsidicom(folder))
        for levels in shown:
            for pixels, level in zip(levels, truths, strict=True):
                assert_alike(pixels, level.rgb)


def test_wsidicom_shows_each_focal_plane_and_channel(case):
    if not any(level.above or level.optical_path for level in case.slide.levels):
        pytest.skip("one picture at each level")
    for channel in sorted({level.optical_path for level in case.slide.levels}):
        truths = [level for level in case.slide.levels if level.optical_path == channel]
        for number in range(len(truths[0].planes)):
            shown = readers.by_wsidicom(
                case.instances[0].parent, plane=number, path=str(channel + 1)
            )
            for pixels, level in zip(shown, truths, strict=True):
                truth = level.planes[number].rgb
                is_colour = pixels.ndim > truth.ndim
                assert_alike(pixels[..., 0] if is_colour else pixels, truth)


def test_highdicom_shows_the_same_levels(case):
    if case.slide.is_ycc422_jpeg2000:
        pytest.skip("its decoder does not know the photometric interpretation")
    if case.is_deflated:
        pytest.skip("it does not know the transfer syntax")
    for level, path in case.pairs():
        if not level.above:
            assert_alike(readers.by_highdicom(path), level.rgb)
            continue
        shown = readers.on_grid(path, readers.frames_by_highdicom(path))
        for plane, frames in case.planes(level, shown):
            assert_alike(readers.mosaic(frames, level.width, level.length), plane.rgb)


@pytest.mark.tools
def test_validator_is_silent(case, tool):
    for path in case.instances:
        assert validator_findings(path, case.slide, tool("dciodvfy")) == []


def test_geometry_is_the_same_on_all_levels(case):
    (first, *_), *_ = (instances for _, instances in case.regions())
    spacing = spacing_of(pydicom.dcmread(first, stop_before_pixels=True))
    assert_allclose(spacing, case.slide.mpp_um / 1000, rtol=1e-6)
    for truths, instances in case.regions():
        check_geometry(truths, instances)


def spacing_of(dataset):
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    return [float(mm) for mm in measures.PixelSpacing]


def check_geometry(truths, instances):
    datasets = [pydicom.dcmread(path, stop_before_pixels=True) for path in instances]
    base = datasets[0]
    for dataset, level in zip(datasets, truths, strict=True):
        row_mm, column_mm = spacing_of(dataset)
        assert (dataset.TotalPixelMatrixColumns, dataset.TotalPixelMatrixRows) == (
            level.width,
            level.length,
        )
        assert_allclose(level.width * column_mm, base.ImagedVolumeWidth, atol=1.6 * column_mm)
        assert_allclose(level.length * row_mm, base.ImagedVolumeHeight, atol=1.6 * row_mm)
        assert dataset.ImageOrientationSlide == base.ImageOrientationSlide
        assert dataset.FrameOfReferenceUID == base.FrameOfReferenceUID
        assert dataset.PyramidUID == base.PyramidUID
        assert dataset.SeriesInstanceUID == base.SeriesInstanceUID


def test_regions_share_their_glass_and_nothing_else(case):
    first = [pydicom.dcmread(paths[0], stop_before_pixels=True) for _, paths in case.regions()]
    for shared in ("StudyInstanceUID", "FrameOfReferenceUID", "ContainerIdentifier"):
        assert len({dataset[shared].value for dataset in first}) == 1
    organizations = {d.DimensionOrganizationSequence[0].DimensionOrganizationUID for d in first}
    series = [dataset.SeriesInstanceUID for dataset in first]
    assert len(set(series)) == len({d.PyramidUID for d in first}) == len(organizations)
    assert len(organizations) == len(first)
    assert [dataset.SeriesNumber for dataset in first] == list(range(1, len(first) + 1))
    certificate = json.loads(case.result.certificate_path.read_text())
    assert certificate["series_instance_uids"] == series
    assert [paths[0].parent.name for _, paths in case.regions()] == series


def test_no_identifier_is_in_any_byte_name_or_message(case):
    assert len([path for path in case.study.rglob("*") if path.is_file()]) == (
        len(case.instances) + 1
    )
    identifiers = [text for text in case.slide.identifiers if len(text) >= 5]
    assert len(identifiers) > 10
    assert survivors(identifiers, places_of(case.study, case.captured)) == set()


def test_the_slide_does_hold_what_is_looked_for(case):
    data = b"".join(contents_of(path) + path.name.encode() for path in case.slide.paths)
    assert found_in(data, case.slide.identifiers) == {*case.slide.identifiers}


def contents_of(path):
    """Return the bytes of a file without its holes."""
    with path.open("rb") as file:
        pieces, at, end = [], 0, path.stat().st_size
        while at < end:
            start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            file.seek(start)
            pieces.append(file.read(at - start))
    return b"".join(pieces)


def test_independent_check_gives_no_alarm(case):
    report = coverslip.verify(case.study, case.slide.path)
    assert [str(survivor) for survivor in report.found] == []
    if case.slide.recode is not None:
        # No tile has the pixels of what was composed, and it says so.
        assert all("composed and encoded anew" in what for what in report.unchecked)
        assert (report.exit_status, report.frames_equal) == (4, 0)
        return
    assert report.unchecked == ()
    assert report.exit_status == 0
    missing = sum(entropy is None for level in case.slide.levels for entropy in entropies_of(level))
    assert report.frames_equal == report.frames - (0 if case.is_sparse else missing)


def test_two_public_conversions_share_no_uid(case):
    first, second = (
        {
            element.value
            for element in pydicom.dcmread(path, stop_before_pixels=True).iterall()
            if element.VR == "UI" and str(element.value).startswith("2.25.")
        }
        for path in (case.instances[0], next(other_instances(case)))
    )
    # The Implementation Class UID is in the file meta information and is ours in all files.
    assert first
    assert first & second == set()


def other_instances(case):
    for path in case.study.parent.rglob("*.dcm"):
        if case.study not in path.parents:
            yield path


def test_same_slide_policy_and_identity_give_the_same_bytes(case, tmp_path):
    def contents(study):
        return {
            path.relative_to(study): path.read_bytes()
            for path in study.rglob("*")
            if path.is_file()
        }

    assert contents(case.study) == contents(numbered(case.slide, case.option, tmp_path).study_path)
