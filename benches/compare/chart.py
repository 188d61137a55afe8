"""Draws wall times beside ``cp`` as bars."""

from importlib.util import find_spec
from pathlib import Path

from benches.compare.tables import COLD, WARM, Row, ratios, spread_of

COLOURS = {WARM: "#2a6f97", COLD: "#a9d6e5"}


def can_draw() -> bool:
    """Return whether matplotlib is there; it comes with the extra ``bench``."""
    return find_spec("matplotlib") is not None


def draw(rows: list[Row], path: Path, title: str) -> None:
    """Write an SVG: one bar a row and state of the cache, the median of its ratios."""
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and the same figures give the same bytes.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "coverslip"})
    from matplotlib import pyplot

    floor = rows[0]
    shown = [row for row in rows if row.missing is None and row.failed is None]
    states = [state for state in (WARM, COLD) if floor.costs[state]]
    figure, axes = pyplot.subplots(figsize=(8, 0.5 + 0.5 * len(shown)), layout="constrained")
    height = 0.8 / len(states)
    for number, state in enumerate(states):
        spreads = [spread_of(ratios(row, floor, state, lambda cost: cost.wall_s)) for row in shown]
        lengths = [spread.middle if spread else 0 for spread in spreads]
        at = [line + number * height for line in range(len(shown))]
        bars = axes.barh(at, lengths, height, label=f"{state} cache", color=COLOURS[state])
        axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    axes.set_yticks([line + 0.4 - height / 2 for line in range(len(shown))], map(_label, shown))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("wall time beside cp, median of the rounds (logarithmic)")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _label(row: Row) -> str:
    checked, flaws = row.checked, []
    if checked is not None:
        if checked.has_right_colours is False:
            flaws.append("wrong colours")
        if checked.identifiers_left:
            flaws.append(f"{checked.identifiers_left} identifiers left")
        if checked.validator_errors:
            flaws.append("invalid")
        if checked.levels < checked.levels_wanted:
            flaws.append("levels missing")
    return row.name + (f"\n({', '.join(flaws)})" if flaws else "")
