"""Writes the page: what was converted, what became of what was found, what was not checked."""

import base64
import errno
import hashlib
import os
import secrets
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from coverslip import _core
from coverslip.errors import CoverslipError
from coverslip.limits import LIMITS
from coverslip.report import totals
from coverslip.report.collect import (
    Collected,
    Failure,
    Instance,
    Original,
    ReportedSlide,
    read_regular,
)
from coverslip.report.pictures import PictureMaker

_TEMPLATE, _STYLE = "report.html", "report.css"
_VOLUME_SHARE = 0.7
"""Of the bytes of a slide's pictures, where it has an overview too."""
_EDGE, _OVERVIEW_EDGE = 360, 320


def write_report(
    collected: Collected,
    path: Path,
    *,
    failures: Sequence[Failure] = (),
    originals: dict[str, Original] | None = None,
    overwrite: bool = False,
) -> int:
    """Write the page and return how many bytes it has; the same output gives the same page.

    Parameters
    ----------
    collected
        What the page is about.
    path
        Where it goes; with originals it is for its owner only.
    failures
        Slides of the run that were not converted.
    originals
        By slide pseudonym: for a page that must not be shared.
    overwrite
        Whether a file of that name is replaced.

    Raises
    ------
    FileExistsError
        If it may not be replaced.
    OSError
        If it cannot be written.
    """
    text = render(collected, failures=failures, originals=originals).encode("utf-8")
    if path.exists() and not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    temporary = path.with_name(f".coverslip-{secrets.token_hex(8)}")
    mode = 0o666 if originals is None else 0o600
    try:
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb"
        ) as file:
            file.write(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(text)


def render(
    collected: Collected,
    *,
    failures: Sequence[Failure] = (),
    originals: dict[str, Original] | None = None,
) -> str:
    """Return the page as HTML; see `write_report`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("coverslip.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"thousands": totals.thousands, "size": totals.size}
    style = resources.files("coverslip.report").joinpath("templates", _STYLE).read_text("utf-8")
    shown = collected.slides[: LIMITS.report_slides]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(_TEMPLATE).render(
        version=_core.__version__,
        style=style,
        style_digest=digest,
        totals=totals.totals_of(collected, failures),
        slides=shown,
        unlisted=len(collected.slides) - len(shown),
        pictures=_pictures(shown, originals or {}),
        most_pictures=LIMITS.report_pictures,
        failures=failures,
        unreadable=collected.unreadable,
        originals=originals,
        words=totals,
    )


def _pictures(
    slides: Sequence[ReportedSlide], originals: dict[str, Original]
) -> list[dict[str, Any]]:
    """Return the pictures of the first slides: lowest levels, and overviews that were written."""
    pictures: list[dict[str, Any]] = []
    with PictureMaker() as maker:
        for number, slide in enumerate(slides, start=1):
            chosen = _chosen(slide)
            if len(pictures) + len(chosen) > LIMITS.report_pictures:
                break
            for instance in chosen:
                is_overview = instance.role == "OVERVIEW"
                original = originals.get(slide.pseudonym) if is_overview else None
                before = original.overview if original is not None else None
                pictures.append(
                    {
                        "number": number,
                        "is_overview": is_overview,
                        "columns": instance.columns,
                        "rows": instance.rows,
                        "jpeg": _jpeg(maker, instance, _share(instance, len(chosen))),
                        "before": None if before is None else base64.b64encode(before).decode(),
                    }
                )
    return pictures


def _chosen(slide: ReportedSlide) -> list[Instance]:
    """Return the lowest level of the first series, and whatever is no level."""
    levels = [i for i in slide.instances if i.role == "VOLUME" and i.series == 1]
    lowest = sorted(levels, key=lambda level: level.columns * level.rows)[:1]
    return lowest + [i for i in slide.instances if i.role != "VOLUME"][:1]


def _share(instance: Instance, count: int) -> int:
    if count == 1:
        return LIMITS.picture_bytes
    share = _VOLUME_SHARE if instance.role == "VOLUME" else 1 - _VOLUME_SHARE
    return int(LIMITS.picture_bytes * share)


def _jpeg(maker: PictureMaker, instance: Instance, most_bytes: int) -> str | None:
    """Return a small JPEG in Base64, or ``None`` if there is none to be had."""
    if instance.byte_count is None or instance.byte_count > LIMITS.pictured_bytes:
        return None
    try:
        data = read_regular(instance.path, LIMITS.pictured_bytes)
    except CoverslipError:
        return None
    jpeg = maker.jpeg_of(
        data,
        most_pixels=LIMITS.pictured_pixels,
        edge=_EDGE if instance.role == "VOLUME" else _OVERVIEW_EDGE,
        most_bytes=most_bytes,
    )
    return None if jpeg is None else base64.b64encode(jpeg).decode("ascii")
