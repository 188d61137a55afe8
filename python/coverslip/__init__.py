"""Turn TIFF-based whole-slide images into de-identified DICOM without recoding a tile.

import coverslip

slide = coverslip.open("slide.svs")
result = coverslip.convert("slide.svs", "out/")
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coverslip.conversion import FrameCounts, InstanceResult, Progress, Result, convert
    from coverslip.errors import (
        CoverslipError,
        LimitError,
        PolicyError,
        QuarantineError,
        SourceError,
        UnsupportedSlideError,
        VerificationError,
    )
    from coverslip.slide import OpenedSlide, open

_HOMES = {
    "CoverslipError": "errors",
    "FrameCounts": "conversion",
    "InstanceResult": "conversion",
    "LimitError": "errors",
    "OpenedSlide": "slide",
    "PolicyError": "errors",
    "Progress": "conversion",
    "QuarantineError": "errors",
    "Result": "conversion",
    "SourceError": "errors",
    "UnsupportedSlideError": "errors",
    "VerificationError": "errors",
    "convert": "conversion",
    "open": "slide",
}

__all__ = [
    "CoverslipError",
    "FrameCounts",
    "InstanceResult",
    "LimitError",
    "OpenedSlide",
    "PolicyError",
    "Progress",
    "QuarantineError",
    "Result",
    "SourceError",
    "UnsupportedSlideError",
    "VerificationError",
    "__version__",
    "convert",
    "open",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: pydicom and tifffile are slow to load."""
    if name == "__version__":
        return importlib.import_module("coverslip._core").__version__
    if name not in _HOMES:
        raise AttributeError(f"module 'coverslip' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"coverslip.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
