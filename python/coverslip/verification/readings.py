"""What a text of a slide may say: as it stands, unescaped, or as the bytes that it came from.

A tag tells its type and never its encoding. What was read as a text may be bytes of UTF-16, of
UTF-32 or of an older code page; all of them are read here, and each reading is one more text.
"""

import base64
import binascii
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote

from coverslip.verification.streams import texts_in_stream

CODE_PAGES = ("cp1251", "koi8-r", "iso8859-5", "gb18030", "shift_jis", "euc_kr", "big5")
"""In which names of other scripts than Latin are written that are not in Unicode."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_LATIN = rb"[\x20-\x7e\xa0-\xff]"
_WIDE = (
    (re.compile(rb"(?:%b\0){3,}" % _LATIN), "utf-16-le"),
    (re.compile(rb"(?:\0%b){3,}" % _LATIN), "utf-16-be"),
    (re.compile(rb"(?:%b\0{3}){3,}" % _LATIN), "utf-32-le"),
    (re.compile(rb"(?:\0{3}%b){3,}" % _LATIN), "utf-32-be"),
)
"""Latin text in Unicode, wherever it begins."""
_EXIF_CODES = (b"UNICODE\0", b"ASCII\0\0\0", b"JIS\0\0\0\0\0")
"""What stands before a comment of Exif 2.3 (4.6.5)."""
_OTHER_SCRIPT = re.compile(
    "[\u0370-\u058f\u0590-\u06ff\u0900-\u0dff\u0e00-\u0eff\u3005\u3040-\u30ff\u4e00-\u9fff"
    "\uac00-\ud7a3]"
)
_ENOUGH = 0.8
"""Of the characters of a text in Unicode; of noise, half are Chinese."""
_HIGH = re.compile(rb"[\x80-\xff]{3}")
"""Three letters of another script; in Latin-1 three beyond ASCII hardly follow each other."""
_CONTROLS = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f]")


def readings_of(text: str) -> Iterator[str]:
    """Yield a text as it stands, and all that it says if it was escaped or encoded."""
    if _SURROGATE.search(text):
        # Bytes of a file name that are no UTF-8; what stands between them is text all the same.
        yield _SURROGATE.sub(lambda found: chr(ord(found[0]) & 0xFF), text)
        text = _SURROGATE.sub(" ", text)
    seen = {text}
    readings = (html.unescape(text), unquote(text), *_from_base64(text), *_from_bytes(text))
    for reading in readings:
        if reading not in seen:
            seen.add(reading)
            yield reading
    yield text


def _from_base64(text: str) -> Iterator[str]:
    """Yield what stretches of Base64 say, where that is text, or a picture with text in it."""
    for match in _BASE64.finditer(text):
        encoded = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        try:
            decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        except binascii.Error:
            continue
        yield from texts_in_stream(decoded)
        for encoding in ("utf-8", "utf-16-le"):
            try:
                said = decoded.decode(encoding)
            except UnicodeDecodeError:
                continue
            if said.rstrip("\r\n\0").isprintable() and (encoding == "utf-8" or said.isascii()):
                yield said


def _from_bytes(text: str) -> Iterator[str]:
    """Yield what the bytes say of which a text was made, if they are more than plain ASCII."""
    if text.isascii() and "\0" not in text and text.isprintable():
        return
    datas = {text.encode(errors="replace")}
    if all(character <= "\xff" for character in text):
        datas.add(text.encode("latin-1"))
    for data in datas:
        for code in _EXIF_CODES:
            data = data.removeprefix(code)
        yield from _wide(data)
        yield from _paged(data)


def _wide(data: bytes) -> Iterator[str]:
    """Yield what bytes say in UTF-16 and UTF-32."""
    if _CONTROLS.search(data) is None and b"\0" not in data and _is_utf8(data):
        return
    for pattern, encoding in _WIDE:
        # The last zero of a text may have been taken for its end.
        for found in pattern.finditer(data + b"\0\0\0"):
            yield found[0].decode(encoding)
    for encoding, unit in (("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4)):
        whole = data + b"\0" * (-len(data) % unit)
        said = whole.decode(encoding, errors="replace").strip("\0")
        others = len(_OTHER_SCRIPT.findall(said))
        latin = sum(character.isascii() and character.isprintable() for character in said)
        if others >= 2 and others + latin >= _ENOUGH * len(said):
            yield said


def _paged(data: bytes) -> Iterator[str]:
    """Yield what bytes say in code pages, if they are text at all."""
    if _HIGH.search(data) is None or _CONTROLS.search(data) or _is_utf8(data):
        return
    for encoding in CODE_PAGES:
        try:
            said = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if all(character.isascii() or character.isalpha() for character in said):
            yield said


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
