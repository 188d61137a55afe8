"""The commands and their options; the work is done elsewhere, imported when it is needed."""

import re
from pathlib import Path
from typing import Annotated

import typer

from coverslip.cli import outputs
from coverslip.cli.apart import go_apart
from coverslip.cli.options import (
    AccessionOption,
    AnatomyOption,
    Colour,
    ColourOption,
    DatesOption,
    DeflatedOption,
    DryRunOption,
    ExcludeOption,
    FramesOption,
    IncludeOption,
    J2kYccOption,
    JobsOption,
    JsonOption,
    KeepOption,
    KeyOption,
    LabelOption,
    LinkOption,
    MaxInstanceSizeOption,
    MetadataOption,
    MppOption,
    OutOption,
    OverviewOption,
    OverwriteOption,
    PixelOption,
    PixelsAttestedOption,
    PolicyOption,
    ProfileOption,
    ProjectOption,
    QuietOption,
    RecodeOption,
    SampleCompression,
    SchedulerOption,
    ShowPathsOption,
    SlideArgument,
    SlidesArgument,
    SparseOption,
    SyncOption,
    ThumbnailOption,
    TimeOption,
    VaultOption,
    VaultPassphraseOption,
    VaultRecipientOption,
    VerifyOption,
    YearOption,
)

app = typer.Typer(
    name="coverslip",
    help="TIFF-based whole-slide images to de-identified DICOM, tiles copied untouched.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        from coverslip import __version__

        typer.echo(f"coverslip {__version__}")
        raise typer.Exit


def _print_limits(*, wanted: bool) -> None:
    if wanted:
        from coverslip.cli import limits

        typer.echo(limits.text(), nl=False)
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
    limits: Annotated[
        bool,
        typer.Option(
            "--limits",
            callback=lambda wanted: _print_limits(wanted=wanted),
            is_eager=True,
            help="Print each limit with its value and its reason.",
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
        from coverslip.cli.limits import apply

        apply(limit)


@app.command()
def convert(
    slides: SlidesArgument,
    *,
    out: OutOption,
    profile: ProfileOption = None,
    policy: PolicyOption = None,
    metadata: MetadataOption = None,
    key: KeyOption = None,
    vault: VaultOption = None,
    vault_recipient: VaultRecipientOption = None,
    vault_passphrase: VaultPassphraseOption = None,
    project: ProjectOption = None,
    dates: DatesOption = None,
    keep: KeepOption = None,
    link: LinkOption = None,
    accession: AccessionOption = None,
    year: YearOption = None,
    time: TimeOption = None,
    anatomy: AnatomyOption = None,
    mpp: MppOption = None,
    colour: ColourOption = None,
    overwrite: OverwriteOption = False,
    allow_pixel: PixelOption = False,
    allow_recode: RecodeOption = None,
    ndpi_frames: FramesOption = None,
    j2k_ycc: J2kYccOption = None,
    deflated_frames: DeflatedOption = False,
    sparse: SparseOption = False,
    max_instance_size: MaxInstanceSizeOption = None,
    label: LabelOption = None,
    overview: OverviewOption = None,
    thumbnail: ThumbnailOption = None,
    pixels_attested: PixelsAttestedOption = None,
    jobs: JobsOption = None,
    scheduler: SchedulerOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    dry_run: DryRunOption = False,
    show_paths: ShowPathsOption = False,
    verify: VerifyOption = True,
    sync: SyncOption = True,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> int:
    """Convert a slide, or many; levels, and pictures beside them if asked.

    Nothing of the slide's own texts goes out, whatever the profile. The profile public writes
    nothing that identifies; research pseudonyms; care what your metadata says of the patient.
    Under public and research small levels are searched for bar codes, and for text where the
    extra "ocr" is installed. One that shows any is set aside in OUT.quarantine under public, and
    the exit status is 3; under research it says so itself, and you are warned.

    Of many slides a ledger in the vault, OUT.vault by default, remembers what became of each:
    running the same command again leaves out what is done and tries the rest.
    """
    first = slides[0]
    is_alone = len(slides) == 1 and first.is_file() and first.suffix.lower() != ".txt"
    if is_alone and not dry_run:
        go_apart(out)
    from coverslip.cli import convert as command

    choices = {
        "profile": profile,
        "project": project,
        "dates": dates,
        "keep": keep or None,
        "link": link,
        "accession": accession,
        "year": year,
        "time": time,
        "anatomy": anatomy,
        "mpp_um": mpp,
        "colour": _samples(colour),
        "allow_pixel": allow_pixel or None,
        "allow_recode": allow_recode,
        "ndpi_frames": _frames(ndpi_frames),
        "j2k_ycc": None if j2k_ycc is None else j2k_ycc.value,
        "deflated_frames": deflated_frames or None,
        "sparse": sparse or None,
        "max_instance_size": max_instance_size,
        "label": None if label is None else label.value,
        "overview": None if overview is None else overview.value,
        "thumbnail": None if thumbnail is None else thumbnail.value,
        "pixels_attested": pixels_attested,
    }
    effective = command.policy_from(policy, choices)
    custody = command.custody_from(key, metadata, vault, vault_recipient, effective)
    if not dry_run:
        from coverslip.cli.passphrase import locked_custody

        custody = locked_custody(custody, out, effective, vault_passphrase)
    if dry_run or not is_alone:
        from coverslip.cli import archive

        choice = archive.Choice(
            include=include or (),
            exclude=exclude or (),
            jobs=jobs,
            scheduler=scheduler,
            verify=verify,
            sync=sync,
            overwrite=overwrite,
            dry_run=dry_run,
            show_paths=show_paths,
            show_progress=not quiet,
            as_json=json,
        )
        return archive.run(slides, out, effective, custody, choice)
    command.tell_unused_options(
        {"jobs": jobs, "scheduler": scheduler, "include": include, "exclude": exclude}
    )
    command.run(
        first,
        out,
        policy=effective,
        custody=custody,
        show=command.Show(progress=not quiet, as_json=json),
        overwrite=overwrite,
        verify=verify,
        sync=sync,
    )
    return 0


app.command()(outputs.status)

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
    allow_recode: RecodeOption = None,
    ndpi_frames: FramesOption = None,
    j2k_ycc: J2kYccOption = None,
    deflated_frames: DeflatedOption = False,
    show_values: Annotated[
        bool,
        typer.Option("--show-values", help="Show the texts themselves: whoever sees them knows."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show format, levels, what would happen to each, and what the slide gives away.

    Kinds and places are told, values only with --show-values; and which profile is for whom.
    """
    go_apart()
    from coverslip.cli import inspect as command
    from coverslip.cli.convert import policy_from
    from coverslip.cli.guarded import guarded

    choices = {
        "colour": _samples(colour),
        "allow_pixel": allow_pixel,
        "allow_recode": allow_recode,
        "ndpi_frames": _frames(ndpi_frames),
        "j2k_ycc": None if j2k_ycc is None else j2k_ycc.value,
        "deflated_frames": deflated_frames,
    }
    policy = policy_from(None, choices)
    with guarded(slide):
        command.run(slide, policy, show_values=show_values, as_json=json)


app.command()(outputs.verify)
app.command()(outputs.report)

vault_app = typer.Typer(no_args_is_help=True, help="Vaults, which hold originals.")
app.add_typer(vault_app, name="vault")


@vault_app.callback()
def vault_options() -> None:
    """Vaults, which hold originals."""


vault_app.command("open")(outputs.vault_open)


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
