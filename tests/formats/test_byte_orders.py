"""Every format is written out alike in both byte orders: what the laws say of one is so of both."""

import inspect
import itertools

import pytest

import coverslip
from coverslip import conversion
from coverslip.deid.policy import Policy
from coverslip.deid.uids import RandomIdentity
from tests.synth import FORMATS, build_deep_ndpi, build_ndpi, build_ndpis

SMALL = {"size": (300, 200), "levels": 1}
ONE_ORDER = {
    build_ndpi: "Hamamatsu's scanners write the small byte order only",
    build_deep_ndpi: "as above",
    build_ndpis: "as above",
}
"""Builders whose format has one byte order, and why."""


def options_of(name):
    return inspect.signature(FORMATS[name].func).parameters


def small(name):
    """Return options that make a slide small, without those that its own would contradict."""
    own = FORMATS[name].keywords
    if "overlaps" in own or any(number for number, _ in own.get("missing", ())):
        return {}
    return {key: value for key, value in SMALL.items() if key in options_of(name)}


def test_every_builder_has_both_byte_orders_or_a_reason_for_one():
    without = {
        build.func for name, build in FORMATS.items() if "big_endian" not in options_of(name)
    }
    assert without == set(ONE_ORDER)


def written(slide, folder):
    """Return the bytes of every instance, under an identity that is the same for all."""
    counter = itertools.count()
    opened = coverslip.open(slide.path)
    policy = Policy(**slide.choices)
    identity = RandomIdentity(lambda count: next(counter).to_bytes(count))
    result = conversion.convert_opened(opened, folder, policy, identity, verify=False)
    return [instance.path.read_bytes() for instance in result.instances]


def chosen():
    """Return a case of each builder, samples and bits: others tell nothing of the byte order."""
    cases = {}
    for name, build in FORMATS.items():
        own = build.keywords
        kind = (build.func, *(own.get(key) for key in ("bits", "predictor", "planar", "bigtiff")))
        if build.func not in ONE_ORDER:
            cases.setdefault(kind, name)
    return cases.values()


@pytest.mark.parametrize("name", chosen())
def test_a_slide_of_the_other_byte_order_becomes_the_same_instances(name, tmp_path, needed):
    needed(name)
    build, found = FORMATS[name], []
    for is_big in (False, True):
        folder = tmp_path / str(is_big)
        folder.mkdir()
        slide = build(folder, 9, **small(name), big_endian=is_big)
        with slide.path.open("rb") as file:
            assert file.read(2) == (b"MM" if is_big else b"II")
        found.append((coverslip.open(slide.path).format, written(slide, folder / "out")))
    assert found[0] == found[1]
