"""No command opens a socket, as the system sees it: every process and thread is watched.

An audit hook of Python sees neither compiled code nor other processes; strace sees both.
"""

import importlib.util
import os
import re
import subprocess
import sys

import pytest

import coverslip
from tests.synth import build_generic, build_svs

pytestmark = pytest.mark.tools
SMALL = {"size": (200, 150), "tile": 64, "levels": 1}
OF_NO_CALL = re.compile(r"\d+ +(---|\+\+\+) ")
"""Signals, and ends of processes."""
PROBE = [
    r"socket\(AF_INET6, SOCK_STREAM\|SOCK_CLOEXEC, IPPROTO_IP\) = [0-9]+",
    r'bind\([0-9]+, .*sin6_port=htons\(0\).*"::1".*\) = .*',
]
"""What loading urllib3 does, to see whether the machine has IPv6; nothing is sent."""


def calls_of(strace, command, folder, *, without_requests):
    """Run a command; return each call of a process or thread of it that is about the network."""
    path = [os.environ.get("PYTHONPATH", "")]
    if without_requests:
        # Stands for an environment that lacks it, as one does that has only what we need.
        (folder / "lacks").mkdir(exist_ok=True)
        (folder / "lacks" / "requests.py").write_text("raise ImportError\n")
        path.append(str(folder / "lacks"))
    trace = folder / "trace"
    trace.unlink(missing_ok=True)
    watched = [strace, "-f", "-qq", "-e", "trace=network", "-o", trace, *command]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
    done = subprocess.run(watched, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().splitlines()
    return [line.partition(" ")[2].strip() for line in lines if not OF_NO_CALL.match(line)]


def coverslip_command(*arguments):
    return [sys.executable, "-m", "coverslip", *map(str, arguments)]


@pytest.fixture
def strace(tool):
    return tool("strace")


@pytest.fixture
def commands(tmp_path):
    """Of what a run may be: one slide, an archive, decoders in other processes, a check."""
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "b").mkdir()
    svs = build_svs(tmp_path / "in" / "a", 1, size=(200, 150), tile=64)
    pixel = build_generic(tmp_path / "in" / "b", 1, codec="lzw", **SMALL)
    out = coverslip.convert(svs.path, tmp_path / "out").study_path
    return {
        "one slide": coverslip_command("convert", svs.path, "-o", tmp_path / "one"),
        "decoders": coverslip_command(
            "convert", pixel.path, "--allow-pixel", "-o", tmp_path / "pixel"
        ),
        "archive": coverslip_command(
            *("convert", tmp_path / "in", "--allow-pixel", "--jobs", "2"),
            *("-o", tmp_path / "many"),
        ),
        "verify": coverslip_command("verify", out, "--source", svs.path),
        "inspect": coverslip_command("inspect", svs.path),
        "report": coverslip_command("report", tmp_path / "out", "-o", tmp_path / "page.html"),
    }


KINDS = ["one slide", "decoders", "archive", "verify", "inspect", "report"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_process_of_a_command_opens_a_socket(kind, commands, strace, tmp_path):
    assert calls_of(strace, commands[kind], tmp_path, without_requests=True) == []


@pytest.mark.parametrize("kind", ["one slide", "archive"])
def test_where_requests_is_installed_loading_it_binds_a_port_and_nothing_else(
    kind, commands, strace, tmp_path
):
    assert importlib.util.find_spec("requests"), "an extra of the tests brings it"
    calls = calls_of(strace, commands[kind], tmp_path, without_requests=False)
    assert calls
    allowed = re.compile("|".join(PROBE))
    assert [call for call in calls if not allowed.fullmatch(call)] == []


def test_socket_that_is_opened_would_be_seen(strace, tmp_path):
    code = "import threading, socket; threading.Thread(target=socket.socket).start()"
    calls = calls_of(strace, [sys.executable, "-c", code], tmp_path, without_requests=True)
    assert any(call.startswith("socket(AF_INET") for call in calls)
    command = ["sh", "-c", f'"{sys.executable}" -c "{code}"']
    assert calls_of(strace, command, tmp_path, without_requests=True)
