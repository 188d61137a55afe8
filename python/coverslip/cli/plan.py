"""``coverslip convert --dry-run``: what would become of each slide."""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from coverslip.archive.candidates import Candidate
from coverslip.archive.discovery import Found
from coverslip.archive.ledger import Ledger, reading
from coverslip.archive.making import Making
from coverslip.archive.many import vault_of
from coverslip.archive.moves import Moves
from coverslip.archive.pool import LostWorkerError, Pool
from coverslip.archive.records import State
from coverslip.archive.registering import left_out_as
from coverslip.cli.archive import EXIT_FAILED, Choice
from coverslip.cli.guarded import guarded
from coverslip.cli.progress import notes_on, passed_of, size_of
from coverslip.cli.shown import shown
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from coverslip.errors import CoverslipError, PolicyError
from coverslip.frames import stored_bytes
from coverslip.model import RouteKind
from coverslip.slide import OpenedSlide, open, require_copy, require_spacing

_FRAME_EXTRA = 700
"""About what tables and the item of a frame take beside its tile."""


def dry_run(found: Found, out: Path, policy: Policy, custody: Custody, choice: Choice) -> int:
    """Print what would become of each slide, as it is looked at; nothing is written."""
    refused = done = aside = byte_count = room = 0
    write = _writer(choice)
    with ExitStack() as stack:
        pool = stack.enter_context(Pool(1))
        stack.push(lambda failed, *_: pool.kill() if failed else None)  # it reads on else
        ledger = _ledger(vault_of(custody, out), stack)
        making = moves = None
        if ledger is not None:
            making = Making(policy=policy, custody=custody, verify=choice.verify, salt=ledger.salt)
            moves = Moves(ledger, found.slides)
        for number, candidate in enumerate(found.slides, start=1):
            row: dict[str, object] = {
                "slide": _name(candidate, number, choice),
                "byte_count": candidate.byte_count,
            }
            if ledger and making and moves and not choice.overwrite:
                left_as = left_out_as(
                    ledger, candidate, making.of(candidate.path.absolute()), out, moves
                )
                row["done"], row["set_aside"] = left_as is State.DONE, left_as is State.QUARANTINED
            if row.get("done") or row.get("set_aside"):
                done += bool(row["done"])
                aside += bool(row["set_aside"])
            else:
                row |= _outlook(pool, candidate, policy)
                refused += "refused" in row
                byte_count += 0 if "refused" in row else candidate.byte_count
                room += int(str(row.get("room", 0)))
            write(row)
        rate = None if ledger is None else _measured_rate(ledger)
    free = _free(out)
    plan = {
        "slides": len(found.slides),
        "done": done,
        "set_aside": aside,
        "refused": refused,
        "byte_count": byte_count,
        "room_needed": room,
        "room_free": free,
        "seconds": None if rate is None else round(byte_count / rate),
        **passed_of(found),
    }
    if choice.as_json:
        sys.stdout.write("\n],\n" + json.dumps(plan, indent=2).removeprefix("{\n") + "\n")
    else:
        time_needed = "not known before slides were converted into this vault"
        if rate is not None:
            minutes = byte_count / rate / 60
            time_needed = f"about {minutes:.0f} minutes of one job, as earlier slides took"
        sys.stdout.write(
            f"{len(found.slides)} slides, {refused} would be refused, {done} are done already; "
            f"{f'{aside} are set aside; ' if aside else ''}{size_of(byte_count)} to convert\n"
            f"room: about {size_of(room)} needed, {size_of(free)} free\n"
            f"time: {time_needed}\n"
        )
        sys.stderr.writelines(f"{note}\n" for note in notes_on(found))
    if room > free:
        sys.stderr.write("error: the output has not enough room\n")
    return EXIT_FAILED if refused or room > free or found.unreadable else 0


def _writer(choice: Choice) -> Callable[[dict[str, object]], None]:
    """Return what prints a row; JSON is one document, printed in pieces."""
    if not choice.as_json:
        return _write_line
    sys.stdout.write('{\n"plan": [')
    mark = "\n"

    def write(row: dict[str, object]) -> None:
        nonlocal mark
        sys.stdout.write(mark + json.dumps(row))
        mark = ",\n"

    return write


def _write_line(row: dict[str, object]) -> None:
    sys.stdout.write(_line(row) + "\n")
    sys.stdout.flush()


def _line(row: dict[str, object]) -> str:
    if row.get("done"):
        return f"{row['slide']}: done already"
    if row.get("set_aside"):
        return f"{row['slide']}: set aside already"
    if "refused" in row:
        hint = f" ({row['hint']})" if row.get("hint") else ""
        return f"{row['slide']}: refused: {row['refused']}{hint}"
    routes = row["routes"]
    told = ", ".join(map(str, routes)) if isinstance(routes, list) else ""
    return f"{row['slide']}: {row['format']}: {told}"


def _outlook(pool: Pool, candidate: Candidate, policy: Policy) -> dict[str, object]:
    """Return what would become of a slide, read under the limits of a worker."""
    try:
        plan: dict[str, object] = pool.submit(plan_of, candidate.path, policy).result()
    except LostWorkerError:
        return {"refused": "the process that read it died", "hint": None}
    return plan


def plan_of(path: Path, policy: Policy) -> dict[str, object]:
    """Return what would become of a slide; whatever goes wrong is part of that."""
    try:
        with guarded(path):
            opened = open(path)
            require_spacing(opened.description, policy)
            slide, routes = opened.routed(policy)
            for number, route in enumerate(routes):
                require_copy(number, route)
    except CoverslipError as error:
        return {"refused": str(error), "hint": error.hint}
    except OSError as error:
        return {"refused": error.strerror or type(error).__name__, "hint": None}
    except Exception as error:  # noqa: BLE001 (its message may quote the slide)
        return {"refused": f"{type(error).__name__}: a defect of coverslip", "hint": None}
    kinds = [route.kind for route in routes]
    return {
        "format": slide.format,
        "routes": [str(kind) for kind in kinds],
        "room": _room(slide, kinds),
    }


def _room(slide: OpenedSlide, kinds: list[RouteKind]) -> int:
    """Return about how much the output of a slide will take."""
    total = 0
    for level, kind in zip(slide.levels, kinds, strict=True):
        planes = level.focal_planes
        frames = sum(plane.tiles.byte_counts.size for plane in planes)
        if kind is RouteKind.COPY:
            held = sum(int(plane.tiles.byte_counts.sum()) for plane in planes)
        else:
            held = stored_bytes(level)
        total += held + _FRAME_EXTRA * frames
    return total


def _free(out: Path) -> int:
    """Return how much room there is where the output will be."""
    place = out.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _ledger(vault: Path, stack: ExitStack) -> Ledger | None:
    try:
        return stack.enter_context(reading(vault))
    except PolicyError:
        return None


def _name(candidate: Candidate, number: int, choice: Choice) -> str:
    if not choice.show_paths:
        return f"slide {number}"
    return str(candidate.path) if choice.as_json else shown(candidate.path)


def _measured_rate(ledger: Ledger) -> float | None:
    """Return bytes a second of the slides that were converted before, if there were any."""
    byte_count, seconds = 0, 0.0
    for record in ledger.records(State.DONE):
        if record.seconds:
            byte_count, seconds = byte_count + record.byte_count, seconds + record.seconds
    return byte_count / seconds if seconds else None
