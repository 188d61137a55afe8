"""How runs stop: on signals, when workers die, and how soon."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

import coverslip
from coverslip.archive import workers
from coverslip.archive.discovery import discover
from coverslip.archive.ledger import State, read_ledger
from coverslip.archive.many import open_run
from coverslip.archive.pool import LostWorkerError, Pool
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from coverslip.instances import Progress
from tests.archive.runs import (
    assert_ledger_and_disk_agree,
    await_pending,
    build_slides,
    ended,
    halted,
    start,
    tell,
    workers_of,
)
from tests.archive.test_run import convert_all

SOON_S = 20
"""More than the grace that slides in hand have, on a machine that does other things too."""


def states_in(vault):
    return [str(record.state) for record in read_ledger(vault)]


@pytest.fixture
def halted_run(halting, tmp_path):
    """Yield what starts a run over so many slides and returns it and its worker, halted."""
    with ExitStack() as runs:

        def begin(slides):
            build_slides(tmp_path / "in", slides)
            run = start(tmp_path / "in", tmp_path / "out", "--jobs", "1", env=halting)
            runs.enter_context(ended(run))
            (worker,) = halted(lambda: workers_of(run.pid))
            return run, worker

        yield begin


@pytest.fixture
def halted_alone(halting, tmp_path):
    """Yield a conversion of one slide and the process of it that writes, halted."""
    (path,) = build_slides(tmp_path / "in", 1)
    with ended(start(path, tmp_path / "out", env=halting)) as run:
        (writer,) = halted(lambda: workers_of(run.pid))
        yield run, writer


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_first_signal_ends_the_run_when_the_slide_in_hand_is_done(
    number, status, halted_run, tmp_path
):
    run, worker = halted_run(4)
    said = tell(run, number)
    os.kill(worker, signal.SIGCONT)
    error = said + run.communicate(timeout=60)[1]

    assert run.returncode == status, error
    assert error.count("stopping when the slides in hand are done") == 1
    assert "stopped; 3 slides wait, and nothing was left half-written" in error
    assert states_in(tmp_path / "out.vault") == ["done", *["waiting"] * 3]
    assert len(list((tmp_path / "out").glob("[!.]*"))) == 1
    if number != signal.SIGINT:
        return  # what the next run finds is the same
    assert convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 4, check=False)


def test_second_signal_rolls_the_slides_in_hand_back_and_begins_no_other(halted_run, tmp_path):
    run, worker = halted_run(3)
    said = tell(run, signal.SIGINT, times=2)
    await_pending(worker, signal.SIGTERM)
    os.kill(worker, signal.SIGCONT)
    begin = time.monotonic()
    error = said + run.communicate(timeout=60)[1]

    assert run.returncode == 130, error
    assert time.monotonic() - begin < SOON_S
    assert "stopping now: the slides in hand are rolled back" in error
    assert "nothing was converted" in error
    assert "nothing to do" not in error
    assert "Traceback" not in error
    assert states_in(tmp_path / "out.vault") == ["waiting"] * 3
    assert not (tmp_path / "out").exists()
    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 3, check=False)


@pytest.mark.parametrize("times", [2, 3])
def test_worker_that_does_not_answer_is_killed(times, halted_run, tmp_path):
    run, worker = halted_run(2)
    begin = time.monotonic()
    said = tell(run, signal.SIGINT, times)
    error = said + run.communicate(timeout=60)[1]

    assert run.returncode == 130, error
    assert time.monotonic() - begin < SOON_S
    assert not Path(f"/proc/{worker}").exists()
    assert not list(tmp_path.glob("out/*"))
    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 2, check=False)


@pytest.mark.parametrize("after", [0.0, 0.1, 0.3])
def test_signal_for_the_whole_group_while_workers_begin_shows_no_traceback(after, tmp_path):
    build_slides(tmp_path / "in", 3)
    run = start(tmp_path / "in", tmp_path / "out", "--jobs", "2")
    while not list(tmp_path.glob("out/.coverslip-*/open")):
        assert run.poll() is None
        time.sleep(0.001)
    time.sleep(after)
    os.killpg(run.pid, signal.SIGINT)
    _, error = run.communicate(timeout=60)

    states = states_in(tmp_path / "out.vault")
    assert run.returncode in ((0, 130) if set(states) == {"done"} else (130,)), error
    assert "Traceback" not in error
    assert "error: " not in error
    assert "running" not in states


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signal_rolls_one_slide_back(number, status, halted_alone, tmp_path):
    run, writer = halted_alone
    run.send_signal(number)
    await_pending(writer, number)
    os.kill(writer, signal.SIGCONT)
    out, error = run.communicate(timeout=60)

    assert run.returncode == status, error
    assert "stopped; nothing was left half-written" in error
    assert out == ""
    assert not (tmp_path / "out").exists()


def test_what_a_killed_conversion_of_one_slide_left_goes_with_the_next(halted_alone, tmp_path):
    run, _ = halted_alone
    run.kill()
    run.communicate()
    assert list(tmp_path.glob("out/.coverslip-*"))

    (path,) = (path for path in (tmp_path / "in").rglob("*") if path.is_file())
    again = start(path, tmp_path / "out")
    _, error = again.communicate(timeout=60)
    assert again.returncode == 0, error
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_worker_that_dies_between_two_slides_costs_nothing(tmp_path):
    build_slides(tmp_path / "in", 4)
    run = coverslip.convert_many(tmp_path / "in", tmp_path / "out", jobs=1)
    outcomes = [next(run)]
    while len(states := [s for s in states_in(tmp_path / "out.vault") if s == "running"]) > 1:
        time.sleep(0.01)
    assert len(states) == 1
    time.sleep(1)  # the slide that was handed out ahead is done as well
    for pid in workers_of(os.getpid()):
        if b"archive.workers" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    outcomes += run
    assert [outcome.state for outcome in outcomes] == [State.DONE] * 4


def end_by(number, seconds=0.0):
    time.sleep(seconds)
    os.kill(os.getpid(), number)
    time.sleep(60)


def answer(seconds):
    time.sleep(seconds)
    return "done"


def test_worker_that_dies_takes_nobody_with_it():
    with Pool(2) as pool:
        victim = pool.submit(end_by, signal.SIGKILL, 0.5)
        others = [pool.submit(answer, 0.5) for _ in range(4)]
        assert [other.result(timeout=30) for other in others] == ["done"] * 4
        with pytest.raises(LostWorkerError):
            victim.result(timeout=30)


HOG = """
import gc, os, sys, time
from multiprocessing.queues import SimpleQueue

def hog():
    for thing in gc.get_objects():
        if isinstance(thing, SimpleQueue) and hasattr(thing, "_wlock"):
            thing._wlock.acquire(False)
    os.kill(os.getpid(), 9)
"""


def test_worker_that_dies_with_every_lock_it_can_get_blocks_nobody(tmp_path):
    (tmp_path / "hog.py").write_text(HOG)
    script = (
        "from hog import hog; import time; from coverslip.archive.pool import Pool\n"
        "with Pool(2) as pool:\n"
        "    slow = pool.submit(time.sleep, 2)\n"
        "    time.sleep(1)\n"
        "    lost = pool.submit(hog)\n"
        "    print(type(lost.exception(20)).__name__, slow.exception(20))\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "LostWorkerError None\n"


def tell_and_go_on(task):
    """Convert a slide when the run has told of its first bytes; called in a worker."""
    workers._listeners[-1](1000)
    deadline = time.monotonic() + 60
    while not (task.out.parent / "told").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return workers.convert_task(task)


def test_bytes_are_told_while_a_slide_is_in_hand(tmp_path, monkeypatch):
    build_slides(tmp_path / "in", 1)
    told = []

    def tell(count):
        told.append(count)
        if count:
            (tmp_path / "told").touch()

    monkeypatch.setattr("coverslip.archive.run.convert_task", tell_and_go_on)
    with (
        discover([tmp_path / "in"]) as found,
        open_run(found.slides, tmp_path / "out", Policy(), Custody()) as run,
    ):
        run.on_bytes = tell
        (outcome,) = run.convert()
    assert outcome.state is State.DONE
    assert 1000 in told


def test_worker_tells_how_far_a_slide_is(monkeypatch):
    told = []
    monkeypatch.setattr(workers, "_listeners", [told.append])
    monkeypatch.setattr(workers, "_LOOK_EVERY_S", 0)
    lease = SimpleNamespace(require=lambda: None)
    watch = workers._Watch(SimpleNamespace(stamp=(1000, 0), verify=True, lease=lease))
    for stage, level, done in [
        ("write", 0, 400),
        ("verify", 0, 400),
        ("verify", 0, 800),
        ("write", 1, 200),
        ("verify", 1, 400),
        ("commit", 1, 0),
    ]:
        watch(Progress(stage=stage, level=level, done=done, total=800 if level == 0 else 400))
    assert told == [200, 600, 800, 900, 1000, 1000]  # no more than the slide has
    assert watch.is_committing
