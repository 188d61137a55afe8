"""Many slides on a cluster of Dask Distributed: other processes, the same bytes."""

import subprocess
import sys
import time

import pytest

import coverslip
from coverslip.archive.ledger import State
from coverslip.deid.custody import Custody
from coverslip.deid.identity import Key
from coverslip.deid.policy import Policy
from tests.archive.runs import assert_ledger_and_disk_agree, build_slides
from tests.conftest import REQUIRE_TOOLS

if not REQUIRE_TOOLS:
    pytest.importorskip("distributed")

KEYED = {"policy": Policy(profile="research"), "custody": Custody(key=Key(bytes(range(32))))}


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """Start a scheduler and two workers by their commands; yield address and workers."""
    folder = tmp_path_factory.mktemp("dask")
    place = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
    command += ["--no-dashboard", "--scheduler-file", place]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", place]
    worker += ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--local-directory", folder]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen(command, **quiet)]
    deadline = time.monotonic() + 60
    while not place.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    processes += [subprocess.Popen(worker, **quiet) for _ in range(2)]
    from distributed import Client

    with Client(scheduler_file=place) as client:
        client.wait_for_workers(2, timeout=60)
        yield client, processes[1:]
    for process in processes:
        process.kill()
        process.wait()


def contents(out):
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_cluster_writes_the_bytes_of_a_local_run(scheduler, tmp_path):
    client, _ = scheduler
    build_slides(tmp_path / "in", 4)
    executor = client.get_executor(pure=False)
    for name, options in (("far", {"executor": executor}), ("near", {"jobs": 2})):
        outcomes = list(
            coverslip.convert_many(tmp_path / "in", tmp_path / name, **KEYED, **options)
        )
        assert [outcome.state for outcome in outcomes] == [State.DONE] * 4
    assert contents(tmp_path / "far") == contents(tmp_path / "near")


def test_worker_that_is_killed_costs_no_slide(scheduler, tmp_path):
    client, workers = scheduler
    build_slides(tmp_path / "in", 6)
    executor = client.get_executor(pure=False)
    run = coverslip.convert_many(tmp_path / "in", tmp_path / "out", executor=executor, jobs=2)
    first = next(run)
    workers[0].kill()
    outcomes = [first, *run]

    assert {outcome.state for outcome in outcomes} == {State.DONE}
    assert_ledger_and_disk_agree(tmp_path / "out", 6, check=False)
