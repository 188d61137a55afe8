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
_SHARES = {"VOLUME": 0.5, "OVERVIEW": 0.25, "LABEL": 0.25}
"""Of the bytes that the pictures of one slide may have."""
_EDGE = 360


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
        Where it goes; with originals, or pictures that may identify, it is for its owner only.
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
    is_private = originals is not None or any(slide.is_in_doubt for slide in collected.slides)
    mode = 0o600 if is_private else 0o666
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
        pictures=_pictures(shown, originals),
        most_pictures=LIMITS.report_pictures,
        failures=failures,
        unreadable=collected.unreadable,
        originals=originals,
        in_doubt=sum(slide.is_in_doubt for slide in collected.slides),
        words=totals,
    )


def _pictures(
    slides: Sequence[ReportedSlide], originals: dict[str, Original] | None
) -> list[dict[str, Any]]:
    """Return the pictures of the first slides: lowest levels, and labels and overviews if any."""
    pictures: list[dict[str, Any]] = []
    with PictureMaker() as maker:
        for number, slide in enumerate(slides, start=1):
            chosen = _chosen(slide)
            if len(pictures) + len(chosen) > LIMITS.report_pictures:
                break
            for instance in chosen:
                is_hidden = originals is None and _is_as_scanned(slide, instance)
                pictures.append(
                    {
                        "number": number,
                        "role": instance.role,
                        "columns": instance.columns,
                        "rows": instance.rows,
                        "is_hidden": is_hidden,
                        "jpeg": None if is_hidden else _jpeg(maker, instance),
                        "before": _before(slide, instance, originals or {}),
                    }
                )
    return pictures


def _chosen(slide: ReportedSlide) -> list[Instance]:
    """Return the lowest level of the first series, and labels and overviews.

    A thumbnail shows what the lowest level does.
    """
    levels = [level for level in slide.levels if level.series == 1]
    lowest = sorted(levels, key=lambda level: level.columns * level.rows)[:1]
    others = {i.role: i for i in slide.instances if i.role in _SHARES and i.role != "VOLUME"}
    return [*lowest, *others.values()]


def _is_as_scanned(slide: ReportedSlide, instance: Instance) -> bool:
    """Tell whether a picture may show who the patient is, as files of `care` do."""
    options = slide.certificate["policy"]["options"]
    is_kept = options.get(instance.role.lower()) == "keep"
    is_original = instance.record["image_type"][0] == "ORIGINAL"
    return instance.role != "VOLUME" and (is_kept or is_original)


def _before(slide: ReportedSlide, instance: Instance, originals: dict[str, Original]) -> str | None:
    """Return the overview before it was masked, where the page has originals."""
    original = originals.get(slide.pseudonym)
    is_masked = instance.role == "OVERVIEW" and not _is_as_scanned(slide, instance)
    if original is None or original.overview is None or not is_masked:
        return None
    return base64.b64encode(original.overview).decode("ascii")


def _jpeg(maker: PictureMaker, instance: Instance) -> str | None:
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
        edge=_EDGE,
        most_bytes=int(LIMITS.report_picture_bytes * _SHARES.get(instance.role, 0)),
    )
    return None if jpeg is None else base64.b64encode(jpeg).decode("ascii")
