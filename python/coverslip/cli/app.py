"""The commands and their options; the work is done elsewhere, imported when it is needed."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="coverslip",
    help="TIFF-based whole-slide images to de-identified DICOM, tiles copied untouched.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Colour(StrEnum):
    """What the samples of three-component tiles are."""

    RGB = "rgb"
    YCBCR = "ycbcr"


class Overview(StrEnum):
    """What becomes of the picture of the whole glass."""

    DROP = "drop"
    MASK = "mask"


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


def _print_version(*, wanted: bool) -> None:
    if wanted:
        from coverslip import __version__

        typer.echo(f"coverslip {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda wanted: _print_version(wanted=wanted),
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Turn whole-slide images into de-identified DICOM without recoding a tile."""


@app.command()
def convert(
    slide: SlideArgument,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the study.")],
    profile: Annotated[
        str, typer.Option(help="Who gets the output; only public is available so far.")
    ] = "public",
    mpp: Annotated[
        float | None, typer.Option(metavar="UM", help="Micrometres per pixel of the base level.")
    ] = None,
    colour: ColourOption = None,
    overview: Annotated[
        Overview,
        typer.Option(
            help="mask writes the picture of the whole glass too, its label painted over; where "
            "that is not sure beyond doubt, it is left out and a note says why."
        ),
    ] = Overview.DROP,
    pixels_attested: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help="Who looked at the slide and vouches that its pixels show nothing that "
            "identifies; lets a bar code that was found pass. The name goes into the certificate.",
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Read every file back and compare it with the slide.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json: JsonOption = False,
) -> None:
    """Convert a slide. Nothing that identifies goes out: levels, no label.

    The lowest level is searched for bar codes, and for text where the extra "ocr" is installed; a
    slide that shows any is not written and the exit status is 3.
    """
    from coverslip.cli import convert as command

    command.run(
        slide,
        out,
        profile=profile,
        mpp_um=mpp,
        colour=_samples(colour),
        overview=overview.value,
        pixels_attested=pixels_attested,
        verify=verify,
        show_progress=not quiet,
        as_json=json,
    )


@app.command()
def inspect(slide: SlideArgument, *, colour: ColourOption = None, json: JsonOption = False) -> None:
    """Show format, levels, what would happen to each, and where identifiers are."""
    from coverslip.cli import inspect as command

    command.run(slide, colour=_samples(colour), as_json=json)


@app.command()
def sample(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The SVS file to write.")],
    *,
    size: Annotated[
        str | None, typer.Option(help="About how large, for example 200MB or 2GB.")
    ] = None,
    compression: Annotated[
        SampleCompression, typer.Option(help="Codec of the tiles.")
    ] = SampleCompression.JPEG,
    seed: Annotated[int, typer.Option(help="Another number gives another slide.")] = 0,
) -> None:
    """Write a demonstration slide with invented identifiers, to try everything on."""
    from coverslip.cli import sample as command

    command.run(file, size=size, compression=compression.value, seed=seed)


@app.command()
def doctor(*, json: JsonOption = False) -> None:
    """Show versions, and convert and verify a sample to see whether all is well."""
    from coverslip.cli import doctor as command

    command.run(as_json=json)


def _samples(colour: Colour | None) -> "Samples | None":  # type: ignore[name-defined] # noqa: F821
    if colour is None:
        return None
    return "RGB" if colour is Colour.RGB else "YBR"
