"""What needs the right to mount file systems."""

import shutil
import subprocess

import pytest

from tests.conftest import MISSING

UNSHARE = ("unshare", "--map-root-user", "--mount", "sh", "-c")


@pytest.fixture
def may_mount(request):
    """Skip the test where file systems may not be mounted."""
    probe = [*UNSHARE, "mount -t tmpfs -o size=1m none /mnt"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode:
        request.node.user_properties.append((MISSING, "the right to mount"))
        pytest.skip("this machine does not let tests mount a file system")


@pytest.fixture
def in_namespace(may_mount, tmp_path):
    """Return what runs a shell script where it may mount things."""

    def run(script):
        return subprocess.run(
            [*UNSHARE, script], cwd=tmp_path, capture_output=True, text=True, timeout=110
        )

    return run
