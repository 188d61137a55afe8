"""Turn TIFF-based whole-slide images into de-identified DICOM without recoding a tile.

import coverslip

slide = coverslip.open("slide.svs")
result = coverslip.convert("slide.svs", "out/")
report = coverslip.verify("out/", source="slide.svs")
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coverslip.archive.many import convert_many
    from coverslip.archive.workers import Outcome
    from coverslip.conversion import Result, convert
    from coverslip.deid.custody import Custody
    from coverslip.deid.policy import Policy
    from coverslip.errors import (
        CoverslipError,
        LimitError,
        PolicyError,
        QuarantineError,
        SourceError,
        UnsupportedSlideError,
        VerificationError,
    )
    from coverslip.instances import FrameCounts, InstanceResult, Progress
    from coverslip.slide import OpenedSlide, open
    from coverslip.verification.check import verify
    from coverslip.verification.report import Survivor, VerifyReport

_HOMES = {
    "CoverslipError": "errors",
    "Custody": "deid.custody",
    "FrameCounts": "instances",
    "InstanceResult": "instances",
    "LimitError": "errors",
    "OpenedSlide": "slide",
    "Outcome": "archive.workers",
    "Policy": "deid.policy",
    "PolicyError": "errors",
    "Progress": "instances",
    "QuarantineError": "errors",
    "Result": "conversion",
    "SourceError": "errors",
    "Survivor": "verification.report",
    "UnsupportedSlideError": "errors",
    "VerificationError": "errors",
    "VerifyReport": "verification.report",
    "convert": "conversion",
    "convert_many": "archive.many",
    "open": "slide",
    "verify": "verification.check",
}

__all__ = [
    "CoverslipError",
    "Custody",
    "FrameCounts",
    "InstanceResult",
    "LimitError",
    "OpenedSlide",
    "Outcome",
    "Policy",
    "PolicyError",
    "Progress",
    "QuarantineError",
    "Result",
    "SourceError",
    "Survivor",
    "UnsupportedSlideError",
    "VerificationError",
    "VerifyReport",
    "__version__",
    "convert",
    "convert_many",
    "open",
    "verify",
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
