"""Changes descriptions, XML and colour profiles."""

import random
import re
import struct

_NUMBERS = (b"0", b"-1", b"1e308", b"nan", b"inf", b"99999999999999999999", b"0.0000001", b"",
            b"4294967296", b"1,5", b"-0", b"\xd9\xa3", b"1_000", b"0x10", b"1" * 400)  # fmt: skip
_BOMB = (
    b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;">'
    b'<!ENTITY d SYSTEM "file:///etc/hostname">]>'
)
_PIECES = (b"<", b">", b"&", b'"', b"|", b"=", b"\0", b"\r\n", b"\xff\xfe", b"\xed\xa0\x80",
           b"]]>", b"<!--", b"<![CDATA[", b"&#0;", b"&b;", b"<x>" * 200, b"=" * 500,
           b"|a=b" * 600, b"<a b='c'/>" * 300)  # fmt: skip


def changed(text: bytes, chance: random.Random) -> bytes:
    """Return a text that is wrong somewhere, or means something else."""
    kind = chance.randrange(8)
    if kind <= 2:
        numbers = list(re.finditer(rb"\d+(\.\d+)?", text))
        if numbers:
            for match in sorted(chance.sample(numbers, min(len(numbers), chance.choice((1, 1, 3)))),
                                key=lambda match: -match.start()):  # fmt: skip
                number = chance.choice((*_NUMBERS, chance.choice(numbers)[0]))
                text = text[: match.start()] + number + text[match.end() :]
        return text
    at = chance.randrange(len(text) + 1)
    if kind == 3:
        return text[:at] + chance.choice(_PIECES) + text[at:]
    if kind == 4:
        return text[:at] + text[at + chance.randrange(1, 40) :]
    if kind == 5:
        head = re.match(rb"(<\?xml.*?\?>)?", text, re.DOTALL)
        end = head.end() if head else 0
        return text[:end] + _BOMB + text[end:]
    if kind == 6:
        lines = re.split(rb"([|\n<])", text)
        one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        lines[one] = lines[other]
        return b"".join(lines)
    return text[:at].rstrip(b"\0") + b"\0"


def changed_profile(profile: bytes, chance: random.Random) -> bytes:
    """Return a colour profile whose sizes, tag table or curves are wrong (ICC.1 clause 7)."""
    new = bytearray(profile)
    if len(new) < 144:
        return profile
    (count,) = struct.unpack_from(">I", new, 128)
    kind = chance.randrange(6)
    extreme = chance.choice((0, 1, 12, 128, len(new), len(new) - 1, 1 << 31, (1 << 32) - 1))
    index = chance.randrange(max(1, min(count, (len(new) - 132) // 12)))
    entry = 132 + 12 * index
    if kind == 0:
        struct.pack_into(">I", new, chance.choice((0, 128)), extreme)
    elif kind == 1 and entry + 12 <= len(new):
        struct.pack_into(">I", new, entry + chance.choice((4, 8)), extreme)
    elif kind == 2 and entry + 12 <= len(new):
        other = 132 + 12 * chance.randrange(max(1, min(count, (len(new) - 132) // 12)))
        new[entry : entry + 12] = new[other : other + 12]
    elif kind == 3 and entry + 12 <= len(new):
        (at,) = struct.unpack_from(">I", new, entry + 4)
        if at + 16 <= len(new):
            struct.pack_into(">I", new, at + chance.choice((0, 4, 8, 12)), extreme)
    elif kind == 4:
        del new[chance.randrange(len(new)) :]
    else:
        for _ in range(chance.choice((1, 4, 32))):
            new[chance.randrange(len(new))] = chance.choice((0, 255, chance.randrange(256)))
    return bytes(new)
