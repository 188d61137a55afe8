"""What all tests share: where tools and real slides are, and how skipping is counted."""

import dataclasses
import functools
import hashlib
import os
import shutil
import sys
from collections import Counter
from contextvars import ContextVar
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

REQUIRE_TOOLS = os.environ.get("COVERSLIP_REQUIRE_TOOLS") == "1"
SLIDES = Path(
    os.environ.get("COVERSLIP_SLIDES", Path(__file__).resolve().parents[2] / "shared" / "slides")
)

# How long an example takes says something of the machine, not of the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

MISSING = "missing"
"""Property of a test that was skipped for want of something; counted at the end of a run."""


@pytest.fixture
def tool(request):
    """Return a function that finds a program, or skips the test where that is allowed."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            if REQUIRE_TOOLS:
                pytest.fail(f"{name} is not installed")
            request.node.user_properties.append((MISSING, "tools"))
            pytest.skip(f"{name} is not installed")
        return path

    return find


@pytest.fixture(scope="session", autouse=True)
def searched_once():
    """Search each picture for codes and text once in a process: what is found depends on it alone.

    Hundreds of slides are built of the same few pictures, and most are converted several times;
    the search is half of the time of a conversion.
    """
    from coverslip import search
    from coverslip.deid.pixels import barcodes, mask, text

    found = {}

    def kept(look):
        def once(picture, **options):
            digest = hashlib.sha256(np.ascontiguousarray(picture)).digest()
            key = look, digest, picture.shape, *sorted(options.items())
            if key not in found:
                found[key] = tuple(look(picture, **options))
            return list(found[key])

        return once

    levels, overviews = kept(barcodes.bar_codes_of_tissue), kept(barcodes.bar_codes)
    with (
        patch.object(search, "bar_codes_of_tissue", levels),
        patch.object(mask, "bar_codes", overviews),
        patch.object(mask, "text_boxes", kept(text.text_boxes)),
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
    """Let all processes that tests start compile what they import once, where nobody keeps it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # which all processes that test have in common
    with pytest.MonkeyPatch.context() as patch:
        if sys.dont_write_bytecode:
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(folder / "compiled"))
        yield


@pytest.fixture(scope="session", autouse=True)
def decoders_kept():
    """Keep the processes that decode from one conversion to the next: starting one takes 0.15 s.

    They keep no state between two streams. A process that is forked off starts its own.
    """
    from coverslip import decoders

    with decoders.kept():
        forget_in_forks(decoders._kept.get())
        yield


@pytest.fixture(scope="session", autouse=True)
def comparers_kept():
    """Keep the process that compares pixels from one check to the next, as those that decode."""
    from coverslip.verification.decoded import LIMITS, Comparer

    kept, end = {}, Comparer.close

    def begin(comparer):
        comparer._pool = kept.pop(LIMITS.decoder_memory_bytes, None)

    def close(comparer):
        if comparer._pool is None or comparer._pool._broken:
            end(comparer)
        else:
            kept[LIMITS.decoder_memory_bytes], comparer._pool = comparer._pool, None

    forget_in_forks(kept)
    with patch.object(Comparer, "__init__", begin), patch.object(Comparer, "close", close):
        yield
    for pool in kept.values():
        pool.shutdown()


def forget_in_forks(processes):
    """Leave processes that are kept to this one, which a process that is forked off is not."""
    inherited = []

    def forget():
        inherited.append(dict(processes))  # not ended there: they are ours
        processes.clear()

    os.register_at_fork(after_in_child=forget)


@pytest.fixture
def decoders_started_anew(monkeypatch):
    """Let no conversion of a test use a decoder of another test."""
    from coverslip import decoders

    monkeypatch.setattr(decoders, "_kept", ContextVar("none", default=None))


@pytest.fixture(scope="session", autouse=True)
def _without_reading():
    """Leave the reading of text out, which takes a second a picture where the extra is there."""
    from coverslip.deid.pixels import ocr
    from coverslip.verification import writing

    with pytest.MonkeyPatch.context() as patch:
        for module in (ocr, writing):
            patch.setattr(module, "can_read", module.is_installed, raising=False)
            patch.setattr(module, "is_installed", lambda: False)
        yield


@pytest.fixture(autouse=True)
def _reading(request, monkeypatch):
    """Let tests that are marked so read text, and skip them where the extra is not there."""
    if "ocr" not in request.keywords:
        return
    from coverslip.deid.pixels import ocr
    from coverslip.verification import writing

    if not ocr.can_read():
        if os.environ.get("COVERSLIP_REQUIRE_OCR") == "1":
            pytest.fail("the extra ocr is not installed")
        request.node.user_properties.append((MISSING, "the extra ocr"))
        pytest.skip("the extra ocr is not installed")
    for module in (ocr, writing):
        monkeypatch.setattr(module, "is_installed", module.can_read)


@pytest.fixture(scope="session", autouse=True)
def drawn_once():
    """Draw the tissue of samples once in a process: it takes most of the time of a small one."""
    from coverslip.sample import svs

    with patch.object(svs, "texture", functools.lru_cache(maxsize=2)(svs.texture)):
        yield


@pytest.fixture(scope="session")
def needed():
    """Return a function that skips the test if a slide cannot be built here."""

    def check(name: str) -> None:
        from tests.synth import NEED_JPEGTRAN

        if name in NEED_JPEGTRAN and shutil.which("jpegtran") is None:
            if REQUIRE_TOOLS:
                pytest.fail("jpegtran is not installed")
            pytest.skip("jpegtran is not installed")

    return check


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Return a function that builds a slide of each format once, for tests that only read it.

    What its levels should show is not kept.
    """
    from tests.synth import FORMATS

    @functools.cache
    def build(name: str):
        slide = dataclasses.replace(FORMATS[name](tmp_path_factory.mktemp(name)), levels=[])
        for path in slide.paths:
            path.chmod(0o444)
        return slide

    return build


@pytest.fixture(scope="session")
def page_of_500(tmp_path_factory):
    """The page about an output of 500 slides; it takes some seconds."""
    import coverslip
    from coverslip.report.collect import collect
    from coverslip.report.page import render
    from tests.synth import build_svs
    from tests.unit.outputs import multiply

    folder = tmp_path_factory.mktemp("many")
    coverslip.convert(build_svs(folder).path, folder / "one", verify=False)
    multiply(folder / "one", folder / "many", 500)
    return render(collect(folder / "many"))


def pytest_collection_modifyitems(items):
    if SLIDES.is_dir():
        return
    for item in items:
        if "slides" in item.keywords:
            item.user_properties.append((MISSING, "slides"))
            item.add_marker(pytest.mark.skip(reason="the real slides are not beside the project"))


def pytest_terminal_summary(terminalreporter):
    counts = Counter(
        value
        for report in terminalreporter.stats.get("skipped", ())
        for name, value in report.user_properties
        if name == MISSING
    )
    for kind, count in sorted(counts.items()):
        terminalreporter.write_line(f"skipped for want of {kind}: {count}")
