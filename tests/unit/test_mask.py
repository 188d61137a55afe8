"""The label of an overview is painted over, or there is no overview."""

import functools
import itertools
import warnings

import numpy as np
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from coverslip.deid.pixels import mask, ocr, priors
from coverslip.deid.pixels.barcodes import bar_codes
from coverslip.deid.pixels.doubt import DoubtError
from coverslip.deid.pixels.drawn import without_frames
from coverslip.deid.pixels.edge import label_edge
from coverslip.deid.pixels.mask import PAINT, mask_label
from coverslip.deid.pixels.priors import Prior, prior_of
from coverslip.deid.pixels.shapes import Box, closed, components, grey_of, reduced
from coverslip.deid.pixels.text import text_boxes
from coverslip.formats import FORMATS
from coverslip.model import LabelSide
from tests.synth.overview import CODES, draw_glass, draw_overview
from tests.synth.texture import tissue

SHARE = 0.30
LONG_SIDES = {LabelSide.LEFT, LabelSide.RIGHT}


def is_painted(picture):
    return (picture == PAINT).all(axis=-1)


def end_of(picture, side, share):
    """Return the part of a picture at one side, cut by nothing but slices."""
    rows, columns = picture.shape[:2]
    match side:
        case LabelSide.LEFT:
            return picture[:, : int(share * columns)]
        case LabelSide.RIGHT:
            return picture[:, columns - int(share * columns) :]
        case LabelSide.TOP:
            return picture[: int(share * rows)]
        case LabelSide.BOTTOM:
            return picture[rows - int(share * rows) :]


LOOKS = itertools.cycle([(10, 0.0, 0.0), (24, 1.5, 5.0), (40, -2.0, 2.0)])
CASES = [
    (number, side, code, *next(LOOKS))
    for number, (side, code) in enumerate(itertools.product(LabelSide, CODES))
]


@pytest.mark.parametrize(("number", "side", "code", "letters_px", "tilt", "noise"), CASES)
def test_label_is_gone_and_tissue_is_kept(number, side, code, letters_px, tilt, noise):
    drawn = draw_overview(
        number, side=side, code=code, letters_px=letters_px, tilt=tilt, noise=noise
    )

    masked = mask_label(drawn.picture, Prior(side=side, share=SHARE))

    assert zxingcpp.read_barcodes(drawn.picture)
    assert zxingcpp.read_barcodes(masked) == []
    assert is_painted(masked)[drawn.label].all()
    untouched = (masked == drawn.picture).all(axis=-1)[drawn.tissue]
    assert untouched.mean() >= 0.95
    assert is_painted(end_of(masked, side, SHARE)).all()


@pytest.mark.parametrize("share", [0.20, 0.33, 0.38])
def test_label_that_is_longer_than_its_vendors_are_is_gone_too(share):
    drawn = draw_overview(9, share=share)

    masked = mask_label(drawn.picture, Prior(side=LabelSide.LEFT, share=SHARE))

    assert is_painted(masked)[drawn.label].all()


@pytest.mark.parametrize("side", [LabelSide.LEFT, LabelSide.RIGHT, LabelSide.TOP])
def test_both_ends_go_where_nothing_is_known_of_the_vendor(side):
    drawn = draw_overview(6, side=side, size=(1400, 440))

    masked = mask_label(drawn.picture, priors.UNKNOWN)

    ends = LONG_SIDES if side in LONG_SIDES else set(LabelSide) - LONG_SIDES
    for end in ends:
        assert is_painted(end_of(masked, end, 0.35)).all()
    assert not is_painted(masked).all()


@pytest.mark.parametrize(
    ("letters_px", "side"),
    [*zip((14, 20, 30, 40), LabelSide, strict=True), (14, LabelSide.BOTTOM), (40, LabelSide.LEFT)],
)
def test_text_beside_the_tissue_condemns_the_picture(letters_px, side):
    drawn = draw_overview(3, side=side, letters_px=letters_px, on_tissue="CASE 88213")

    with pytest.raises(DoubtError, match="away from the label"):
        mask_label(drawn.picture, Prior(side=side, share=SHARE))


@pytest.mark.parametrize(("code", "side"), [*zip(CODES, LabelSide, strict=True)])
def test_bar_code_beside_the_tissue_condemns_the_picture(code, side):
    drawn = draw_overview(4, side=side, code=code, code_on_tissue=True)

    with pytest.raises(DoubtError, match="away from the label"):
        mask_label(drawn.picture, Prior(side=side, share=SHARE))


def test_text_that_reaches_out_of_the_label_is_painted_with_it():
    drawn = draw_overview(7, share=0.25)
    picture = Image.fromarray(drawn.picture)
    font = ImageFont.load_default(26)
    ImageDraw.Draw(picture).text((330, 2), "OSTERHOLTZER", font=font, fill=(10, 10, 10))

    masked = mask_label(np.asarray(picture), Prior(side=LabelSide.LEFT, share=SHARE))

    assert is_painted(masked[:40, :540]).all()


COVERS = [(0.29, 0.70), (0.30, 0.84), (0.29, 0.98)]
"""Ends of the cover glass: at 30 or 16 per cent from the end without a label, or out of sight."""


@functools.cache
def drawn_glass(text, side, cover):
    """Draw each glass once for the vendors; nobody changes it."""
    return draw_glass(text, side=side, letters_px=24, cover=cover)


@pytest.mark.parametrize("vendor", ["Aperio SVS", "Hamamatsu NDPI", "Philips TIFF"])
@pytest.mark.parametrize("side", [LabelSide.LEFT, LabelSide.RIGHT])
@pytest.mark.parametrize("text", ["Li", "B22", "Smith 4711", ""])
@pytest.mark.parametrize("cover", COVERS)
def test_label_at_either_end_goes_or_the_picture_does(vendor, side, text, cover):
    picture, label = drawn_glass(text, side, cover)

    try:
        masked = mask_label(picture, prior_of(vendor))
    except DoubtError:
        is_at_home = side is LabelSide.LEFT and cover is COVERS[-1]
        assert not is_at_home, "a label where it belongs and nothing else is no reason for doubt"
        return

    assert is_painted(masked)[label].all()


GREEN = (0, 255, 0)


def with_frame(picture, box, fill=None):
    drawn = Image.fromarray(picture)
    ImageDraw.Draw(drawn).rectangle(box, outline=GREEN, width=3, fill=fill)
    return np.asarray(drawn)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("cover", COVERS)
@pytest.mark.parametrize("box", [(400, 63, 752, 322), (345, 5, 900, 425), (420, 20, 1200, 400)])
def test_frame_that_the_scanner_drew_is_no_edge(box, cover, turned):
    picture, _ = draw_glass("Smith 4711", side=LabelSide.LEFT, letters_px=24, cover=cover)
    framed = with_frame(picture, box)
    ways = [np.ascontiguousarray(one[:, :: -1 if turned else 1]) for one in (picture, framed)]
    glass, cleared = ways[0], without_frames(ways[1], GREEN)

    assert label_edge(cleared) == pytest.approx(label_edge(glass), abs=0.01)


@pytest.mark.parametrize("moved", [-3, -1, 0, 1, 3])
def test_edge_of_a_label_under_the_scanner_s_frame_is_an_edge(moved):
    picture, label = draw_glass("", side=LabelSide.LEFT, letters_px=24, cover=(0.1, 0.9))
    end = int(np.flatnonzero(label[0]).max())
    framed = with_frame(picture, (end + moved, 60, 1000, 371))

    assert label_edge(framed) == pytest.approx(end / 1280, abs=0.01)
    assert label_edge(without_frames(framed, GREEN)) == pytest.approx(end / 1280, abs=0.01)


@pytest.mark.parametrize(
    ("box", "fill"), [((700, 50, 1290, 380), None), ((500, 50, 900, 380), GREEN)]
)
def test_what_is_no_whole_frame_is_left(box, fill):
    picture = with_frame(tissue(1280, 432, 3), box, fill)

    assert without_frames(picture, GREEN) is picture


def test_what_is_found_after_painting_condemns_the_picture(monkeypatch):
    drawn = draw_overview(8)
    hits = iter([[], [Box(left=900, top=9, right=960, bottom=30)]])
    monkeypatch.setattr(mask, "_hits", lambda _: next(hits))

    with pytest.raises(DoubtError, match="still there"):
        mask_label(drawn.picture, Prior(side=LabelSide.LEFT, share=SHARE))


@pytest.mark.parametrize(
    ("size", "side", "reason"),
    [
        ((150, 50), LabelSide.LEFT, "too few"),
        ((400, 390), LabelSide.LEFT, "not the shape"),
        ((300, 900), LabelSide.LEFT, "lies otherwise"),
        ((900, 300), LabelSide.BOTTOM, "lies otherwise"),
        ((900, 300), LabelSide.LEFT, "cannot be measured"),
    ],
)
def test_picture_that_is_not_understood_is_none(size, side, reason):
    with pytest.raises(DoubtError, match=reason):
        mask_label(tissue(*size, 1), Prior(side=side, share=SHARE))


def test_noise_is_too_full_to_be_searched():
    noise = np.random.default_rng(1).integers(0, 256, (400, 1200, 3)).astype(np.uint8)
    noise[:, :300] = 255

    with pytest.raises(DoubtError):
        mask_label(noise, Prior(side=LabelSide.LEFT, share=SHARE))


@st.composite
def pictures(draw):
    """Draw pictures of stripes, blocks and noise, the size of small overviews."""
    longest, shortest = draw(st.integers(190, 420)), draw(st.integers(40, 260))
    is_upright = draw(st.booleans())
    rows, columns = (longest, shortest) if is_upright else (shortest, longest)
    random = np.random.default_rng(draw(st.integers(0, 99)))
    picture = np.full((rows, columns, 3), draw(st.integers(0, 255)), np.int16)
    for _ in range(draw(st.integers(0, 6))):
        top, left = random.integers(0, rows), random.integers(0, columns)
        length, width = random.integers(1, rows + 1), random.integers(1, columns + 1)
        picture[top : top + length, left : left + width] = random.integers(0, 256, 3)
    picture += random.normal(0, draw(st.sampled_from([0, 3, 20])), picture.shape).astype(np.int16)
    return np.clip(picture, 0, 255).astype(np.uint8)


@settings(max_examples=40)
@given(pictures(), st.sampled_from(LabelSide), st.floats(0.05, 0.5))
def test_mask_covers_at_least_what_the_vendor_says(picture, side, share):
    try:
        masked = mask_label(picture, Prior(side=side, share=share))
    except DoubtError:
        return
    assert masked.shape == picture.shape
    assert is_painted(end_of(masked, side, share)).all()
    changed = (masked != picture).any(axis=-1)
    assert is_painted(masked)[changed].all()


def test_every_format_has_a_prior_or_the_strictest():
    assert prior_of("no such format") is priors.UNKNOWN
    assert {prior_of(f.name).share for f in FORMATS} <= {0.24, 0.28, 0.30, 0.35}
    names = {f.name for f in FORMATS}
    assert {"Aperio SVS", "Hamamatsu NDPI"} <= names & set(priors._PRIORS)


@pytest.mark.parametrize("share", [0.2, 0.27, 0.4])
@pytest.mark.parametrize("tilt", [-2.0, 0.0, 2.0])
def test_edge_is_that_of_the_label(share, tilt):
    drawn = draw_overview(11, share=share, tilt=tilt)

    edge = label_edge(drawn.picture)

    end = np.flatnonzero(drawn.label.any(axis=0)).max() / drawn.picture.shape[1]
    assert edge == pytest.approx(end, abs=0.02)


def test_tissue_has_no_edge():
    assert label_edge(tissue(1200, 400, 2)) is None


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("letters_px", [14, 24, 60, 120])
def test_text_is_found_whichever_way_it_runs(quarters, letters_px):
    picture = Image.new("L", (1000, 300), 220)
    font = ImageFont.load_default(letters_px)
    ImageDraw.Draw(picture).text((30, 40), "Brambleworth", font=font, fill=40)
    grey = np.asarray(picture)
    rows, columns = np.flatnonzero((grey < 128).any(1)), np.flatnonzero((grey < 128).any(0))

    turned = np.ascontiguousarray(np.rot90(grey, quarters))
    found = [
        box.turned_back(way, *turned.shape)
        for way in range(4)
        for box in text_boxes(np.ascontiguousarray(np.rot90(turned, way)))
    ]

    assert found
    back = [box.turned_back(quarters, *grey.shape) for box in found]
    assert min(box.left for box in back) <= columns[0] + letters_px
    assert max(box.right for box in back) >= columns[-1] - letters_px
    assert all(box.top <= rows[-1] and box.bottom >= rows[0] for box in back)


def print_in(angle, ink=20, ground=235):
    picture, ways = Image.new("L", (460, 460), ground), Image.new("L", (460, 460), 0)
    font = ImageFont.load_default(30)
    ImageDraw.Draw(ways).text((230, 230), "S24-11872", font=font, fill=255, anchor="mm")
    picture.paste(ink, (0, 0), ways.rotate(angle, resample=Image.Resampling.BICUBIC))
    grey = np.asarray(picture)
    return [
        box for way in range(4) for box in text_boxes(np.ascontiguousarray(np.rot90(grey, way)))
    ]


@pytest.mark.parametrize("angle", [-20, -15, -10, 0, 10, 15, 20, 70, 75, 80, 90])
def test_text_that_slants_by_20_degrees_is_found(angle):
    assert print_in(angle)


@pytest.mark.parametrize(("ink", "is_seen"), [(190, True), (195, False)])
def test_text_is_found_from_a_contrast_of_more_than_40_on(ink, is_seen):
    assert bool(print_in(0, ink)) == is_seen


@pytest.mark.parametrize("seed", range(4))
def test_tissue_is_not_taken_for_text(seed):
    assert text_boxes(grey_of(tissue(1000, 360, seed))) == []


@pytest.mark.parametrize("density", [0.0, 0.05, 0.3, 0.45, 0.7, 1.0])
def test_components_are_those_of_a_flood_fill(density):
    mask_ = np.random.default_rng(7).random((41, 57)) < density

    boxes, areas = components(mask_)

    found = sorted((*map(int, box), int(area)) for box, area in zip(boxes, areas, strict=True))
    assert found == sorted(flooded(mask_))


def flooded(mask_):
    left = {(int(y), int(x)) for y, x in np.argwhere(mask_)}
    while left:
        waiting, part = [left.pop()], []
        while waiting:
            y, x = waiting.pop()
            part.append((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            waiting.extend(near)
        ys, xs = zip(*part, strict=True)
        yield min(xs), min(ys), max(xs) + 1, max(ys) + 1, len(part)


@pytest.mark.parametrize("quarters", range(-1, 6))
def test_box_is_found_again_after_turning(quarters):
    picture = np.arange(20 * 31).reshape(20, 31)
    turned = np.rot90(picture, quarters)
    box = Box(left=2, top=3, right=5, bottom=9)

    back = box.turned_back(quarters, *picture.shape)

    part = picture[back.top : back.bottom, back.left : back.right]
    assert np.array_equal(np.rot90(part, quarters), turned[3:9, 2:5])


def test_closing_fills_what_is_narrow_and_leaves_what_is_wide():
    picture = np.full((40, 60), 200, np.uint8)
    picture[:, 10:14], picture[:, 30:50] = 20, 20

    filled = closed(picture, 7)

    assert (filled[:, :28] == 200).all()
    assert (filled[:, 30:50] == 20).all()


def test_reducing_leaves_out_what_fills_no_block():
    picture = np.arange(7 * 9, dtype=np.uint8).reshape(7, 9)
    assert reduced(picture, 1) is picture
    assert reduced(picture, 3).tolist() == [[10, 13, 16], [37, 40, 43]]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("quarters", range(4))
def test_bar_code_in_a_large_picture_is_found(code, quarters):
    drawn = draw_overview(1, code=code, code_on_tissue=True, size=(2400, 900))
    grey = grey_of(np.ascontiguousarray(np.rot90(drawn.picture, quarters)))

    assert bar_codes(grey)


@pytest.mark.parametrize("seed", range(4))
def test_no_bar_code_is_found_in_tissue(seed):
    assert bar_codes(grey_of(tissue(800, 600, seed))) == []


def test_bar_code_in_a_part_is_where_it_is():
    drawn = draw_overview(1, code="QRCode", noise=0.0)

    found = bar_codes(grey_of(drawn.picture))

    assert found
    for box in found:
        middle = (box.top + box.bottom) // 2, (box.left + box.right) // 2
        assert drawn.label[middle]


@pytest.mark.ocr
def test_text_is_read_where_the_extra_is_installed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = draw_overview(2, on_tissue="S24-11872", letters_px=30)
        boxes = ocr.written_boxes(drawn.picture)
    assert any(box.left > 600 for box in boxes)
