"""Converts slides with something unknown in them: ``python -m tests.privacy.injections``.

Each must be converted, and nothing of what was put in may come out. A slide is decided by its name
and a seed, so ``--only NAME --seed SEED --runs 1`` shows a finding again. Exit status 1 if there
was one.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import coverslip
from coverslip.deid.policy import Policy
from tests.hostile import pool
from tests.hostile.campaign import REAL, Original, jobs, originals, report
from tests.hostile.mutate import Draft, Mutated, Mutation
from tests.hostile.structure import parse
from tests.privacy.inject import KINDS, CannotInject, Words, new_words
from tests.privacy.search import encodings_of, places_of, survivors

CONVERTED = "converted"


def injection_of(path: Path, name: str, seed: int) -> tuple[Mutation, Words]:
    """Return what a seed puts into a slide, and the words that must not come out of it."""
    chance = random.Random(f"injection {name} {seed}")
    words = new_words(chance)
    with path.open("rb") as file:
        structure = parse(file, path.stat().st_size)
        for kind in chance.sample(KINDS, k=len(KINDS)):
            draft = Draft(structure, chance, ())
            try:
                kind(draft, words)
            except CannotInject:
                continue
            return Mutation((kind.__name__,), tuple(draft.patches), draft.tail, None), words
    raise AssertionError("nothing can be put into this slide")


def judge(path: Path, out: Path, words: Words, policy: Policy, seed: int) -> str:
    """Convert a slide and return what became of it; a sentence with WRONG is a finding."""
    secrets = [words.key, words.text]
    try:
        coverslip.convert(path, out, policy=policy, verify=seed % 8 == 1)
    except coverslip.CoverslipError as error:
        text = "".join(traceback.format_exception(error)) + str(error.hint)
        told = any(secret in text for secret in secrets)
        return f"WRONG refused{', and told' if told else ''}: {type(error).__name__}"
    else:
        left = survivors(secrets, places_of(out))
        return f"WRONG passed through into {sorted(left)}" if left else CONVERTED
    finally:
        shutil.rmtree(out, ignore_errors=True)
        for kind in ("vault", "quarantine"):
            shutil.rmtree(out.with_name(f"{out.name}.{kind}"), ignore_errors=True)


def attempt(original: Original, path: Path, out: Path, seed: int) -> str:
    """Put something into a slide for the time of one conversion, and judge that."""
    changed_file = original.changed(path, seed)
    injection, words = injection_of(changed_file, original.name, seed)
    changed = injection.tail + b"".join(data for _, data in injection.patches)
    if not any(form in changed for form in encodings_of(words.text)):
        wide = words.text.encode("utf-32-le"), words.text.encode("utf-32-be")
        if not any(form in changed for form in wide):
            return f"WRONG {injection.kinds[0]} put nothing in"
    with Mutated(changed_file, injection):
        policy = Policy(
            profile="research" if seed % 4 == 0 else "public",
            allow_pixel=True,
            allow_recode=original.recode,
        )
        answer = judge(path, out, words, policy, seed)
    return f"{answer} {injection.kinds[0]}"


def worker(found: list[Original], folder: Path, number: int) -> Callable[[tuple[str, int]], str]:
    """Return what does one job, on copies of the slides of its own."""
    own = folder / f"process-{number}-{os.getpid()}"
    own.mkdir()
    by_name = {original.name: original for original in found}

    def do(job: tuple[str, int]) -> str:
        name, seed = job
        original = by_name[name]
        path = own / name / original.path.name
        if not path.exists():
            path.parent.mkdir()
            original.copy_to(path.parent)
        return attempt(original, path, own / "out", seed)

    return do


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first injection")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", action="append", help="a slide's name, may be given again")
    options = parser.parse_args()
    shm = Path("/dev/shm")  # noqa: S108 (a folder in memory; the name in it is a new one)
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        folder = Path(name)
        # Real slides may lack what a conversion needs, and then are refused as they are.
        found = [slide for slide in originals(folder, options.only) if slide.name not in REAL]
        work = jobs(found, options.runs, options.seed)
        outcomes = pool.run(partial(worker, found, folder), work, options.processes)
        return report(outcomes, options.seed)


if __name__ == "__main__":
    sys.exit(main())
