"""What a slide is and what may leave it, as plain frozen values.

`RawMetadata` holds what the source says, sealed; `CleanMetadata` holds what may be written.
They are different types on purpose: `coverslip.dicom` accepts only the second, and only
`coverslip.deid.scrub` makes one.
"""

from coverslip.model.instances import (
    CheckResult,
    CleanMetadata,
    CleanOpticalPath,
    CleanRegion,
    Fate,
    Finding,
    FrameFormat,
    InstanceSpec,
    PixelChecks,
    RouteKind,
    SealedFinding,
)
from coverslip.model.slides import (
    AssociatedImage,
    Coded,
    LabelSide,
    Level,
    Mosaic,
    OpticalPath,
    Picture,
    Raster,
    Region,
    Role,
    Slide,
    Spacing,
    StoredPixels,
    Strips,
    TileIndex,
    Uint64Array,
    one_after_another,
)
from coverslip.model.text import (
    ItemKind,
    OperatorText,
    Profile,
    RawMetadata,
    SourceItem,
    SourceText,
)

__all__ = [
    "AssociatedImage",
    "CheckResult",
    "CleanMetadata",
    "CleanOpticalPath",
    "CleanRegion",
    "Coded",
    "Fate",
    "Finding",
    "FrameFormat",
    "InstanceSpec",
    "ItemKind",
    "LabelSide",
    "Level",
    "Mosaic",
    "OperatorText",
    "OpticalPath",
    "Picture",
    "PixelChecks",
    "Profile",
    "Raster",
    "RawMetadata",
    "Region",
    "Role",
    "RouteKind",
    "SealedFinding",
    "Slide",
    "SourceItem",
    "SourceText",
    "Spacing",
    "StoredPixels",
    "Strips",
    "TileIndex",
    "Uint64Array",
    "one_after_another",
]
