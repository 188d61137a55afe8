"""The small form of ``python -m tests.privacy.injections``, and what it stands on."""

import base64

import pytest

from tests.hostile.campaign import jobs, originals
from tests.hostile.mutate import Mutated
from tests.privacy.inject import KINDS
from tests.privacy.injections import CONVERTED, attempt, injection_of
from tests.privacy.search import SHORTEST_FORM, encodings_of

NAMES = ["svs-jpeg-rgb", "generic-jp2", "philips", "ome-subifds", "ventana-bif", "ndpi-stitched"]
RUNS = 24


def test_what_nobody_knows_neither_passes_nor_stops_a_slide(tmp_path):
    found = originals(tmp_path, NAMES)
    by_name = {original.name: original for original in found}
    answers = [
        attempt(by_name[name], by_name[name].path, tmp_path / "out", seed)
        for name, seed in jobs(found, RUNS, seed=3)
    ]
    assert [answer for answer in answers if not answer.startswith(CONVERTED)] == []


def test_every_kind_is_put_in_and_taken_out_again(tmp_path):
    (original,) = originals(tmp_path, ["philips"])
    before, kinds = original.path.read_bytes(), set()
    for seed in range(60):
        injection, words = injection_of(original.path, original.name, seed)
        assert (injection, words) == injection_of(original.path, original.name, seed)
        kinds |= set(injection.kinds)
        with Mutated(original.path, injection) as path:
            assert path.read_bytes() != before
        assert original.path.read_bytes() == before
    assert kinds == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("text", ["ab", "abcd", "B24-7", "Quillfeather", "Ödenwalde"])
def test_base64_of_a_text_is_found_in_each_phase_and_never_as_a_single_character(text):
    forms = set(encodings_of(text))
    assert min(map(len, forms)) >= min(SHORTEST_FORM, len(text))
    if len(text.encode()) >= 5:
        for phase in range(3):
            inside = base64.b64encode(b"xyz"[:phase] + text.encode() + b"and so on")
            assert any(form in inside for form in forms)
