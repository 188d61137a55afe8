"""What runs beside something else ends with it, whatever happens to either."""

import gc
import signal
import threading
import time
import weakref

import pytest

from coverslip import _core
from coverslip.beside import Beside, Follower
from coverslip.errors import VerificationError


def waits(*, written, on_progress):
    """Behave as a check does that is never given anything."""
    written.wait_for_start()


def test_what_the_check_raises_is_raised_by_whoever_waits():
    def fails(*, written, on_progress):
        raise VerificationError("frame 3 differs")

    with pytest.raises(VerificationError, match="frame 3"), Follower(fails) as follower:
        follower.wait(None)


def test_check_is_let_go_when_the_writer_never_began():
    with pytest.raises(OSError, match="disk"), Follower(waits):
        raise OSError("the disk is gone")
    assert not any(thread.name == "coverslip-beside" for thread in threading.enumerate())


def test_thread_that_begins_as_a_signal_comes_does_not_outlive_it(monkeypatch):
    seen = []

    def start(thread):
        thread.start()
        raise KeyboardInterrupt

    monkeypatch.setattr("coverslip.beside.start", start)
    with pytest.raises(KeyboardInterrupt), Beside(lambda stop: seen.append(stop.wait(60))):
        raise AssertionError("the block is not entered")
    assert seen == [True]


@pytest.mark.parametrize("is_waited_for", [True, False], ids=["in the block", "at its end"])
def test_signal_that_comes_while_it_is_waited_for_leaves_no_thread_behind(is_waited_for):
    ended = []

    def work(stop):
        stop.wait(60)
        time.sleep(0.2)  # compiled code that does not stop at once
        ended.append(True)

    def interrupt(_number, _frame):
        raise KeyboardInterrupt

    def run():
        with Beside(work) as beside:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            if is_waited_for:
                beside.result()

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert ended == [True]


def test_thread_that_cannot_begin_is_told_as_want_of_memory(monkeypatch):
    def no_room(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("coverslip.beside._BEGIN_S", 0.01)
    monkeypatch.setattr(threading.Thread, "start", no_room)
    with pytest.raises(MemoryError), Beside(lambda stop: None):
        raise AssertionError("the block is not entered")


def test_check_is_stopped_at_its_next_progress():
    began = threading.Event()

    def long(*, written, on_progress):
        began.set()
        while True:
            on_progress(1)

    def interrupted(done):
        began.wait()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Follower(long) as follower:
        follower.wait(interrupted)
    assert not any(thread.name == "coverslip-beside" for thread in threading.enumerate())


def test_progress_of_the_check_is_told_while_it_goes_on():
    told = []
    go_on = threading.Event()

    def check(*, written, on_progress):
        on_progress(7)
        go_on.wait()

    def progress(done):
        told.append(done)
        go_on.set()

    with Follower(check) as follower:
        follower.wait(progress)
    assert 7 in told


def test_nobody_waits_for_a_writer_that_gave_up():
    written = _core.Written()
    written.give_up()
    with pytest.raises(KeyboardInterrupt):
        written.wait_for_start()


def test_result_is_what_was_returned_or_raised():
    with Beside(lambda stop: 7) as seven:
        assert seven.result() == 7
        assert seven.has_ended()
    with pytest.raises(ZeroDivisionError), Beside(lambda stop: 1 // 0) as none:
        none.result()


def test_it_is_asked_to_stop_when_the_block_fails():
    with pytest.raises(OSError, match="disk"), Beside(lambda stop: stop.wait()):
        raise OSError("the disk is gone")
    assert not any(thread.name == "coverslip-beside" for thread in threading.enumerate())


class Large:
    """What a check holds."""

    def __call__(self, *, written, on_progress):
        """Have nothing to check."""


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_what_a_check_holds_is_free_when_it_is_over():
    check = Large()
    with Follower(check) as follower:
        follower.wait(None)
    is_there = weakref.ref(check)
    del check, follower
    assert is_there() is None
