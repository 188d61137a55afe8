"""A command that dies in compiled code says why, and leaves nothing half-written."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.synth import build_generic

PROGRAM = """
import ctypes, itertools, sys, time
from coverslip import guard
from coverslip.cli import convert as command, main

guard.GRACE_S = 0.5
ends = {
    "loops": lambda: sum(itertools.repeat(0)),
    "crashes": lambda: ctypes.string_at(0),
    "is slow": lambda: print("slow", flush=True) or time.sleep(60),
}
end, convert = ends[sys.argv.pop(1)], command.convert

def convert_badly(slide, out, **more):
    return convert(slide, out, **more | {"on_progress": lambda _: end()})

command.convert = convert_badly
main()
"""


def start(how, tmp_path, *options, **more):
    """Begin a conversion that goes wrong when its files are written and have no names yet."""
    slide = build_generic(tmp_path, 1, size=(200, 150), levels=1).path
    command = [sys.executable, "-c", PROGRAM, how, *options, "convert", slide]
    return subprocess.Popen(
        [*command, "-o", tmp_path / "out"], stdout=subprocess.PIPE, text=True, **more
    )


@pytest.mark.parametrize("was_there", [False, True])
def test_code_that_never_returns_is_told_with_the_limit_and_its_option(was_there, tmp_path):
    if was_there:
        (tmp_path / "out").mkdir()
    limits = ["--limit", "cpu_seconds=1", "--limit", "cpu_seconds_per_gigabyte=0"]
    process = start("loops", tmp_path, *limits, stderr=subprocess.PIPE)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""
    first, second = error.splitlines()
    assert "longer than the limits cpu_seconds and cpu_seconds_per_gigabyte leave it" in first
    assert "coverslip --limit NAME=NUMBER" in second
    assert list(tmp_path.glob("out/*")) == []
    assert (tmp_path / "out").exists() == was_there


def test_code_that_crashes_is_told(tmp_path):
    process = start("crashes", tmp_path, stderr=subprocess.PIPE)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "the process that read it died (SIGSEGV)" in error
    assert "memory_bytes" in error
    assert not (tmp_path / "out").exists()


def test_signal_that_only_the_waiting_process_gets_rolls_the_slide_back(tmp_path):
    process = start("is slow", tmp_path, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "slow\n"
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert error == "stopped; nothing was left half-written\n"
    assert not (tmp_path / "out").exists()


def test_nothing_works_on_when_the_waiting_process_is_killed(tmp_path):
    process = start("is slow", tmp_path)
    assert process.stdout.readline() == "slow\n"
    process.kill()
    process.communicate(timeout=30)  # the pipe ends with the last process that has it
    assert process.returncode == -signal.SIGKILL


def test_ctrl_c_on_a_terminal_counts_once(tmp_path):
    """A third one would not wait for the slide to be rolled back."""
    ours, theirs = pty.openpty()
    take = "import fcntl, os, termios; os.setsid(); fcntl.ioctl(2, termios.TIOCSCTTY, 0)\n"
    slide = build_generic(tmp_path, 1, size=(200, 150), levels=1).path
    command = [sys.executable, "-c", take + PROGRAM, "is slow", "convert", slide, "-o"]
    process = subprocess.Popen(
        [*command, tmp_path / "out", "--quiet"], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    assert process.stdout.readline() == b"slow\n"
    os.write(ours, b"\3")
    assert process.wait(timeout=60) == 128 + signal.SIGINT
    process.stdout.close()
    assert os.read(ours, 1000) == b"^Cstopped; nothing was left half-written\r\n"
    os.close(ours)
    assert not (tmp_path / "out").exists()
