"""Many slides on a cluster of Dask Distributed: other processes, the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

import coverslip
from coverslip.archive.claim import MARK
from coverslip.archive.ledger import State, read_ledger
from coverslip.archive.sharing import missing_of, require_shared
from coverslip.deid.custody import Custody
from coverslip.deid.identity import Key
from coverslip.deid.policy import Policy
from coverslip.errors import PolicyError
from tests.archive.runs import (
    assert_ledger_and_disk_agree,
    build_slides,
    ended,
    halted,
    start,
    tell,
)
from tests.archive.test_run import convert_all
from tests.conftest import REQUIRE_TOOLS

if not REQUIRE_TOOLS:
    pytest.importorskip("distributed")

KEYED = {"policy": Policy(profile="research"), "custody": Custody(key=Key(bytes(range(32))))}


@contextmanager
def dask(folder, count, wrap=(), env=None):
    """Start a scheduler and workers by their commands; yield its file, and it and the workers."""
    place = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
    command += ["--no-dashboard", "--scheduler-file", place]
    worker = [*wrap, sys.executable, "-m", "distributed.cli.dask_worker"]
    worker += ["--scheduler-file", place, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    worker += ["--local-directory", folder / "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    env = {**os.environ, **(env or {})}
    processes = [subprocess.Popen(command, **quiet)]
    try:
        deadline = time.monotonic() + 60
        while not place.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        processes += [subprocess.Popen(worker, env=env, **quiet) for _ in range(count)]
        from distributed import Client

        with Client(scheduler_file=place) as client:
            client.wait_for_workers(count, timeout=60)
        yield place, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """Yield a client of a scheduler, and its two workers."""
    from distributed import Client

    with (
        dask(tmp_path_factory.mktemp("dask"), 2) as (place, (_, *workers)),
        Client(scheduler_file=place) as client,
    ):
        yield client, workers


def left_in(out, pattern="*"):
    """Return what is in an output, but for the mark of its ledger."""
    return [path for path in out.glob(pattern) if path.name != MARK]


def contents(out):
    files = [path for path in left_in(out, "**/*") if path.is_file()]
    return {path.relative_to(out): path.read_bytes() for path in files}


def test_command_gives_slides_to_a_cluster_of_processes(scheduler, tmp_path):
    client, _ = scheduler
    build_slides(tmp_path / "in", 3)
    key = tmp_path / "key"
    key.write_text(bytes(range(32)).hex())
    key.chmod(0o600)
    address = ("--scheduler", client.scheduler.address)
    keyed = ("--profile", "research", "--key", str(key))
    far = start(tmp_path / "in", tmp_path / "far", *address, *keyed)
    _, error = far.communicate(timeout=100)
    assert far.returncode == 0, error
    convert_all(tmp_path / "in", tmp_path / "near", **KEYED)
    assert contents(tmp_path / "far") == contents(tmp_path / "near")


def test_killed_worker_costs_no_slide_and_the_bytes_are_those_of_a_local_run(scheduler, tmp_path):
    client, workers = scheduler
    build_slides(tmp_path / "in", 6)
    executor = client.get_executor(pure=False)
    run = coverslip.convert_many(
        tmp_path / "in", tmp_path / "far", executor=executor, jobs=2, **KEYED
    )
    first = next(run)
    workers[0].kill()
    outcomes = [first, *run]

    assert {outcome.state for outcome in outcomes} == {State.DONE}
    assert_ledger_and_disk_agree(tmp_path / "far", 6, check=False)
    convert_all(tmp_path / "in", tmp_path / "near", **KEYED)
    assert contents(tmp_path / "far") == contents(tmp_path / "near")


@contextmanager
def halted_far(folder, halting):
    """Yield a run on a cluster, and its scheduler and worker, halted with a slide in hand."""
    with dask(folder, 1, env=halting) as (place, processes):
        address = json.loads(place.read_text())["address"]
        with ended(start(folder / "in", folder / "out", "--scheduler", address)) as run:
            halted(lambda: [processes[1].pid])
            yield run, processes


@pytest.mark.parametrize("slides", [2, 3])  # jobs are one, so two are handed out at a time
def test_scheduler_that_dies_ends_the_run_and_the_next_has_each_slide_once(
    slides, halting, tmp_path
):
    build_slides(tmp_path / "in", slides)
    with halted_far(tmp_path, halting) as (run, processes):
        processes[0].kill()
        _, error = run.communicate(timeout=60)
        processes[1].send_signal(signal.SIGCONT)
        assert run.returncode == 1, error
        assert "error: " in error
        assert "the executor" in error
        processes[1].wait(timeout=60)  # it has lost its scheduler, and its slide was recalled
    assert not left_in(tmp_path / "out", ".coverslip-*")
    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", slides, check=False)


def test_second_signal_recalls_the_slides_of_a_cluster(halting, tmp_path):
    build_slides(tmp_path / "in", 3)
    with halted_far(tmp_path, halting) as (run, processes):
        begin = time.monotonic()
        said = tell(run, signal.SIGINT, times=2)
        error = said + run.communicate(timeout=60)[1]
        assert run.returncode == 130, error
        assert time.monotonic() - begin < 30
        processes[1].send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 30
        while left_in(tmp_path / "out") and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
        assert not left_in(tmp_path / "out")
    convert_all(tmp_path / "in", tmp_path / "out")
    assert_ledger_and_disk_agree(tmp_path / "out", 3, check=False)


def test_worker_on_another_disk_is_found_before_the_run_begins(tmp_path, may_mount):
    build_slides(tmp_path / "in", 2)
    (tmp_path / "out").mkdir()
    hide = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    hide += [f'mount -t tmpfs none {tmp_path / "out"}; exec "$@"', "-"]
    with dask(tmp_path, 1, wrap=hide) as (place, _):
        address = json.loads(place.read_text())["address"]
        process = start(tmp_path / "in", tmp_path / "out", "--scheduler", address)
        _, error = process.communicate(timeout=100)

    assert process.returncode == 1, error
    assert "1 of 1 workers: one does not see the output" in error
    assert "hint: workers must see" in error
    assert list((tmp_path / "out").iterdir()) == []
    states = [record.state for record in read_ledger(tmp_path / "out.vault")]
    assert states == [State.WAITING] * 2


def test_worker_tells_what_it_does_not_see(tmp_path):
    def found(vault=None, slide=(tmp_path / "slide", 4), look=missing_of, workers=2):
        def ask_all(function, sight):
            return {f"tcp://{number}": look(sight) for number in range(workers)}

        given = {"out": tmp_path / "new" / "out", "vault": tmp_path / "vault", "slides": [slide]}
        try:
            require_shared(ask_all, **given, custody=Custody(vault=vault), policy=Policy())
        except PolicyError as error:
            return str(error)
        return None

    (tmp_path / "slide").write_bytes(b"II*\0")
    (tmp_path / "vault").mkdir()
    assert found() is None
    assert found(vault=tmp_path / "vault") is None
    assert "one does not see the slides: No such file" in found(slide=(tmp_path / "gone", 4))
    assert "another file in the place of a slide" in found(slide=(tmp_path / "slide", 5))
    assert "has no workers" in found(workers=0)
    assert "not older" in found(look=lambda sight: missing_of(replace(sight, version="older")))
    assert "cannot run coverslip (ImportError)" in found(look=lambda _: ImportError(str(tmp_path)))
    others = [("output", tmp_path / "slide", "other")]
    assert "sees another output" in found(look=lambda s: missing_of(replace(s, tokens=others)))
    assert {path.name for path in tmp_path.rglob("*")} == {"slide", "vault", "new"}
