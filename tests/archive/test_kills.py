"""The short form of `tests.archive.kills`."""

import random

from tests.archive.kills import kill_until_done


def test_killed_runs_end_with_every_slide_converted_exactly_once(tmp_path):
    seed = random.SystemRandom().getrandbits(32)
    killed, _ = kill_until_done(tmp_path, slides=6, kills=3, seed=seed)

    assert killed.total() == 3, seed
