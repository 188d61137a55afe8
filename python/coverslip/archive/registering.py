"""Enters slides in the ledger, and tells which of them are to be converted, and why once more."""

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from coverslip.archive.candidates import Candidate
from coverslip.archive.database import real_path
from coverslip.archive.ledger import Ledger
from coverslip.archive.making import UNVERIFIED, difference, is_vouched_for
from coverslip.archive.moves import Moves, is_gone
from coverslip.archive.records import SlideRecord, State
from coverslip.archive.rows import Rows
from coverslip.archive.states import quick_digest
from coverslip.archive.turns import Turns
from coverslip.quarantine import is_set_aside
from coverslip.sets import files_of

_OTHER_STATE = "of another state of the slide"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What a run has to do."""

    turns: Turns
    """The slides that are to be converted, in their order."""
    found: int
    byte_count: int
    """Of the slides that are to be converted."""
    again: Counter[str] = field(default_factory=Counter)
    """How many of those that were done are to be converted again for which reason."""
    moved: int = 0
    """How many that were done lie under another path than before."""
    set_aside: int = 0
    """How many are left out since they are set aside and unchanged, and nobody vouches."""
    left: int = 0
    """How many of those leave what they were before, since which studies it is is not known."""


def register(
    ledger: Ledger,
    candidates: Iterable[Candidate],
    made_with: Callable[[Path], str],
    out: Path,
    *,
    again: bool = False,
) -> Registered:
    """Enter slides, and return those that are to be converted, in order.

    A slide that is done is left out if nothing that decides over its outputs has changed, and
    they are there; with ``again`` none is left out. What was never converted and is no longer
    there is noted as gone.

    Parameters
    ----------
    ledger
        Which holds what became of slides before.
    candidates
        The slides; they are gone through more than once.
    made_with
        Tells for the path of a slide what decides over its outputs, see `Making`.
    out
        Where the outputs are.
    again
        Whether what is done is converted again too.
    """
    rows, turns, moves = ledger.rows, Turns(ledger.rows.connection), Moves(ledger, candidates)
    reasons = Counter[str]()
    found = byte_count = left = moved = aside = 0
    with rows.change():
        _note_gone(rows)
        for candidate in candidates:
            found += 1
            now = made_with(candidate.path.absolute())
            record = rows.by_place(candidate.path)
            if record is None and (before := moves.row_of(candidate)) is not None:
                record = moves.follow(before, candidate)
                moved += 1
            if record is None:
                turns.add(_enter(rows, candidate, now))
            else:
                reason = "on demand" if again else _why_again(ledger, record, candidate, now, out)
                if reason is None:
                    aside += record.state is State.QUARANTINED
                    continue
                if record.state is State.DONE:
                    reasons[reason] += 1
                left += record.is_unlinked
                _renew(rows, record, candidate, now)
                turns.add(record.number)
            byte_count += candidate.byte_count
    return Registered(
        turns=turns,
        found=found,
        byte_count=byte_count,
        again=reasons,
        moved=moved,
        set_aside=aside,
        left=left,
    )


def left_out_as(
    ledger: Ledger, candidate: Candidate, made_with: str, out: Path, moves: Moves
) -> State | None:
    """Return in which state a run would leave a slide, ``None`` if it would convert it."""
    record = ledger.rows.by_place(candidate.path)
    if record is None:
        record = moves.row_of(candidate)
        if record is not None and not record.is_unlinked:
            # A moved slide has the time that it has there.
            record = replace(record, mtime_ns=candidate.mtime_ns)
    if record is None or _why_again(ledger, record, candidate, made_with, out) is not None:
        return None
    return record.state


def _why_again(
    ledger: Ledger, record: SlideRecord, candidate: Candidate, made_with: str, out: Path
) -> str | None:
    """Return why a slide is to be converted once more, ``None`` if it is done and unchanged.

    One that is set aside is done as long as nobody vouches for it.
    """
    outputs, links = record.outputs, ledger.links
    if record.state is State.QUARANTINED:
        waits = is_set_aside(out, record.set_aside) and not is_vouched_for(made_with)
        is_same = links.is_stamp(record, candidate.byte_count, candidate.mtime_ns)
        return None if waits and is_same and not _difference(record, made_with) else "unfinished"
    if record.state is not State.DONE or (outputs is None and not record.is_unlinked):
        return "unfinished"
    if not links.is_stamp(record, candidate.byte_count, candidate.mtime_ns):
        return _OTHER_STATE
    reason = _difference(record, made_with)
    if reason is None and outputs is not None and not outputs.are_in(out):
        reason = "and are incomplete"
    if reason is None and record.quick_digest is not None:
        try:
            quick = quick_digest(files_of(candidate.path))
        except OSError:
            return _OTHER_STATE
        reason = None if links.is_quick(record, quick) else _OTHER_STATE
    return reason


def _difference(record: SlideRecord, made_with: str) -> str | None:
    """Return why what a slide was made with will not do now, in words."""
    # Of what the first version wrote nothing but the policy is known.
    before = record.made_with or json.dumps({"policy": record.policy_sha256})
    return difference(before, made_with)


def _enter(rows: Rows, candidate: Candidate, made_with: str) -> int:
    return rows.enter(
        path=os.fsencode(candidate.path.absolute()),
        real=real_path(candidate.path),
        byte_count=candidate.byte_count,
        mtime_ns=candidate.mtime_ns,
        state=State.WAITING,
        made_with=made_with,
        seed=secrets.token_bytes(32),
    )


def _renew(rows: Rows, record: SlideRecord, candidate: Candidate, made_with: str) -> None:
    """Set a slide to waiting; one that may have got names keeps them.

    One that may meet what it was before, whose names are not known, counts as tried.
    """
    same = (candidate.byte_count, candidate.mtime_ns) == (record.byte_count, record.mtime_ns)
    differs = _difference(record, made_with) not in (None, UNVERIFIED)
    keeps = record.seed is not None and same and not differs
    stale = record.outputs or record.stale
    rows.set(
        record.number,
        path=os.fsencode(candidate.path.absolute()),
        real=real_path(candidate.path),
        byte_count=candidate.byte_count,
        mtime_ns=candidate.mtime_ns,
        state=State.WAITING,
        reason=None,
        hint=None,
        attempts=record.attempts if keeps else int(record.is_unlinked),
        seed=record.seed if keeps else secrets.token_bytes(32),
        made_with=made_with,
        outputs=None,
        stale=None if stale is None else stale.to_json(),
    )


def _note_gone(rows: Rows) -> None:
    """Note which of the slides that are not done are no longer there."""
    for record in rows.some("state NOT IN (?, ?)", State.DONE, State.GONE):
        if is_gone(record.path):
            before = f"{record.state}: {record.reason}" if record.reason else record.state
            reason = f"the slide is no longer there; it was {before}"
            rows.set(record.number, state=State.GONE, reason=reason, hint=None)
