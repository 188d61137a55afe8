"""The options of the commands: their words, and what the help says of them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Colour(StrEnum):
    """What the samples of three-component tiles are."""

    RGB = "rgb"
    YCBCR = "ycbcr"


class Label(StrEnum):
    """What becomes of the label."""

    DROP = "drop"
    SUBSTITUTE = "substitute"
    KEEP = "keep"


class Overview(StrEnum):
    """What becomes of the picture of the whole glass."""

    DROP = "drop"
    MASK = "mask"
    KEEP = "keep"


class Thumbnail(StrEnum):
    """What becomes of the scanner's small picture of the scan."""

    DROP = "drop"
    KEEP = "keep"


class J2kYcc(StrEnum):
    """What becomes of YCbCr in JPEG 2000 that its own transformation does not know of."""

    COPY = "copy"
    MCT = "mct"
    PIXEL = "pixel"


class SampleCompression(StrEnum):
    """Codec of the sample's tiles."""

    JPEG = "jpeg"
    JPEG2000 = "jpeg2000"


SlideArgument = Annotated[Path, typer.Argument(metavar="SLIDE", help="The slide's TIFF file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ColourOption = Annotated[
    Colour | None,
    typer.Option(help="What the samples are, where the slide's own signs contradict each other."),
]

PixelOption = Annotated[
    bool,
    typer.Option(
        "--allow-pixel",
        help="Decode tiles that cannot be frames as they are (LZW, Deflate, WebP ...) and store "
        "their pixels with a lossless codec; without it such a slide is refused.",
    ),
]
RecodeOption = Annotated[
    int | None,
    typer.Option(
        "--allow-recode",
        metavar="QUALITY",
        min=1,
        max=100,
        help="Where tiles only fit together once they are decoded (Ventana BIF that overlaps), "
        "compose them and encode the picture as JPEG of this quality: a new loss, declared so.",
    ),
]
J2kYccOption = Annotated[
    J2kYcc | None,
    typer.Option(
        help="YCbCr in JPEG 2000 (Aperio 33003): mct switches its colour transformation on, copy "
        "declares it as it is, pixel decodes it; mct where that can be, else copy, if left."
    ),
]
DeflatedOption = Annotated[
    bool,
    typer.Option(
        "--deflated-frames",
        help="Copy Deflate tiles without a predictor to frames of Deflated Image Frame Compression "
        "(1.2.840.10008.1.2.8.1), which few readers know; they need not be decoded then.",
    ),
]
SparseOption = Annotated[
    bool,
    typer.Option(
        "--sparse",
        help="Write no blank frame where the slide has no tile: such a level is TILED_SPARSE and "
        "tells of each frame where it lies.",
    ),
]
MaxInstanceSizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Divide a level whose file would be larger, for example than 2GB, among several: a "
        "concatenation. Not every reader puts these together.",
    ),
]
FramesOption = Annotated[
    str | None,
    typer.Option(
        metavar="auto|native|N",
        help="Side of the frames that the one JPEG of an NDPI level is cut into; native for whole "
        "restart intervals, of which no JPEG is coded anew; auto, the default, for those where "
        "they are no wider than 2048 pixels, else 1024.",
    ),
]
IdentityOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The age identity that opens an encrypted vault."),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|-",
        help="The passphrase that opens an encrypted vault: a file's first line, or - to be asked; "
        "COVERSLIP_VAULT_PASSPHRASE in the environment does as well.",
    ),
]

SlidesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="SLIDE|DIR|LIST...",
        help="A slide; or several, folders to search, lists (.txt) with one path a line.",
    ),
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the studies.")
]
ProfileOption = Annotated[
    str | None,
    typer.Option(help="Who gets the output: public (the default), research or care."),
]
PolicyOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="TOML file of choices; options count more than it."),
]
MetadataOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="CSV or JSON: what you know of each slide."),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Derive pseudonyms and UIDs; see coverslip key new. Under research and care "
        "COVERSLIP_KEY in the environment, with the text of such a file, does as well.",
    ),
]
VaultOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keep originals here, OUT.vault for research and care by default; of many slides, "
        "under public too, the ledger lies there.",
    ),
]
VaultRecipientOption = Annotated[
    str | None,
    typer.Option(
        metavar="AGE1...",
        help="Encrypt the vault to this age recipient; only its identity opens it again.",
    ),
]
VaultPassphraseOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|-",
        help="Encrypt the vault with a passphrase: a file's first line, or - to be asked; "
        "COVERSLIP_VAULT_PASSPHRASE in the environment does as well.",
    ),
]
ProjectOption = Annotated[
    str | None, typer.Option(help="Another project gives other pseudonyms under one key.")
]
DatesOption = Annotated[
    str | None, typer.Option(help="Of your metadata, under research: shift, full or drop.")
]
KeepOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Of your metadata, under research: patient_characteristics, device, institution."
    ),
]
LinkOption = Annotated[
    str | None, typer.Option(help="Slides that share a Patient ID: of a patient, case, slide.")
]
AccessionOption = Annotated[
    str | None, typer.Option(help="Under research: empty, or pseudonym of the case.")
]
YearOption = Annotated[
    str | None, typer.Option(help="Of the acquisition, under public: drop or keep.")
]
TimeOption = Annotated[
    str | None,
    typer.Option(help="Of day, of the acquisition in your metadata, under research: drop or keep."),
]
AnatomyOption = Annotated[
    str | None,
    typer.Option(help="The organ of your metadata: keep, or drop, which is public's default."),
]
MppOption = Annotated[
    float | None,
    typer.Option(metavar="UM", help="Micrometres per pixel of the base level, 0.001 to 1000."),
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace the slide in OUT when the new one is complete; of many, convert what is "
        "done again too.",
    ),
]
LabelOption = Annotated[
    Label | None,
    typer.Option(
        help="substitute writes a drawn label that shows the Container Identifier; keep, under "
        "care only and its default, writes the slide's own."
    ),
]
OverviewOption = Annotated[
    Overview | None,
    typer.Option(
        help="mask writes the picture of the whole glass too, its label painted over; where "
        "that is not sure beyond doubt, it is left out and a note says why. keep, under care "
        "only and its default, writes it as it is."
    ),
]
ThumbnailOption = Annotated[
    Thumbnail | None,
    typer.Option(
        help="keep, under research and care, writes the scanner's small picture of the scan too, "
        "where it is sure to show no label (Aperio SVS); else it is left out and a note says why."
    ),
]
PixelsAttestedOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHO",
        help="Who looked at the slide and vouches that its pixels show nothing that "
        "identifies; lets a bar code that was found pass. The name goes into the certificate.",
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Of many slides, how many at a time; cores if left."),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Of many slides: the Dask scheduler to work for."),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Of folders, only what fits one of these."),
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="Of folders, not what fits one.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would become of each slide, and end.")
]
ShowPathsOption = Annotated[
    bool,
    typer.Option("--show-paths", help="Of many slides: show their paths, not only numbers."),
]
VerifyOption = Annotated[
    bool, typer.Option(help="Read every file back, compare it, and look for the slide's texts.")
]
SyncOption = Annotated[
    bool,
    typer.Option(
        help="Wait until the files are on the disk before they get their names. Without it a "
        "conversion takes as long as cp, which does not wait either: what was written last may "
        "be lost if the machine loses power."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress.")]
