"""A process of a long run holds no more after many slides than after few."""

import ctypes
import gc
import os
import platform
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

import coverslip
from coverslip.archive.pool import Pool
from coverslip.verification.terms import Term
from tests.synth import FORMATS

THREADS = 8


class Left:
    """What holds itself, as an error does that is kept where it was raised."""

    def __init__(self):
        self.itself = self


_LEFT = []


def leave():
    """Leave what only the collector frees, and let it begin by itself no more."""
    gc.disable()
    _LEFT.append(weakref.ref(Left()))
    return count_left()


def count_left():
    return sum(left() is not None for left in _LEFT)


def test_what_a_slide_left_is_gone_before_the_next():
    with Pool(1) as pool:
        assert pool.submit(leave).result(timeout=30) == 1
        assert pool.submit(count_left).result(timeout=30) == 0


@pytest.mark.parametrize("name", ["svs-jpeg-rgb", "generic-clipped"])
def test_a_slide_s_texts_are_free_when_it_is_converted(name, tmp_path):
    slide = FORMATS[name](tmp_path)
    gc.collect()
    others = count_terms()
    gc.disable()
    try:
        coverslip.convert(slide.path, tmp_path / "out", mpp_um=0.25, sync=False)
        assert count_terms() <= others
    finally:
        gc.enable()


def count_terms():
    return sum(type(thing) is Term for thing in gc.get_objects())


def arena_count(path):
    """Return of how many arenas threads take memory that need some at the same time."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
    together = threading.Barrier(THREADS)

    def take():
        together.wait()
        libc.free(ctypes.c_void_p(libc.malloc(ctypes.c_size_t(5000))))
        together.wait()

    threads = [threading.Thread(target=take) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out = ctypes.c_void_p(libc.fopen(path.encode(), b"w"))
    libc.malloc_info(0, out)
    libc.fclose(out)
    return Path(path).read_text().count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries have no arenas")
def test_threads_of_a_process_take_memory_of_one_arena(tmp_path, monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    path = str(tmp_path / "told")
    code = f"from tests.archive.test_memory import arena_count; print(arena_count({path!r}))"
    path_of_tests = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    alone = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **path_of_tests},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert int(alone.stdout) > 1
    with Pool(1) as pool:
        assert pool.submit(arena_count, path).result(timeout=30) == 1
