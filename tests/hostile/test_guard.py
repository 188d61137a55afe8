"""What a process may take: a slide that exceeds it fails alone."""

import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import coverslip
from coverslip import guard, limits
from coverslip.archive.pool import Pool
from coverslip.archive.workers import convert_task
from coverslip.codecs import Wanted
from coverslip.decoders import Decoders
from tests import program
from tests.synth import build_generic

WORKER = """
import sys, resource, threading
import coverslip
from coverslip import conversion, guard

# The C library maps up to 128 MiB for the memory of each thread.
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
guard.confine(memory_bytes=used + (2 << 30), file_bytes=1 << 20)
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
for path in sys.argv[2:]:
    try:
        with guard.limited(cpu_seconds=60):
            if path.startswith("fill"):
                bytearray(3 << 30)
            if path.startswith("stack"):
                threading.stack_size(3 << 30)
                continue
            print(coverslip.convert(path, sys.argv[1]).frames.copied)
    except (coverslip.CoverslipError, OSError) as error:
        print(type(error).__name__, error)
"""


def test_slide_that_exceeds_a_limit_fails_alone(tmp_path):
    small = build_generic(tmp_path, 1, size=(200, 150), levels=1)
    (tmp_path / "large").mkdir()
    large = build_generic(tmp_path / "large", 1, size=(2000, 2000), levels=1, tile=256,
                          codec="jpeg_rgb_own_tables")  # fmt: skip
    done = program.code(WORKER, tmp_path / "out", large.path, "fill", small.path)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == "OSError [Errno 27] File too large"
    assert (
        second
        == "LimitError more memory is needed than the machine or the limit memory_bytes leaves"
    )
    assert int(third) == 4
    assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize("whose", ["Python", "Rust"])
def test_slide_that_gets_no_thread_fails_alone(whose, tmp_path):
    slide = build_generic(tmp_path, 1, size=(200, 150), levels=1)
    command = [sys.executable, "-c", WORKER, tmp_path / "out", "fill", slide.path]
    environment = dict(os.environ)
    if whose == "Rust":
        environment["RUST_MIN_STACK"] = str(3 << 30)
    else:
        command.insert(4, "stack")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    more = "LimitError more memory is needed than the machine or the limit memory_bytes leaves"
    assert done.stdout.splitlines() == [more, more]
    assert not (tmp_path / "out").exists()


LOOP = """
import itertools, sys, threading
from coverslip import guard

guard.GRACE_S = 0.5

def work():
    with guard.limited(cpu_seconds=0.5):
        sum(itertools.repeat(0))  # compiled code that keeps the interpreter and hears no signal

thread = threading.Thread(target=work)
work() if sys.argv[1] == "main" else (thread.start(), thread.join())
"""


@pytest.mark.parametrize("thread", ["main", "other"])
def test_compiled_code_that_never_returns_ends_with_its_process(thread):
    done = subprocess.run([sys.executable, "-c", LOOP, thread], check=False, timeout=60)
    assert done.returncode == -signal.SIGPROF


def convert_or_loop(task):
    """Stand in the place of `convert_task`; the second slide makes a decoder loop."""
    guard.GRACE_S = 0.5
    if task.number != 2:
        return convert_task(task)
    with guard.limited(cpu_seconds=0.5):
        return sum(itertools.repeat(0))


def test_worker_whose_decoder_loops_fails_its_slide_and_no_other(monkeypatch, tmp_path):
    for number in (1, 2, 3):
        (tmp_path / "in" / str(number)).mkdir(parents=True)
        build_generic(tmp_path / "in" / str(number), number, size=(200, 150), levels=1)
    monkeypatch.setattr("coverslip.archive.run.convert_task", convert_or_loop)
    outcomes = coverslip.convert_many(tmp_path / "in", tmp_path / "out", jobs=1)
    states = {outcome.number: (str(outcome.state), outcome.reason) for outcome in outcomes}
    died = "the process that converted it died, twice"
    assert states == {1: ("done", None), 2: ("failed", died), 3: ("done", None)}
    assert len([path for path in (tmp_path / "out").iterdir() if path.is_dir()]) == 2


def test_timer_is_given_back_and_shared_by_threads():
    before = signal.getitimer(signal.ITIMER_PROF)
    with guard.limited(cpu_seconds=60):
        one = signal.getitimer(signal.ITIMER_PROF)[0]
        with guard.limited(cpu_seconds=60):
            assert signal.getitimer(signal.ITIMER_PROF)[0] > one + 60
        assert signal.getitimer(signal.ITIMER_PROF)[0] <= one + 1
    assert signal.getitimer(signal.ITIMER_PROF) == before


@guard.limited(cpu_seconds=0.1)
def spin():
    while True:
        pass


def test_time_of_a_core_is_limited_and_given_back():
    before = guard.resource.getrlimit(guard.resource.RLIMIT_CPU)
    with pytest.raises(coverslip.LimitError, match=r"0\.1 seconds that the limits cpu_seconds"):
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
    wanted = Wanted(compression=8, shape=(8, 8), sample_bytes=1, most=64, lzma_bytes=0)
    with pytest.raises(ValueError, match="ended"):
        decoders.decode(b"x", wanted)
    assert (tmp_path / "args").read_text() == f"{1 << 30} 7"


DECODERS = {
    "takes nothing": "import time; time.sleep(600)",
    "answers nothing": "import sys, time; sys.stdin.buffer.read(10); time.sleep(600)",
    "ends itself": "import os, signal; os.kill(os.getpid(), signal.SIGALRM)",
}


@pytest.mark.parametrize("code", DECODERS.values(), ids=DECODERS)
def test_decoder_that_hangs_is_ended_and_the_limit_named(code, monkeypatch, tmp_path):
    (tmp_path / "decoder.py").write_text(code)
    monkeypatch.setattr("coverslip.decoders.__file__", str(tmp_path / "decoder.py"))
    monkeypatch.setattr("coverslip.decoders._LATE_S", 0.5)
    wanted = Wanted(compression=8, shape=(8, 8), sample_bytes=1, most=64, lzma_bytes=0)
    begin = time.monotonic()
    with pytest.raises(coverslip.LimitError, match="limit decoder_seconds = 1"):
        Decoders(memory_bytes=1 << 30, seconds=1).decode(b"x" * (1 << 20), wanted)
    assert time.monotonic() - begin < 30


def test_slide_that_hangs_its_decoder_is_refused_with_the_limit(
    decoders_started_anew, monkeypatch, tmp_path
):
    slide = build_generic(tmp_path, 1, size=(200, 150), levels=1, codec="deflate")
    (tmp_path / "decoder.py").write_text(DECODERS["answers nothing"])
    monkeypatch.setattr("coverslip.decoders.__file__", str(tmp_path / "decoder.py"))
    monkeypatch.setattr("coverslip.decoders._LATE_S", -59.5)
    with pytest.raises(coverslip.LimitError, match="limit decoder_seconds = 60"):
        coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True, pixels_attested="J. Doe")
    assert not (tmp_path / "out").exists()


def test_memory_is_a_share_of_the_machine_unless_the_operator_says_otherwise(monkeypatch):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": (16 << 30) // 4096}
    monkeypatch.setattr(os, "sysconf", pages.get)
    assert limits.process_memory() == 12 << 30
    pages["SC_PHYS_PAGES"] *= 64
    assert limits.process_memory() == limits.LIMITS.memory_bytes == 32 << 30
    pages["SC_PHYS_PAGES"] = (1 << 30) // 4096
    assert limits.process_memory() == 4 << 30
    monkeypatch.setitem(limits.CHANGED, "memory_bytes", 32 << 30)
    assert limits.process_memory() == 32 << 30


def test_workers_of_an_archive_have_limits_and_know_which_were_changed(monkeypatch):
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


@pytest.mark.parametrize(
    ("error", "is_of_memory"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.EIO, "Input/output error"), False),
        (ImportError("no such library"), False),
    ],
)
def test_want_of_memory_is_told_as_the_limit_whoever_meets_it(error, is_of_memory):
    expected = coverslip.LimitError if is_of_memory else type(error)
    with pytest.raises(expected) as raised, guard.limited(cpu_seconds=60):
        raise error
    assert ("memory_bytes" in str(raised.value)) == is_of_memory


def test_library_that_finds_no_room_is_told_as_the_limit(monkeypatch):
    monkeypatch.setattr(guard, "_LIBRARY_BYTES", 1 << 60)
    with pytest.raises(coverslip.LimitError, match="memory_bytes"), guard.limited(cpu_seconds=60):
        raise ImportError("failed to map segment from shared object")


def test_command_for_one_slide_runs_under_limits_too(tmp_path):
    slide = build_generic(tmp_path, 1, size=(200, 150), levels=1)
    options = ["--limit", f"memory_bytes={5 << 30}", "--limit", "cpu_seconds=100"]
    options += ["--limit", "cpu_seconds_per_gigabyte=0"]
    convert = ["convert", slide.path, "-o", tmp_path / "out"]
    done = program.code(COMMAND, *options, *convert)
    assert done.returncode == 0, done.stderr
    memory, core, cpu = map(int, done.stdout.split())
    assert (memory, core) == (5 << 30, 0)
    assert 100 < cpu < 130

    options = ["--limit", f"memory_bytes={1 << 20}"]
    # With an interpreter that has loaded nothing yet: one that has needs less.
    done = subprocess.run([sys.executable, "-m", "coverslip", *options, *convert],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "error: slide 1: more memory is needed than the machine or the limit" in done.stderr
    assert not (tmp_path / "out").exists()


READING = """
import resource, sys
from coverslip import _core
from coverslip.cli import main

class Shown:
    def __init__(self, *_):
        kinds = resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_CPU
        memory, core, cpu = (resource.getrlimit(kind)[0] for kind in kinds)
        print(memory, core, 0 < cpu < 4000, file=sys.stderr)
        raise OSError(5, "seen")

_core.Source = Shown
main()
"""


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_command_that_reads_a_slide_runs_under_limits(command, tmp_path):
    slide = build_generic(tmp_path, 1, size=(200, 150), levels=1)
    arguments = [slide.path]
    if command == "verify":
        result = coverslip.convert(slide.path, tmp_path / "out")
        arguments = [result.study_path, "--source", slide.path]
    memory = ["--limit", f"memory_bytes={5 << 30}"]
    done = program.code(READING, *memory, command, *arguments)
    assert done.stderr.splitlines()[0] == f"{5 << 30} 0 True"


def test_dry_run_reads_slides_in_a_worker_under_limits(tmp_path):
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        build_generic(tmp_path / str(number), number, size=(200, 150), levels=1)
    run = ["--limit", f"memory_bytes={1 << 20}", "convert", "--dry-run"]
    done = program.command(*run, tmp_path, "-o", tmp_path / "out")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert all("memory_bytes" in line or "died" in line for line in lines[:2]), lines
    assert lines[2].startswith("2 slides, 2 would be refused")
