"""Puts what was measured and what was checked into one table."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from benches.compare.checks import Checked
from benches.compare.measure import Cost

WARM, COLD = "warm", "cold"


@dataclass(kw_only=True)
class Row:
    """One way to get a copy of a slide."""

    name: str
    version: str = ""
    missing: str | None = None
    """How to install it, if it is not on this machine."""
    failed: str | None = None
    checked: Checked | None = None
    costs: dict[str, list[Cost]] = field(default_factory=lambda: {WARM: [], COLD: []})

    def to_dict(self) -> dict[str, object]:
        """Return what is fit for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The smallest of some numbers and their median."""

    least: float
    middle: float

    def __str__(self) -> str:
        return f"{_short(self.least)} / {_short(self.middle)}"


def spread_of(numbers: Iterable[float]) -> Spread | None:
    """Return the spread of some numbers, or ``None`` if there are none."""
    held = list(numbers)
    return Spread(least=min(held), middle=statistics.median(held)) if held else None


def ratios(row: Row, floor: Row, state: str, of: Callable[[Cost], float]) -> list[float]:
    """Return what a row took beside another one in each round."""
    pairs = zip(row.costs[state], floor.costs[state], strict=False)
    return [of(cost) / of(other) for cost, other in pairs]


def markdown(rows: list[Row], slide_bytes: int) -> str:
    """Return the table: what an output is worth first, then what it took."""
    floor = rows[0]
    states = [state for state in (WARM, COLD) if floor.costs[state]]
    heads = ["", "levels", "frames kept", "colours", "pictures beside", "identifiers left"]
    heads += ["validator errors", "slide's name in names"]
    for state in states:
        heads += [f"{state}: wall s", "x cp", "CPU x cp"]
    heads += ["peak MB", "read", "written"]
    lines = [heads, ["---"] * len(heads)]
    lines += [_cells(row, floor, states, slide_bytes) for row in rows]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return table + _absent(rows)


def _cells(row: Row, floor: Row, states: list[str], slide_bytes: int) -> list[str]:
    if row.missing is not None:
        return [row.name, "not installed", *[""] * (9 + 3 * len(states))]
    if row.failed is not None:
        return [_named(row), f"failed: {row.failed}", *[""] * (9 + 3 * len(states))]
    cells = [_named(row), *_worth(row.checked)]
    for state in states:
        cells += [
            _shown(spread_of(cost.wall_s for cost in row.costs[state])),
            _shown(spread_of(ratios(row, floor, state, lambda cost: cost.wall_s))),
            _shown(spread_of(ratios(row, floor, state, lambda cost: cost.cpu_s))),
        ]
    costs = [cost for state in states for cost in row.costs[state]]
    if not costs:  # no rounds: only the checks were wanted
        return [*cells, "", "", ""]
    written = row.checked.byte_count if row.checked else slide_bytes
    read = statistics.median(cost.read_mb for cost in costs) * 1e6 / slide_bytes
    wrote = statistics.median(cost.written_mb for cost in costs) * 1e6 / written
    return [*cells, f"{max(cost.peak_mb for cost in costs):.0f}", f"{read:.2f}", f"{wrote:.2f}"]


def _named(row: Row) -> str:
    return f"{row.name} {row.version}".strip()


def _worth(checked: Checked | None) -> list[str]:
    if checked is None:
        return ["", "same bytes", "", "", "", "", ""]
    kept, difference = checked.frames_kept, checked.colour_difference
    colours = "not checked"
    if difference is not None:
        colours = f"{'right' if checked.has_right_colours else 'WRONG'} ({difference:.1f})"
    left = checked.identifiers_left
    errors = checked.validator_errors
    bound = ", not all files done" if checked.validator_unfinished else ""
    return [
        f"{checked.levels} of {checked.levels_wanted}",
        "not tiled" if kept is None else f"{kept} of {checked.frames_wanted}",
        colours,
        ", ".join(checked.pictures).lower() or "none",
        "not known" if left is None else f"{left} of {checked.identifiers_planted}",
        "not checked" if errors is None else f"{errors}{bound}",
        "yes" if checked.tells_name else "no",
    ]


def _shown(spread: Spread | None) -> str:
    return "" if spread is None else str(spread)


def _short(number: float) -> str:
    return f"{number:.2f}" if number < 10 else f"{number:.1f}"


def _absent(rows: list[Row]) -> str:
    lines = [f"- {row.name}: {row.missing}" for row in rows if row.missing is not None]
    return "\n\nNot installed here:\n\n" + "\n".join(lines) if lines else ""


def beside_others(rows: list[Row]) -> str:
    """Return how much longer other converters took than coverslip, each beside each."""
    ran = [row for row in rows if row.costs[WARM] and row.checked is not None]
    ours = [row for row in ran if row.name.startswith("coverslip")]
    others = [row for row in ran if row not in ours]
    if not ours or not others:
        return ""
    heads = ["times as long as", *(f"{row.name}: {s}" for row in others for s in (WARM, COLD))]
    lines = [heads, ["---"] * len(heads)]
    for row in ours:
        lines.append([row.name])
        for other in others:
            lines[-1] += [
                _shown(spread_of(ratios(other, row, state, lambda cost: cost.wall_s)))
                for state in (WARM, COLD)
            ]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{table}\n\nOther converters beside coverslip in the same round, smallest / median.\n"


LEGEND = """\
Frames kept: frames whose entropy-coded bytes equal those of the slide's tile in their place.
Colours: sample frames, decoded by libjpeg-turbo or OpenJPEG as their headers say, beside what
OpenSlide reads of the slide; in parentheses the mean difference of samples, from 0 to 255.
Identifiers left: of those that `coverslip sample` plants, found in any file or file name.
Validator errors: lines of `dciodvfy -new` that begin with Error, over all files.
Times: smallest / median; ratios are to `cp` in the same round.
Peak MB: resident memory of the whole process tree; in the running interpreter, what comes on top.
Read and written: bytes of system calls beside the slide's and the output's size; what is read
through a mapping of the file is not counted.
"""
