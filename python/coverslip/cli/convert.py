"""``coverslip convert``."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from coverslip.cli.guarded import guarded
from coverslip.conversion import Result, convert
from coverslip.deid.custody import Custody
from coverslip.deid.identity import KEY_VARIABLE, Key, read_key, take_key_from_environment
from coverslip.deid.metadata import read_metadata
from coverslip.deid.policy import Link, Policy, read_policy
from coverslip.errors import QuarantineError, given
from coverslip.instances import OnProgress, Progress
from coverslip.quarantine import sweep_with_quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """What the operator wants to see."""

    progress: bool
    as_json: bool


def policy_from(path: Path | None, choices: dict[str, Any]) -> Policy:
    """Return the policy of a file and of the options that were given; options count more."""
    made = {name: value for name, value in choices.items() if value is not None}
    with given("the policy"):
        return Policy(**made) if path is None else read_policy(path, made)


def custody_from(
    key: Path | None,
    metadata: Path | None,
    vault: Path | None,
    recipient: str | None,
    policy: Policy,
) -> Custody:
    """Return what the operator has beside the slides, read from files and the environment."""
    with given("the key"):
        secret = _key(key, policy)
    with given("the metadata"):
        table = None if metadata is None else read_metadata(metadata)
    return Custody(key=secret, metadata=table, vault=vault, recipient=recipient)


def _key(file: Path | None, policy: Policy) -> Key | None:
    """Return the key of a file, else that of the environment where the policy uses one."""
    if file is not None or policy.link is Link.NONE:
        os.environ.pop(KEY_VARIABLE, None)  # for nobody who is started from here
        return None if file is None else read_key(file)
    return take_key_from_environment()


def tell_unused_options(given: Mapping[str, object]) -> None:
    """Say which options do nothing for one slide."""
    names = [f"--{name}" for name, value in given.items() if value]
    if names:
        sys.stderr.write(f"note: {', '.join(names)}: only of use for many slides\n")


def run(
    slide: Path,
    out: Path,
    *,
    policy: Policy,
    custody: Custody,
    show: Show,
    overwrite: bool,
    verify: bool,
    sync: bool,
) -> None:
    """Convert one slide and say what was written.

    The process is limited for good, as the workers of an archive are: it ends with the slide.
    What a killed conversion left in the output is removed first.
    """
    sweep_with_quarantine(out)
    with _telling_where(out), guarded(slide), _progress(show=show.progress) as on_progress:
        result = convert(
            slide,
            out,
            policy=policy,
            custody=custody,
            overwrite=overwrite,
            verify=verify,
            sync=sync,
            on_progress=on_progress,
        )
    unused = 0
    if custody.metadata is not None:
        unused = custody.metadata.assign([slide.absolute()]).rows_unused
    if show.as_json:
        described = result.to_dict() | {"metadata_rows_unused": unused}
        sys.stdout.write(json.dumps(described, indent=2) + "\n")
    else:
        _report(result, out, unused)


@contextmanager
def _telling_where(out: Path) -> Iterator[None]:
    """Say where a slide is set aside, by the operator's own words for the output."""
    try:
        yield
    except QuarantineError as error:
        if error.study_path is not None:
            folder = f"{out}.quarantine" if out.name else "OUT.quarantine"
            sys.stderr.write(f"set aside: {folder}/{error.study_path.name}\n")
        raise


def _report(result: Result, out: Path, unused: int) -> None:
    frames = result.frames
    counts = frames.copied, frames.stitched, frames.retiled, frames.pixel
    total = sum((*counts, frames.recoded, frames.blank, frames.picture))
    lines = [
        f"wrote {len(result.instances)} instances with {total} frames, "
        f"{sum(i.byte_count for i in result.instances) / 1e6:.1f} MB",
        f"  copied untouched: {frames.copied}",
    ]
    if frames.stitched:
        lines.append(f"  stitched of restart intervals, bytes untouched: {frames.stitched}")
    if frames.retiled:
        lines.append(f"  cut from larger pictures, coefficients untouched: {frames.retiled}")
    if frames.pixel:
        lines.append(f"  decoded and stored with a lossless codec: {frames.pixel}")
    if frames.recoded:
        lines.append(f"  composed and encoded anew, with a new loss: {frames.recoded}")
    if frames.blank:
        lines.append(f"  blank, because the slide has no tile there: {frames.blank}")
    if frames.absent:
        lines.append(f"  no frame, because the slide has no tile there: {frames.absent}")
    if frames.picture:
        lines.append(
            f"  label, overview or thumbnail, stored with a lossless codec: {frames.picture}"
        )
    if frames.truncated:
        lines.append(f"  with an end marker added: {frames.truncated}")
    verified = all(instance.blake3 is not None for instance in result.instances)
    # What was encoded with a new loss can only be compared with itself.
    with_what = "what was encoded" if frames.recoded else "the slide"
    lines.append(f"  read back and compared with {with_what}: {'all' if verified else 'no'}")
    checks = cast("dict[str, str]", result.certificate["checks"])
    if checks["pixel_text"] == "not_run" and checks["bar_codes"] != "not_run":
        lines.append("  text in the pixels: not read, for want of the extra ocr")
    lines.extend(f"note: {note}" for note in result.notes)
    if result.doubt is not None:
        lines.append(f"warning: {result.doubt}; look at it before you pass it on")
    if unused:
        lines.append(f"note: {unused} rows of the metadata fit no slide")
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
