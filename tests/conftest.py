"""What all tests share: where tools and real slides are, and how skipping is counted."""

import os
import shutil
from pathlib import Path

import pytest

REQUIRE_TOOLS = os.environ.get("COVERSLIP_REQUIRE_TOOLS") == "1"
SLIDES = Path(
    os.environ.get("COVERSLIP_SLIDES", Path(__file__).resolve().parents[2] / "shared" / "slides")
)

_skipped: dict[str, int] = {"slides": 0, "tools": 0}


@pytest.fixture(scope="session")
def tool():
    """Return a function that finds a program, or skips the test where that is allowed."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            if REQUIRE_TOOLS:
                pytest.fail(f"{name} is not installed")
            pytest.skip(f"{name} is not installed")
        return path

    return find


def pytest_collection_modifyitems(items):
    if SLIDES.is_dir():
        return
    for item in items:
        if "slides" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="the real slides are not beside the project"))


def pytest_runtest_logreport(report):
    if report.skipped:
        for kind in _skipped:
            _skipped[kind] += kind in report.keywords


def pytest_terminal_summary(terminalreporter):
    for kind, count in _skipped.items():
        if count:
            terminalreporter.write_line(f"skipped for want of {kind}: {count}")
