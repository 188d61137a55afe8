"""Small slides of every format, built once for all tests that change them."""

import pytest

from tests.archive.conftest import faults, in_namespace, may_mount
from tests.hostile import campaign

__all__ = ["faults", "in_namespace", "may_mount"]  # fixtures of both folders


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    return campaign.originals(tmp_path_factory.mktemp("originals"))
