"""What a process may take: a slide that exceeds it fails alone."""

import subprocess
import sys
import threading

import pytest

import coverslip
from coverslip import guard
from coverslip.decoders import Decoders
from tests.synth import build_generic

WORKER = """
import sys, resource
import coverslip
from coverslip import conversion, guard

used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
guard.confine(memory_bytes=used + (200 << 20), file_bytes=1 << 20)
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
for path in sys.argv[2:]:
    try:
        with guard.limited(cpu_seconds=60):
            if path.startswith("fill"):
                bytearray(1 << 30)
            print(coverslip.convert(path, sys.argv[1]).frames.copied)
    except (coverslip.CoverslipError, OSError) as error:
        print(type(error).__name__, error)
"""


def test_slide_that_exceeds_a_limit_fails_alone(tmp_path):
    small = build_generic(tmp_path, 1, size=(200, 150), levels=1)
    (tmp_path / "large").mkdir()
    large = build_generic(tmp_path / "large", 1, size=(2000, 2000), levels=1, tile=256,
                          codec="jpeg_rgb_own_tables")  # fmt: skip
    command = [sys.executable, "-c", WORKER, tmp_path / "out", large.path, "fill", small.path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == "OSError [Errno 27] File too large"
    assert second == "LimitError the slide needs more memory than the limit memory_bytes leaves"
    assert int(third) == 4
    assert len(list((tmp_path / "out").iterdir())) == 1


@guard.limited(cpu_seconds=0.1)
def spin():
    while True:
        pass


def test_time_of_a_core_is_limited_and_given_back():
    before = guard.resource.getrlimit(guard.resource.RLIMIT_CPU)
    with pytest.raises(coverslip.LimitError, match=r"cpu_seconds = 0\.1"):
        spin()
    assert guard.resource.getrlimit(guard.resource.RLIMIT_CPU) == before
    with guard.limited(cpu_seconds=60):
        sum(range(1000))


def test_outside_the_main_thread_the_block_runs_without_a_limit_of_time():
    ran = []

    def work():
        with guard.limited(cpu_seconds=60):
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [True]


def test_process_that_decodes_has_the_limits_that_it_is_given(monkeypatch, tmp_path):
    seen = tmp_path / "decoder.py"
    seen.write_text(f"import sys, pathlib\npathlib.Path({str(tmp_path / 'args')!r})"
                    ".write_text(' '.join(sys.argv[1:]))\n")  # fmt: skip
    monkeypatch.setattr("coverslip.decoders.__file__", str(seen))
    decoders = Decoders(memory_bytes=1 << 30, seconds=7)
    from coverslip.decoders import Wanted

    wanted = Wanted(compression=8, shape=(8, 8), sample_bytes=1, most=64, lzma_bytes=0)
    with pytest.raises(ValueError, match="ended"):
        decoders.decode(b"x", wanted)
    assert (tmp_path / "args").read_text() == f"{1 << 30} 7"


def test_workers_of_an_archive_have_limits_and_know_which_were_changed(monkeypatch):
    from coverslip import limits
    from coverslip.archive.pool import Pool

    monkeypatch.setitem(limits.CHANGED, "memory_bytes", 5 << 30)
    with Pool(1) as pool:
        soft, hard = pool.submit(guard.resource.getrlimit, guard.resource.RLIMIT_AS).result()
        core = pool.submit(guard.resource.getrlimit, guard.resource.RLIMIT_CORE).result()
    assert soft == hard == 5 << 30
    assert core == (0, 0)


COMMAND = """
import resource, sys
import coverslip.cli.convert as command
from coverslip.cli import main

def convert(*_, **__):
    kinds = resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_CPU
    print(*(resource.getrlimit(kind)[0] for kind in kinds))
    sys.exit()

command.convert = convert
main()
"""


def test_command_for_one_slide_runs_under_limits_too(tmp_path):
    slide = build_generic(tmp_path, 1, size=(200, 150), levels=1)
    options = ["--limit", f"memory_bytes={5 << 30}", "--limit", "cpu_seconds=100"]
    convert = ["convert", slide.path, "-o", tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", COMMAND, *options, *convert],
                          capture_output=True, text=True, check=True)  # fmt: skip
    memory, core, cpu = map(int, done.stdout.split())
    assert (memory, core) == (5 << 30, 0)
    assert 100 < cpu < 130

    options = ["--limit", f"memory_bytes={1 << 20}"]
    done = subprocess.run([sys.executable, "-m", "coverslip", *options, *convert],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "error: slide 1: the slide needs more memory than the limit memory_bytes" in done.stderr
    assert not (tmp_path / "out").exists()
