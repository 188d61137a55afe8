"""Changes JPEG and JPEG 2000 streams at their markers."""

import random
import struct

_MARKERS = (0x01, 0x4F, 0x51, 0x52, 0x5C, 0x64, 0x90, 0x93, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC8,
            0xCC, 0xD0, 0xD7, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xE0, 0xE1, 0xEE, 0xFE,
            0xFF)  # fmt: skip
_BARE = {0x01, 0x4F, 0x93, *range(0xD0, 0xDA)}


def changed(data: bytes, chance: random.Random) -> bytes:
    """Return a stream of the same length that is wrong somewhere."""
    if len(data) < 12:
        return data
    new = bytearray(data)
    if data[4:8] == b"jP  " and chance.random() < 0.4:
        _box(new, chance)
        return bytes(new)
    segments = _segments(data)
    kind = chance.randrange(8)
    if not segments or kind == 0:
        _entropy(new, chance)
        return bytes(new)
    at, length = chance.choice(segments)
    if kind == 1:
        new[at + 1] = chance.choice(_MARKERS)
    elif kind == 2:
        struct.pack_into(">H", new, at + 2, chance.choice((0, 1, 2, 3, length + 1, 65535)))
    elif kind in (3, 4) and length > 2:
        for _ in range(chance.choice((1, 1, 3, 16))):
            new[at + 4 + chance.randrange(length - 2)] = chance.choice(
                (0, 1, 2, 17, 127, 128, 254, 255, chance.randrange(256))
            )
    elif kind == 5 and length > 5:
        field = at + 4 + chance.randrange(length - 4)
        struct.pack_into(">H", new, field, chance.choice((0, 1, 65535, 32768)))
    elif kind == 6:
        other, other_length = chance.choice(segments)
        piece = data[other : other + 2 + other_length]
        new[at : at + len(piece)] = piece
        del new[len(data) :]
    else:
        _entropy(new, chance)
    return bytes(new)


def _segments(data: bytes) -> list[tuple[int, int]]:
    """Return where segments with a length begin, and the length, until pixels or nonsense."""
    found, at = [], max(data.find(b"\xff\x4f\xff\x51"), 0)
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _BARE:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4])
        if length < 2 or at + 2 + length > len(data):
            break
        found.append((at, length))
        at += 2 + length
        if found and data[found[-1][0] + 1] == 0xDA:
            break
    return found


def _entropy(new: bytearray, chance: random.Random) -> None:
    """Change what is most likely compressed pixels: bits, markers, restart markers, the end."""
    kind = chance.randrange(5)
    at = chance.randrange(len(new) // 3, len(new) - 2)
    if kind == 0:
        new[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        new[at : at + 2] = bytes([0xFF, chance.choice(_MARKERS)])
    elif kind == 2:
        restarts = [i for i in range(len(new) - 1) if new[i] == 0xFF and 0xD0 <= new[i + 1] <= 0xD7]
        for i in restarts[chance.randrange(len(restarts)) :][:1] if restarts else ():
            new[i : i + 2] = chance.choice((b"\xff\xd0", b"\xff\xd7", b"\0\0", b"\xff\xd9"))
    elif kind == 3:
        end = new.rfind(b"\xff\xd9")
        if end > 0:
            new[end : end + 2] = chance.choice((b"\0\0", b"\xff\xff", b"\xff\xda", b"\xff\x00"))
    else:
        length = chance.randrange(1, 64)
        new[at : at + length] = bytes([chance.choice((0, 255))]) * min(length, len(new) - at)


def _box(new: bytearray, chance: random.Random) -> None:
    """Change length or kind of a box of a JP2 file."""
    starts, at = [], 0
    while at + 8 <= len(new) and len(starts) < 16:
        starts.append(at)
        length = int.from_bytes(new[at : at + 4])
        if new[at + 4 : at + 8] == b"jp2h":
            length = 8
        at += max(length, 8)
    at = chance.choice(starts)
    if chance.random() < 0.6:
        struct.pack_into(">I", new, at, chance.choice((0, 1, 7, 8, 9, 1 << 31, (1 << 32) - 1)))
    else:
        new[at + 4 : at + 8] = chance.choice((b"jp2c", b"jp2h", b"uuid", b"xml ", b"colr"))
