"""``coverslip doctor``."""

import importlib.metadata
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Literal

from coverslip import _core
from coverslip.conversion import convert
from coverslip.errors import CoverslipError
from coverslip.sample import write_sample

_PACKAGES = (
    "numpy",
    "tifffile",
    "pydicom",
    "imagecodecs",
    "pillow",
    "zxing-cpp",
    "typer",
    "rich",
    "jinja2",
)
_EXTRAS = {"ocr": ("rapidocr", "onnxruntime"), "age": ("pyrage",), "dask": ("distributed",)}
"""Packages of each extra that can be left out."""
_SELF_TEST_BYTES = 2_000_000


def run(*, as_json: bool) -> None:
    """Show versions and whether a sample can be converted and verified here."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    checks = {"jpeg": _self_test("jpeg"), "jpeg2000": _self_test("jpeg2000")}
    report: dict[str, object] = {
        "coverslip": _core.__version__,
        "core": "debug build: slow" if _core.IS_DEBUG_BUILD else "release build",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "extras": {name: _extra(packages) for name, packages in _EXTRAS.items()},
        "self_test": checks,
    }
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write(_text(report))
    if set(checks.values()) != {"passed"}:
        raise CoverslipError("the self-test failed")


def _extra(packages: tuple[str, ...]) -> str:
    """Return the versions of an extra's packages, or that it is not installed."""
    try:
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _self_test(codec: Literal["jpeg", "jpeg2000"]) -> str:
    """Convert and verify a sample; return ``passed`` or what went wrong."""
    with tempfile.TemporaryDirectory(prefix="coverslip-") as folder:
        slide = Path(folder) / "sample.svs"
        try:
            write_sample(slide, byte_count=_SELF_TEST_BYTES, compression=codec)
            result = convert(slide, Path(folder) / "out")
        except (CoverslipError, OSError) as error:
            return f"{type(error).__name__}: {error}"
    return "passed" if result.frames.copied > 0 else "nothing was copied"


def _text(report: dict[str, object]) -> str:
    lines = []
    for name, value in report.items():
        if isinstance(value, dict):
            lines.append(name.replace("_", "-"))
            lines.extend(f"  {key:<14}{item}" for key, item in value.items())
        else:
            lines.append(f"{name:<16}{value}")
    return "\n".join(lines) + "\n"
