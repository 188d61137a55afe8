"""``coverslip convert``."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coverslip.colour import Samples
from coverslip.conversion import OnProgress, Overview, Progress, Result, convert


def run(
    slide: Path,
    out: Path,
    *,
    profile: str,
    mpp_um: float | None,
    colour: Samples | None,
    overview: Overview,
    pixels_attested: str | None,
    verify: bool,
    show_progress: bool,
    as_json: bool,
) -> None:
    """Convert one slide and say what was written."""
    with _progress(show=show_progress) as on_progress:
        result = convert(
            slide,
            out,
            profile=profile,
            mpp_um=mpp_um,
            colour=colour,
            overview=overview,
            pixels_attested=pixels_attested,
            verify=verify,
            on_progress=on_progress,
        )
    if as_json:
        sys.stdout.write(json.dumps(result.to_dict(), indent=2) + "\n")
    else:
        _report(result, out)


def _report(result: Result, out: Path) -> None:
    frames = result.frames
    lines = [
        f"wrote {len(result.instances)} instances with "
        f"{frames.copied + frames.retiled + frames.blank + frames.masked} frames, "
        f"{sum(i.byte_count for i in result.instances) / 1e6:.1f} MB",
        f"  copied untouched: {frames.copied}",
    ]
    if frames.retiled:
        lines.append(f"  cut from larger pictures, coefficients untouched: {frames.retiled}")
    if frames.blank:
        lines.append(f"  blank, because the slide has no tile there: {frames.blank}")
    if frames.masked:
        lines.append(f"  overview, its label painted over: {frames.masked}")
    if frames.truncated:
        lines.append(f"  with an end marker added: {frames.truncated}")
    verified = all(instance.sha256 is not None for instance in result.instances)
    lines.append(f"  read back and compared with the slide: {'all' if verified else 'no'}")
    lines.extend(f"note: {note}" for note in result.notes)
    sys.stderr.write("\n".join(lines) + "\n")
    # The folder is the operator's own word; below it there are only UIDs.
    sys.stdout.write(f"{out / result.study_path.name}\n")


@contextmanager
def _progress(*, show: bool) -> Iterator[OnProgress | None]:
    """Yield what draws the progress on a terminal; elsewhere nothing is drawn."""
    if not show or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading the slide", total=None)

        def draw(progress: Progress) -> None:
            bar.update(
                task,
                description=f"slide 1, level {progress.level}: {progress.stage}",
                completed=progress.done,
                total=progress.total,
            )

        yield draw
