"""No option of a builder is there for nothing: the laws hold for every quirk that can be built."""

import inspect
from dataclasses import fields

import pytest

from tests.synth import FORMATS, jpeg, ndpi, raster

BUILDERS = {build.func for build in FORMATS.values()}
OF_ALL = {
    *("folder", "seed", "size", "levels", "tile", "more", "picture", "overview", "texture"),
    "thumbnail",
}
"""What to write and where, no quirks; ``more`` are tags that single tests put in."""
REFUSED = {
    "build_argos": {"said_planes", "z_range"},
    "build_deep_ndpi": {"capture_mode"},
    "build_ndpis": {"lines"},
    "build_indica": {"unnamed", "without_dimensions"},
    "build_ome": {"channels", "pixels", "other_file", "twice", "more_tags", "names"},
    "build_philips": {"scans", "spacings", "data"},
    "build_qptiff": {"types"},
    "build_ventana": {
        *("joints", "overlap", "is_joined", "repeated", "said_planes", "planes_below"),
        "clipped",  # of JPEG 2000
    },
    "build_generic": {"mpp", "tag_262"},  # every lie of tag 262 is in test_colour_matrix.py
}
"""Options that make slides which are refused, or of which nothing but metadata is another: their
own tests are in tests/formats."""
STYLES = {"quality", "sof_size", "in_shared", "before_tables"}
"""Of a JPEG: what builders set themselves, and a size that makes it be refused."""


def used_of(builder):
    """Return all options that the cases of a builder set to something else than usual."""
    signature = inspect.signature(builder).parameters
    return {
        option
        for build in FORMATS.values()
        if build.func is builder
        for option, value in build.keywords.items()
        if option not in signature or value != signature[option].default
    }


@pytest.mark.parametrize("builder", sorted(BUILDERS, key=lambda b: b.__name__))
def test_every_option_of_a_builder_is_used_by_a_case_of_the_laws(builder):
    options = {
        name
        for name, option in inspect.signature(builder).parameters.items()
        if option.kind is not option.VAR_KEYWORD
    }
    of_orders = {"big_endian"}  # tests/formats/test_byte_orders.py builds each in both
    spared = REFUSED.get(builder.__name__, set())
    assert options - used_of(builder) - OF_ALL - of_orders - spared == set()
    assert spared & used_of(builder) == set(), "it is used: take it from the list"


def test_every_quirk_of_ndpi_is_used_by_a_case_of_the_laws():
    assert {field.name for field in fields(ndpi.Quirks)} - used_of(ndpi.build_ndpi) == set()


def test_every_way_to_store_samples_is_used_by_a_case_of_the_laws():
    used = {option for builder in BUILDERS for option in used_of(builder)}
    # Fluorescence is a case of OME-TIFF, whose builder says so by the number of channels.
    assert {field.name for field in fields(raster.Storage)} - used == {"is_emitted"}
    codecs = {build.keywords.get("codec") for build in FORMATS.values()}
    assert raster.CODECS - codecs == set()


def test_every_choice_of_a_jpeg_is_used_by_a_case_of_the_laws():
    used = {option for build in FORMATS.values() for option in build.keywords.get("style", {})}
    named = {"samples"}  # said by the name of the codec
    assert {field.name for field in fields(jpeg.Style)} - used - STYLES - named == set()
