"""Faults of the machine, and what needs the right to mount file systems."""

import shutil
import subprocess
from pathlib import Path

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


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    """Return what makes a program's system calls fail: its environment, but for which and where."""
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}


@pytest.fixture
def halting(faults):
    """Return the environment in which a program halts when it begins to write an instance."""
    return {
        **faults,
        "FAULT_CALL": "write",
        "FAULT_PATH": ".dcm",
        "FAULT_AFTER": "0",
        "FAULT_HALT": "1",
    }
