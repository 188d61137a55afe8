"""Every exception of the package, by who must act on it.

A message is one sentence without a full stop and holds tag names, positions
and lengths, never a value that came from a slide.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CoverslipError(Exception):
    """Base of all errors that coverslip raises on purpose.

    Parameters
    ----------
    message
        One sentence, lower case, without a full stop.
    hint
        What the user can do about it, if anything; else what is usual for the kind of error.
    """

    usual_hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = self.usual_hint if hint is None else hint

    @property
    def has_own_hint(self) -> bool:
        """Whether the hint is another than what is usual for the kind of error."""
        return self.hint != self.usual_hint


class SourceError(CoverslipError, ValueError):
    """The slide is malformed: reading it again will not help."""


class UnsupportedSlideError(CoverslipError, NotImplementedError):
    """The slide may be right, but coverslip cannot copy it without recoding."""

    usual_hint = (
        "export the slide with its scanner's software as a TIFF of JPEG or JPEG 2000 tiles, 8 bits "
        "in RGB, YCbCr or grey"
    )


class LimitError(CoverslipError, ValueError):
    """The slide exceeds a limit that the operator may raise."""

    usual_hint = "if you trust the slide: coverslip --limit NAME=NUMBER, before the command"


class PolicyError(CoverslipError, ValueError):
    """The policy forbids this output, or asks for what is not possible."""


class UsageError(PolicyError):
    """What the operator gave beside the slides cannot be used: a choice, a key, a table."""


class QuarantineError(CoverslipError, ValueError):
    """The pixels show what may identify: a person has to look at the slide.

    Parameters
    ----------
    message, hint
        As of every error.
    study_path
        Where the converted slide was set aside, if it was.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, study_path: Path | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.study_path = study_path


class NoRoomError(CoverslipError, OSError):
    """The output has no room for this slide; a smaller one may fit."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno.ENOSPC


class VerificationError(CoverslipError, RuntimeError):
    """What was written is not what was planned: a defect of coverslip or of the disk."""


class UnlikeTilesError(CoverslipError, RuntimeError):
    """A plan from some tiles of a level is not true of all; `convert` plans from all then."""


@contextmanager
def given(what: str) -> Iterator[None]:
    """Say of every error in the block that it is about something which the operator gave."""
    try:
        yield
    except PolicyError as error:
        raise UsageError(str(error), hint=error.hint) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"{what} cannot be read: {reason}") from None


@contextmanager
def at_level(number: int) -> Iterator[None]:
    """Say of every error of ours in the block which level it is about."""
    try:
        yield
    except CoverslipError as error:
        raise type(error)(f"level {number}: {error}", hint=error.hint) from None
