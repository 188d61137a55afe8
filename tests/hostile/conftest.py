"""Small slides of every format, built once for all tests that change them."""

import pytest

from tests.hostile import campaign


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    return campaign.originals(tmp_path_factory.mktemp("originals"))
