"""Says where in the slide a text stood, byte by byte, and how it was written there."""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

from coverslip.errors import CoverslipError
from coverslip.model import SealedFinding, StoredValue

Read = Callable[[int, int], bytes]
"""Returns bytes of the slide by offset and count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a finding comes from, as far as that is known."""

    ifd: int | None = None
    tag: int | None = None
    offset: int | None = None
    byte_count: int | None = None
    encoding: str | None = None
    """How the text is written in these bytes, ``None`` if they are the whole value, of which it is
    a part or a decoding."""


def origins_of(
    findings: tuple[SealedFinding, ...], values: Mapping[str, StoredValue], read: Read
) -> Iterator[Origin]:
    """Yield the origin of each finding.

    Parameters
    ----------
    findings
        What was found; the texts of one place in the order in which they stand there.
    values
        Where the values of the directories lie, by place.
    read
        Reads the slide.
    """
    place, data, at = "", b"", 0
    for sealed in findings:
        if sealed.stored is not None:
            stored = sealed.stored
            yield Origin(ifd=stored.ifd, offset=stored.offset, byte_count=stored.byte_count)
            continue
        value = values.get(sealed.finding.place)
        if value is None:
            yield Origin()
            continue
        if sealed.finding.place != place:
            place, data, at = sealed.finding.place, _bytes_of(value, read), 0
        whole = Origin(
            ifd=value.ifd, tag=value.tag, offset=value.offset, byte_count=value.byte_count
        )
        found = None if sealed.text is None else _found(sealed.text.reveal(), data, at)
        if found is None:
            yield whole
            continue
        start, byte_count, encoding = found
        at = start + byte_count
        yield replace(whole, offset=value.offset + start, byte_count=byte_count, encoding=encoding)


def _bytes_of(value: StoredValue, read: Read) -> bytes:
    try:
        return read(value.offset, value.byte_count)
    except CoverslipError:  # it is larger than what is read at a time
        return b""


def _found(text: str, data: bytes, at: int) -> tuple[int, int, str] | None:
    """Return where a text stands, from ``at`` on if it does there, and in which encoding."""
    # A format's reader may have put a name before a value, and an equals sign between them.
    for part in dict.fromkeys((text, text.partition("=")[2])):
        for encoding, written in _spellings(part):
            start = data.find(written, at)
            start = data.find(written) if start < 0 else start
            if written and start >= 0:
                return start, len(written), encoding
    return None


def _spellings(text: str) -> Iterator[tuple[str, bytes]]:
    yield "UTF-8" if not text.isascii() else "ASCII", text.encode(errors="replace")
    if not text.isascii() and max(text) <= "\xff":
        yield "Latin-1", text.encode("latin-1")
    yield "UTF-16 LE", text.encode("utf-16-le", errors="replace")
    yield "UTF-16 BE", text.encode("utf-16-be", errors="replace")
    yield "Base64", base64.b64encode(text.encode(errors="replace"))
    entities = {'"': "&quot;", "'": "&apos;"}
    yield "XML entities", escape(text, entities).encode(errors="replace")
