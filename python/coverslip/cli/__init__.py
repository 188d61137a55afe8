"""The command line: exit codes, progress, words for people.

stdout is for data, stderr for people. Nothing that is printed holds a source value, the name of
the slide's file included: slides are numbers.
"""

import os
import signal
import sys
import traceback
from contextlib import suppress
from types import FrameType
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
_EXIT_SIGNAL = 128
"""What a shell expects of a program that ended on a signal: this and the signal's number."""
_MOST_SIGNALS = 3


class Ended(BaseException):
    """A signal ended the program, and nothing is in work any more.

    Of `KeyboardInterrupt` typer makes various things, some of which tell nothing.

    Parameters
    ----------
    number
        Of the signal.
    message
        How things were left, one sentence.
    """

    def __init__(
        self, number: int, message: str = "stopped; nothing was left half-written"
    ) -> None:
        super().__init__(message)
        self.number = number


def main(*, is_program: bool = True) -> NoReturn:
    """Run the command that ``sys.argv`` names and exit with its status.

    Parameters
    ----------
    is_program
        Whether the process is ours alone: a command that reads slides then goes on in a new one.
    """
    _roll_back_on_signals()
    if "" in sys.argv:
        _say("error: an argument is empty")
        _say("hint: is a variable of the shell not set?")
        sys.exit(EXIT_USAGE)
    import typer

    from coverslip.cli import apart
    from coverslip.cli.app import app

    if is_program:
        apart.allow()

    # Newer versions of typer bring click along under a private name; its class for a wrong
    # command line is in all of them the parent of this public one.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        status = app(prog_name="coverslip", standalone_mode=False)
    except Ended as error:
        _say(str(error))
        status = _EXIT_SIGNAL + error.number
    except typer.Abort:
        status = _EXIT_SIGNAL + signal.SIGINT
    except usage_error as error:
        status = _usage(error)
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


def _roll_back_on_signals() -> None:
    """Have what is being written removed on the way out; a third signal does not wait for it."""
    count = 0

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal count
        count += 1
        if number == signal.SIGHUP:
            leave_terminal()
        if count == 1:
            raise Ended(number)
        if count >= _MOST_SIGNALS:
            os._exit(_EXIT_SIGNAL + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, stop)


def leave_terminal() -> None:
    """Write no more to a terminal that is gone: that would be an error of its own."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device)
        for descriptor in (1, 2):
            with suppress(OSError):
                if os.isatty(descriptor):
                    os.dup2(nowhere.fileno(), descriptor)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _usage(error: Exception) -> int:
    """Tell what is wrong with the command line without repeating what was on it."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        _say(context.get_help())
        return EXIT_USAGE
    command = context.command_path if context is not None else "coverslip"
    parameter, ours = getattr(error, "param", None), getattr(error, "param_hint", None)
    if isinstance(ours, str):
        what = f"{ours} {_kind(error)}"
    elif parameter is not None:
        name = next((name for name in parameter.opts if name.startswith("--")), parameter.name)
        what = f"{name} {_kind(error)}"
    else:
        what = _kind(error)
        commands = getattr(getattr(context, "command", None), "commands", ())
        if commands and type(error).__name__ in ("UsageError", "NoSuchCommand"):
            what = f"a command is one of {', '.join(sorted(commands))}"
    _say(f"error: {what}")
    _say(f"hint: see {command} --help")
    return EXIT_USAGE


def _kind(error: Exception) -> str:
    return {
        "MissingParameter": "is missing",
        "BadParameter": "has a value that cannot be used",
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
