"""A run over many slides from its beginning to its end, and what has to hold before it begins."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path

from coverslip.archive.candidates import Candidates
from coverslip.archive.claim import claimed
from coverslip.archive.discovery import discover
from coverslip.archive.lease import lease_in, leased
from coverslip.archive.ledger import open_ledger
from coverslip.archive.making import Making
from coverslip.archive.registering import register
from coverslip.archive.run import Run
from coverslip.archive.workers import Outcome
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.vault import vault_beside
from coverslip.guard import core_count
from coverslip.quarantine import (
    quarantine_beside,
    studies_in_quarantine,
    sweep_with_quarantine,
)


def convert_many(
    paths: Iterable[str | PathLike[str]] | str | PathLike[str],
    out_dir: str | PathLike[str],
    *,
    policy: Policy | None = None,
    custody: Custody | None = None,
    executor: Executor | None = None,
    jobs: int | None = None,
    verify: bool = True,
    sync: bool = True,
    overwrite: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Iterator[Outcome]:
    """Convert many slides; yield what became of each as it ends.

    A ledger in the vault remembers it. Running this again leaves out what is done and unchanged,
    or set aside and not vouched for, and tries the rest. A slide that fails never stops the others.
    Of one that is set aside ``set_aside`` of the outcome names the study in the quarantine; of one
    that was written all the same ``outputs.doubt`` says what its levels show.

    Parameters
    ----------
    paths
        Slides, folders, lists (``*.txt``) and patterns; see `coverslip.archive.discovery`.
    out_dir
        Folder for the studies.
    policy, custody
        As for `coverslip.convert`. The ledger lies in the custody's vault, by default
        ``OUT.vault`` beside the output, under `public` too; it holds the paths of the slides.
        Where `keeps_links` says no, those that are done lose theirs.
    executor
        Who does the work, any `concurrent.futures.Executor`; a pool of processes by default.
        Elsewhere the same folders must be reachable under the same names.
    jobs
        Processes of the pool, or slides that the executor works on at a time; by default as many
        as there are cores.
    verify, sync
        As for `coverslip.convert`.
    overwrite
        Whether what is done is converted again too; it is replaced when the new is complete.
    include, exclude
        Patterns for what is found in folders.

    Raises
    ------
    PolicyError
        If another run has the ledger, there is nothing at a path, a row of the metadata names
        several slides, or the output cannot be written.
    StoppedError
        If the disk is full, or the executor gave slides up; those that had no turn are waiting in
        the ledger.
    KeyboardInterrupt
        If SIGINT, SIGTERM or SIGHUP ended it, which the main thread sees to: after the slides in
        hand, and at once when it comes again.
    """
    given = [paths] if isinstance(paths, str | PathLike) else list(paths)
    chosen = [Path(fspath(path)) for path in given]
    out, custody = Path(fspath(out_dir)), custody or Custody()
    vault = vault_of(custody, out)
    without = (out, vault, quarantine_beside(out))
    with discover(chosen, include=include, exclude=exclude, without=without) as found:
        for trouble in found.troubles():
            warnings.warn(trouble, stacklevel=2)
        if not found.slides:
            return
        with open_run(
            found.slides,
            out,
            policy or Policy(),
            custody,
            executor=executor,
            jobs=jobs,
            verify=verify,
            sync=sync,
            overwrite=overwrite,
        ) as run:
            yield from run.convert()


def vault_of(custody: Custody, out: Path) -> Path:
    """Return the folder that holds the ledger."""
    return custody.vault or vault_beside(out)


def keeps_links(custody: Custody, policy: Policy) -> bool:
    """Tell whether the ledger may say which study a slide became.

    Under `public` nobody keeps that who does not ask for a vault, and beside an encrypted vault
    it would stand in clear.
    """
    is_asked_for = policy.profile is not Profile.PUBLIC or custody.vault is not None
    return is_asked_for and custody.recipient is None


@contextmanager
def open_run(
    candidates: Candidates,
    out: Path,
    policy: Policy,
    custody: Custody,
    *,
    executor: Executor | None = None,
    jobs: int | None = None,
    verify: bool = True,
    sync: bool = True,
    overwrite: bool = False,
) -> Iterator[Run]:
    """Yield a run over slides that were found; its ledger is locked, and it stops on signals.

    Raises
    ------
    PolicyError
        If another run has the ledger, a row of the metadata names several of the slides, or the
        output cannot be written.
    """
    vault, links = vault_of(custody, out), keeps_links(custody, policy)
    if custody.metadata is not None:
        custody.metadata.assign(candidate.path.absolute() for candidate in candidates)
    # A worker may have another working directory.
    out = out.absolute()
    if custody.vault is not None:
        custody = replace(custody, vault=custody.vault.absolute())
    with (
        open_ledger(vault, out, keeps_links=links) as ledger,
        claimed(out, ledger.token),
        ExitStack() as stack,
    ):
        sweep_with_quarantine(out)
        for record in ledger.superseded():
            if record.outputs is not None and record.stale is not None:  # killed before this
                record.stale.remove_but(record.outputs, out)
                ledger.forget_stale(record.number)
        if not links:
            ledger.links.cut_all()
        making = Making(policy=policy, custody=custody, verify=verify, salt=ledger.salt)
        registered = register(ledger, candidates, making.of, out, again=overwrite)
        yield Run(
            ledger=ledger,
            out=out,
            policy=policy,
            custody=custody,
            executor=executor,
            verify=verify,
            sync=sync,
            jobs=jobs or core_count(),
            overwrite=overwrite,
            registered=registered,
            strays=len(studies_in_quarantine(out) - ledger.studies_set_aside()),
            missing=sum(not study.are_in(out) for study in ledger.links.studies()),
            # Where there is nothing to do, nothing has to be written either.
            lease=stack.enter_context(leased(out)) if registered.turns else lease_in(out),
        )
