"""Mutated slides in processes under limits: the small form of ``tests.hostile.campaign``."""

import os
import signal
import time

import pytest

from tests.hostile import campaign, pool
from tests.hostile.mutate import KINDS, Mutated, mutation_of

RUNS = int(os.environ.get("COVERSLIP_MUTATIONS", "150"))


@pytest.mark.timeout(max(120, RUNS))
def test_mutated_slides_are_refused_or_right(originals, tmp_path):
    outcomes = list(campaign.run(originals, tmp_path, RUNS, seed=0, processes=2))
    assert len(outcomes) == RUNS
    assert [outcome for outcome in outcomes if outcome.answer.startswith("WRONG")] == []
    assert len({outcome.answer for outcome in outcomes}) >= 3


def test_slide_is_again_what_it_was_after_each_mutation(tmp_path):
    (original,) = campaign.originals(tmp_path, ["philips"])
    secrets = [text.encode() for text in original.identifiers]
    before, seen, changed = original.path.read_bytes(), set(), 0
    for seed in range(200):
        mutation = mutation_of(original.path, secrets, original.name, seed)
        assert mutation == mutation_of(original.path, secrets, original.name, seed)
        seen |= set(mutation.kinds)
        with Mutated(original.path, mutation) as path:
            changed += path.read_bytes() != before
        assert original.path.read_bytes() == before
    assert seen == {kind.__name__ for kind in KINDS}
    assert changed > 150


def misbehave(_number):
    def do(job):
        if job == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if job == "fill":
            bytearray(4 * pool.MEMORY)
        if job == "raise":
            raise ValueError("odd")
        while job == "hang":
            pass
        return str(job)

    return do


def test_whatever_a_job_does_is_named_and_the_next_one_done(monkeypatch):
    monkeypatch.setattr(pool, "CPU_S", 0.5)
    jobs = ["die", "a", "fill", "raise", "hang", "b"]
    begin = time.monotonic()
    answers = {outcome.job: outcome.answer for outcome in pool.run(misbehave, jobs, 1)}
    assert answers.pop("raise").startswith("WRONG ValueError odd at ")
    assert answers.pop("fill").startswith("WRONG MemoryError")
    assert answers == {"die": "WRONG dies with -9", "a": "a", "hang": "WRONG hangs", "b": "b"}
    assert time.monotonic() - begin < 60
