"""Checks what a conversion writes, before it gets its final name."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from coverslip import _core
from coverslip.beside import Beside
from coverslip.errors import VerificationError
from coverslip.slide import OpenedSlide
from coverslip.verification import header as headers
from coverslip.verification.check import Check
from coverslip.verification.files import entry_of
from coverslip.verification.notes import Notes, scanner_of
from coverslip.verification.source import terms_of_slide
from coverslip.verification.terms import Terms


@contextmanager
def checking(slide: OpenedSlide, given: Iterable[str] = ()) -> Iterator["OutputCheck"]:
    """Get the check of what a slide is converted to during the block.

    What looks for the slide's texts is made beside it: a small slide is written meanwhile.

    Parameters
    ----------
    slide
        Whose texts are looked for.
    given
        What the operator knows of the slide; where an instance says that it was retained, it may
        stand there.
    """
    terms = terms_of_slide(slide, given=given)
    with Beside(lambda _: scanner_of(terms)) as scanner:
        yield OutputCheck(terms, scanner)


class OutputCheck:
    """The check of one slide's output: of instances while they are written, of the rest at the end.

    It looks for the same texts in the same places as `coverslip.verify`, but for what takes
    decoding: pictures of the slide, and the lowest level, which was searched before.

    Parameters
    ----------
    terms
        What is looked for.
    scanner
        Makes what looks for it.
    """

    def __init__(self, terms: Terms, scanner: Beside[_core.Scanner]) -> None:
        self._terms = terms
        self._scanner = scanner

    @cached_property
    def _check(self) -> Check:
        notes = Notes(terms=self._terms, scanner=self._scanner.result())
        return Check(notes=notes, hashes=False)

    def instance(
        self,
        source: _core.Source,
        plan: _core.FramePlan,
        path: Path,
        header: bytes,
        *,
        written: _core.Written,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        """Compare an instance with its source: header, offset tables and every frame.

        So nothing is left that could be another byte than was written and hashed. The header is
        parsed by pydicom, which had no part in placing the Pixel Data. On the way every byte is
        searched; what that finds is told by `rest`. The file may still be being written: it is
        followed.

        Raises
        ------
        VerificationError
            If the file is not what was planned.
        UnsupportedSlideError
            If a tile hides something behind its picture that must not go out.
        """
        written.wait_for_start()
        with path.open("rb") as file:
            if file.read(len(header)) != header:
                raise VerificationError("the header is not what was written")
        try:
            read = headers.read(path)
        except headers.UnreadableError as error:
            raise VerificationError(str(error)) from None
        if read.frame_count != plan.frame_count:
            raise VerificationError(
                f"the header says {read.frame_count} frames, the plan has {plan.frame_count}"
            )
        check = self._check
        report = _core.verify_instance(
            source,
            plan,
            path,
            read.core,
            scanner=check.notes.scanner,
            written=written,
            on_progress=on_progress,
        )
        check.judge(entry_of(path), read, report)

    def forget(self, path: Path) -> None:
        """Forget an instance that was removed, to be written anew."""
        self._check.forget(path)

    def rest(self, study: Path) -> None:
        """Check all of a finished study that is no instance, and raise if anything was found.

        Raises
        ------
        VerificationError
            For the first thing that was found, or that could not be checked.
        """
        check = self._check
        check.folders([study])
        for survivor in check.notes.found:
            raise VerificationError(
                f"the independent check found: {survivor}",
                hint="nothing was written; please report this line, it holds nothing of the slide",
            )
        for what in check.notes.unchecked:
            raise VerificationError(f"the independent check could not check: {what}")
