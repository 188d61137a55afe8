"""The command line: exit codes, progress, words for people.

stdout is for data, stderr for people. Nothing that is printed holds a source value, the name of
the slide's file included: slides are numbers.
"""

import sys
import traceback
from typing import NoReturn

from coverslip.errors import (
    CoverslipError,
    LimitError,
    QuarantineError,
    SourceError,
    UnsupportedSlideError,
    UsageError,
    VerificationError,
)

_OF_THE_SLIDE = (
    *(SourceError, UnsupportedSlideError, LimitError, QuarantineError),
    VerificationError,
)
"""Errors that are about a slide, whatever command met them; others name what they are about."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_QUARANTINED = 3
EXIT_INTERRUPTED = 130
"""What a shell expects of a program that ended on Ctrl-C: 128 + SIGINT."""


def main() -> NoReturn:
    """Run the command that ``sys.argv`` names and exit with its status."""
    import typer

    from coverslip.cli.app import app

    # Newer versions of typer bring click along under a private name; its class for a wrong
    # command line is in all of them the parent of this public one.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        status = app(prog_name="coverslip", standalone_mode=False)
    except typer.Abort:
        status = EXIT_INTERRUPTED
    except usage_error as error:
        status = _usage(error)
    except KeyboardInterrupt:
        _say("stopped; nothing was left half-written")
        status = EXIT_INTERRUPTED
    except UsageError as error:
        say_error(error)
        status = EXIT_USAGE
    except QuarantineError as error:
        say_error(error)
        status = EXIT_QUARANTINED
    except Exception as error:  # noqa: BLE001 (a traceback would show source values)
        say_error(error)
        status = EXIT_FAILED
    sys.exit(status or 0)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _usage(error: Exception) -> int:
    """Tell what is wrong with the command line without repeating what was on it."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "coverslip"
    parameter = getattr(error, "param", None)
    if parameter is not None:
        name = next((name for name in parameter.opts if name.startswith("--")), parameter.name)
        what = f"{name} {_kind(error)}"
    else:
        what = _kind(error)
    _say(f"error: {what}")
    _say(f"hint: see {command} --help")
    return EXIT_USAGE


def _kind(error: Exception) -> str:
    return {
        "MissingParameter": "is missing",
        "BadParameter": "has a value that cannot be used",
        "NoSuchCommand": "there is no such command",
        "NoSuchOption": "there is no such option",
    }.get(type(error).__name__, "the arguments do not fit the command")


def say_error(error: Exception) -> None:
    """Tell a failure in one line: our own message, the system's, or where the defect lies."""
    if isinstance(error, CoverslipError):
        about = "slide 1: " if isinstance(error, _OF_THE_SLIDE) else ""
        _say(f"error: {about}{error}")
        if error.hint is not None:
            _say(f"hint: {error.hint}")
    elif isinstance(error, OSError):
        _say(f"error: {error.strerror or type(error).__name__}")
    else:
        # The message of a foreign exception may quote the slide; its place in our code cannot.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.name}, line {frame.lineno}"
        _say(f"error: {type(error).__name__} in {place}: this is a defect of coverslip")
        _say("hint: please report this line; it holds nothing of the slide")
