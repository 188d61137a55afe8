"""Mutated slides: a typed error or a right result, never anything else."""

import random
import traceback
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import coverslip
from tests.interop import readers
from tests.synth import (
    build_generic,
    build_ome,
    build_qptiff,
    build_scn,
    build_svs,
    build_ventana,
)
from tests.synth.scn import TWO

BUILDERS = {
    "svs-jpeg": lambda folder: build_svs(folder, 1, size=(200, 150), tile=64),
    "svs-jpeg2000": lambda folder: build_svs(
        folder, 2, size=(200, 150), tile=64, codec="j2k_33005"
    ),
    "generic-jp2": lambda folder: build_generic(
        folder, 3, size=(200, 150), tile=64, codec="j2k_33005", boxed=True
    ),
    "ome": lambda folder: build_ome(folder, 5, size=(200, 150), tile=64, levels=2),
    "scn": lambda folder: build_scn(
        folder, 6, rois=tuple(replace(roi, size=(200, 150)) for roi in TWO), tile=64, levels=2
    ),
    "ventana": lambda folder: build_ventana(folder, 7, levels=1),
    "qptiff": lambda folder: build_qptiff(folder, 8, levels=1),
    "generic-bigtiff": lambda folder: build_generic(
        folder, 4, size=(200, 150), tile=64, bigtiff=True, big_endian=True
    ),
    "generic-planar": lambda folder: build_generic(
        folder, 5, size=(200, 150), tile=64, codec="none", planar=True
    ),
    "generic-progressive": lambda folder: build_generic(
        folder, 7, size=(200, 150), tile=64, levels=1, style={"progressive": True, "tables": "own"}
    ),
    "generic-strips": lambda folder: build_generic(
        folder, 6, size=(200, 150), codec="none", rows_per_strip=64, levels=1
    ),
}


class Original:
    """A slide and its bytes, with a short name for the reports of Hypothesis."""

    def __init__(self, name, folder):
        self.name = name
        self.slide = BUILDERS[name](folder)
        self.data = self.slide.path.read_bytes()

    def __repr__(self):
        return self.name

    @property
    def texts(self):
        return [text for text in self.slide.identifiers if len(text) > 4]

    def holds_text(self, stretch):
        """Whether a stretch is part of an identifier, or has part of one in it."""
        return any(
            text.encode()[i : i + 4] in stretch for text in self.texts for i in range(len(text) - 3)
        )


@pytest.fixture(scope="module", params=BUILDERS)
def original(request, tmp_path_factory):
    return Original(request.param, tmp_path_factory.mktemp("original"))


def mutated(original, seed):
    """Change a few bytes, copy a stretch elsewhere, or put extreme numbers in.

    Text is never copied: inside compressed pixels it would be pixels, and rightly go out.
    """
    chance = random.Random(seed)
    changed = bytearray(original.data)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(changed))
        kind = chance.randrange(4)
        if kind == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[at : at + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80"])
        elif kind == 2:
            source = chance.randrange(len(changed))
            stretch = changed[source : source + 12]
            if not original.holds_text(stretch):
                changed[at : at + 12] = stretch
        else:
            del changed[at : at + chance.randrange(1, 40)]
    return bytes(changed)


@settings(
    max_examples=25,  # a hundred and fifty of all formats are in `test_campaign.py`
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 1 << 40))
def test_mutated_slide_is_refused_or_right(original, tmp_path, seed):
    path = tmp_path / original.slide.path.name
    path.write_bytes(mutated(original, seed))
    out = tmp_path / f"out-{seed}"
    try:
        result = coverslip.convert(path, out, mpp_um=0.5, allow_pixel=True)
    except (coverslip.CoverslipError, OSError) as error:
        text = "".join(traceback.format_exception(error))
        assert not [identifier for identifier in original.texts if identifier in text]
        assert not out.exists()
        return
    for instance in result.instances:
        frames = readers.frames_of(instance.path)
        counts = instance.frames
        assert len(frames) == counts.copied + counts.retiled + counts.pixel + counts.blank
        data_out = instance.path.read_bytes()
        assert not [text for text in original.texts if text.encode() in data_out]


def test_mutations_do_reach_both_ends(original, tmp_path):
    outcomes = set()
    for seed in range(60):
        path = tmp_path / "x.tif"
        path.write_bytes(mutated(original, seed))
        try:
            coverslip.convert(path, tmp_path / str(seed), mpp_um=0.5, allow_pixel=True)
        except (coverslip.CoverslipError, OSError):
            outcomes.add("refused")
        else:
            outcomes.add("converted")
        if len(outcomes) == 2:
            break
    assert outcomes == {"refused", "converted"}
