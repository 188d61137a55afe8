"""The commands about finished outputs and their vaults, and their options."""

from pathlib import Path
from typing import Annotated

import typer

from coverslip.cli.apart import go_apart
from coverslip.cli.options import IdentityOption, JsonOption, PassphraseOption


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
    """Say what became of the slides of a run, while it is at work or later.

    Exit status 0: all are converted; 1: some failed, were cut off or still wait; 3: some are
    quarantined.
    """
    from coverslip.cli import status as command

    return command.status(out, vault, show_paths=show_paths, as_json=json)


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
    metadata: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The table given to convert: look for its texts too."),
    ] = None,
    vault: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Check each slide of an archive against its source."),
    ] = None,
    identifiers: Annotated[
        Path | None,
        typer.Option(
            metavar="VAULT", help="Look for the originals in this vault, in place of the slides."
        ),
    ] = None,
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Look at headers, names and certificates, at no frame.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json: JsonOption = False,
) -> None:
    """Check finished files, independently of what wrote them.

    Every byte is searched for the terms in all usual encodings, every element and frame is
    walked. Exit status 0: clean; 1: something was found; 4: something could not be checked; 3: all
    else is in order, and instances say that a person has to look at their pixels.
    """
    from coverslip.verification.report import EXIT_UNCHECKED

    go_apart(died=EXIT_UNCHECKED)
    from coverslip.cli import verify as command

    against = command.Against(
        source=source,
        terms=terms,
        metadata=metadata,
        vault=vault,
        identifiers=identifiers,
        identity=identity,
        passphrase=passphrase,
        fast=fast,
    )
    raise typer.Exit(command.run(out, against, show_progress=not quiet, as_json=json))


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
            help="Show originals too; the page goes into this vault, or beside an encrypted one "
            "with -o, and must not be shared.",
        ),
    ] = None,
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page.")] = False,
) -> None:
    """Write one HTML page: what was converted, what was found, what remains, what was not checked.

    It is made of the certificates in OUT, holds small pictures, and needs no network.
    """
    go_apart()
    from coverslip.cli import report as command
    from coverslip.cli.guarded import guarded

    with guarded(out):
        command.run(
            out,
            page=page,
            vault=vault,
            identity=identity,
            passphrase=passphrase,
            overwrite=overwrite,
        )


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
