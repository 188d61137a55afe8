"""What tests of privacy share."""

import pytest

from tests.synth import build_generic


@pytest.fixture
def slide(tmp_path):
    folder = tmp_path / "slide"
    folder.mkdir()
    return build_generic(folder)
