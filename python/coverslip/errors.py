"""Every exception of the package, by who must act on it.

A message is one sentence without a full stop and holds tag names, positions
and lengths, never a value that came from a slide.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class CoverslipError(Exception):
    """Base of all errors that coverslip raises on purpose.

    Parameters
    ----------
    message
        One sentence, lower case, without a full stop.
    hint
        What the user can do about it, if anything.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SourceError(CoverslipError, ValueError):
    """The slide is malformed: reading it again will not help."""


class UnsupportedSlideError(CoverslipError, NotImplementedError):
    """The slide may be right, but coverslip cannot copy it without recoding."""


class LimitError(CoverslipError, ValueError):
    """The slide exceeds a limit that the operator may raise."""


class PolicyError(CoverslipError, ValueError):
    """The policy forbids this output, or asks for what is not possible."""


class QuarantineError(CoverslipError, ValueError):
    """The pixels show what may identify: a person has to look at the slide."""


class NoRoomError(CoverslipError, OSError):
    """The output has no room for this slide; a smaller one may fit."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno.ENOSPC


class VerificationError(CoverslipError, RuntimeError):
    """What was written is not what was planned: a defect of coverslip or of the disk."""


@contextmanager
def at_level(number: int) -> Iterator[None]:
    """Say of every error of ours in the block which level it is about."""
    try:
        yield
    except CoverslipError as error:
        raise type(error)(f"level {number}: {error}", hint=error.hint) from None
