"""The commands and their options; the work is done elsewhere, imported when it is needed."""

import re
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
FramesOption = Annotated[
    str | None,
    typer.Option(
        metavar="native|N",
        help="Side of the frames that the one JPEG of an NDPI level is cut into, 1024 if left; "
        "native for whole restart intervals, of which no JPEG is coded anew.",
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
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Change a limit on what a slide may ask for; an error names it.",
        ),
    ] = None,
) -> None:
    """Turn whole-slide images into de-identified DICOM without recoding a tile."""
    if limit:
        from coverslip.cli import limits

        limits.apply(limit)


@app.command()
def convert(
    slides: Annotated[
        list[Path],
        typer.Argument(
            metavar="SLIDE|DIR|LIST...",
            help="A slide; or several, folders to search, lists (.txt) with one path a line.",
        ),
    ],
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Folder for the studies.")
    ],
    profile: Annotated[
        str | None,
        typer.Option(help="Who gets the output: public (the default), research or care."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML file of choices; options count more than it."),
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV or JSON: what you know of each slide."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Derive pseudonyms and UIDs; see coverslip key new."),
    ] = None,
    vault: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep originals here; OUT.vault for research and care by default."
        ),
    ] = None,
    vault_recipient: Annotated[
        str | None,
        typer.Option(
            metavar="AGE1...",
            help="Encrypt the vault to this age recipient; only its identity opens it again.",
        ),
    ] = None,
    vault_passphrase: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|-",
            help="Encrypt the vault with a passphrase: a file's first line, or - to be asked; "
            "COVERSLIP_VAULT_PASSPHRASE in the environment does as well.",
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Another project gives other pseudonyms under one key.")
    ] = None,
    dates: Annotated[
        str | None, typer.Option(help="Of your metadata, under research: shift, full or drop.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="Of your metadata, under research: patient_characteristics, device, institution."
        ),
    ] = None,
    link: Annotated[
        str | None, typer.Option(help="Slides that share a Patient ID: of a patient, case, slide.")
    ] = None,
    accession: Annotated[
        str | None, typer.Option(help="Under research: empty, or pseudonym of the case.")
    ] = None,
    year: Annotated[
        str | None, typer.Option(help="Of the acquisition, under public: drop or keep.")
    ] = None,
    anatomy: Annotated[
        str | None,
        typer.Option(help="The organ of your metadata: keep, or drop, which is public's default."),
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(metavar="UM", help="Micrometres per pixel of the base level.")
    ] = None,
    colour: ColourOption = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the slide in OUT when the new one is complete."),
    ] = False,
    allow_pixel: PixelOption = False,
    ndpi_frames: FramesOption = None,
    label: Annotated[
        Label | None,
        typer.Option(
            help="substitute writes a drawn label that shows the Container Identifier; keep, under "
            "care only and its default, writes the slide's own."
        ),
    ] = None,
    overview: Annotated[
        Overview | None,
        typer.Option(
            help="mask writes the picture of the whole glass too, its label painted over; where "
            "that is not sure beyond doubt, it is left out and a note says why. keep, under care "
            "only and its default, writes it as it is."
        ),
    ] = None,
    pixels_attested: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help="Who looked at the slide and vouches that its pixels show nothing that "
            "identifies; lets a bar code that was found pass. The name goes into the certificate.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Of many slides, how many at a time; cores if left."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of many slides: the Dask scheduler to work for."),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Of folders, only what fits one of these."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Of folders, not what fits one.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would become of each slide, and end.")
    ] = False,
    show_paths: Annotated[
        bool,
        typer.Option("--show-paths", help="Of many slides: show their paths, not only numbers."),
    ] = False,
    verify: Annotated[
        bool, typer.Option(help="Read every file back, compare it, and look for the slide's texts.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json: JsonOption = False,
) -> int:
    """Convert a slide, or many; levels, and pictures beside them if asked.

    Nothing of the slide's own texts goes out, whatever the profile. The profile public writes
    nothing that identifies; research pseudonyms; care what your metadata says of the patient.
    Under public and research the lowest level is searched for bar codes, and for text where the
    extra "ocr" is installed; a slide that shows any is not written and the exit status is 3.

    Of many slides a ledger in the vault, OUT.vault by default, remembers what became of each:
    running the same command again leaves out what is done and tries the rest.
    """
    from coverslip.cli import convert as command

    choices = {
        "profile": profile,
        "project": project,
        "dates": dates,
        "keep": keep or None,
        "link": link,
        "accession": accession,
        "year": year,
        "anatomy": anatomy,
        "mpp_um": mpp,
        "colour": _samples(colour),
        "allow_pixel": allow_pixel or None,
        "ndpi_frames": _frames(ndpi_frames),
        "label": None if label is None else label.value,
        "overview": None if overview is None else overview.value,
        "pixels_attested": pixels_attested,
    }
    effective = command.policy_from(policy, choices)
    custody = command.custody_from(key, metadata, vault, vault_recipient)
    if not dry_run:
        from coverslip.cli.passphrase import locked_custody

        custody = locked_custody(custody, out, effective, vault_passphrase)
    if len(slides) > 1 or dry_run or not slides[0].is_file() or slides[0].suffix == ".txt":
        from coverslip.cli import archive

        choice = archive.Choice(
            include=include or (),
            exclude=exclude or (),
            jobs=jobs,
            scheduler=scheduler,
            verify=verify,
            dry_run=dry_run,
            show_paths=show_paths,
            show_progress=not quiet,
            as_json=json,
        )
        return archive.run(slides, out, effective, custody, choice)
    command.run(
        slides[0],
        out,
        policy=effective,
        custody=custody,
        show=command.Show(progress=not quiet, as_json=json),
        overwrite=overwrite,
        verify=verify,
    )
    return 0


@app.command()
def status(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The output folder of the run.")],
    *,
    vault: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the ledger is; OUT.vault by default.")
    ] = None,
    show_paths: Annotated[
        bool, typer.Option("--show-paths", help="Show the paths of slides, not only numbers.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Say what became of the slides of a run; status 1 if any failed, 3 if any is quarantined."""
    from coverslip.cli import archive

    return archive.status(out, vault, show_paths=show_paths, as_json=json)


key_app = typer.Typer(no_args_is_help=True, help="Keys that pseudonyms are derived from.")
app.add_typer(key_app, name="key")


@key_app.callback()
def key_options() -> None:
    """Keys that pseudonyms are derived from."""


@key_app.command("new")
def key_new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The key file to write.")],
) -> None:
    """Write a new key into a new file that only you may read; whoever has it can link slides."""
    from coverslip.cli import key as command

    command.new(file)


@app.command()
def inspect(
    slide: SlideArgument,
    *,
    colour: ColourOption = None,
    allow_pixel: PixelOption = False,
    ndpi_frames: FramesOption = None,
    show_values: Annotated[
        bool,
        typer.Option("--show-values", help="Show the texts themselves: whoever sees them knows."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show format, levels, what would happen to each, and what the slide gives away.

    Kinds and places are told, values only with --show-values; and which profile is for whom.
    """
    from coverslip.cli import inspect as command
    from coverslip.deid.policy import Policy

    chosen = _frames(ndpi_frames)
    policy = Policy() if chosen is None else Policy(ndpi_frames=chosen)
    command.run(
        slide,
        colour=_samples(colour),
        allow_pixel=allow_pixel,
        ndpi_frames=policy.ndpi_frames,
        show_values=show_values,
        as_json=json,
    )


@app.command()
def verify(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The output folder, or one file.")],
    *,
    source: Annotated[
        Path | None,
        typer.Option(metavar="SLIDE", help="The slide: look for its texts, compare its tiles."),
    ] = None,
    terms: Annotated[
        Path | None, typer.Option(metavar="FILE", help="More terms to look for, one a line.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json: JsonOption = False,
) -> None:
    """Check finished files, independently of what wrote them.

    Every byte is searched for the terms in all usual encodings, every element and frame is
    walked. Exit status 0: clean; 1: something was found; 4: something could not be checked.
    """
    from coverslip.cli import verify as command

    raise typer.Exit(
        command.run(out, source=source, terms=terms, show_progress=not quiet, as_json=json)
    )


@app.command()
def report(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The output folder.")],
    *,
    page: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The page; report.html by default."),
    ] = None,
    vault: Annotated[
        Path | None,
        typer.Option(
            metavar="VAULT",
            help="Show originals too; the page goes into this vault and must not be shared.",
        ),
    ] = None,
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page.")] = False,
) -> None:
    """Write one HTML page: what was converted, what was found, what remains, what was not checked.

    It is made of the certificates in OUT, holds small pictures, and needs no network.
    """
    from coverslip.cli import report as command

    command.run(
        out,
        page=page,
        vault=vault,
        identity=identity,
        passphrase=passphrase,
        overwrite=overwrite,
    )


vault_app = typer.Typer(no_args_is_help=True, help="Vaults, which hold originals.")
app.add_typer(vault_app, name="vault")


@vault_app.callback()
def vault_options() -> None:
    """Vaults, which hold originals."""


@vault_app.command("open")
def vault_open(
    vault: Annotated[Path, typer.Argument(metavar="VAULT", help="The vault's folder.")],
    *,
    file: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The new file, for you only.")
    ],
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
) -> None:
    """Write what an encrypted vault holds, a line of JSON for each slide."""
    from coverslip.cli import vault as command

    command.open_to(vault, file, identity, passphrase)


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


def _frames(text: str | None) -> "Frames | None":  # type: ignore[name-defined] # noqa: F821
    """Return a number where there is one; what else it may be is the policy's to say."""
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,6}", text) else text


def _samples(colour: Colour | None) -> "Samples | None":  # type: ignore[name-defined] # noqa: F821
    if colour is None:
        return None
    return "RGB" if colour is Colour.RGB else "YBR"
