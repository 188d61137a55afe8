"""Searches noise for the terms of a slide and counts false alarms: there must be none.

    python -m benches.false_alarms --size 1GB --terms 1000

An instance is written whose frames hold noise where entropy-coded data are, and is searched for
random words, codes and dates of four characters and more, in every encoding. ``--headers``
searches what is random outside of pixels instead: UIDs, pseudonyms and digests.
"""

import argparse
import random
import secrets
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
from tests.privacy.sites import DELIMITER, PIXEL_DATA, item

from benches.beside_cp import UNITS
from coverslip import _core
from coverslip.deid.uids import pseudonym_of
from coverslip.verification.terms import Text, terms_of
from coverslip.verification.words import PublicWords

FRAME_BYTES = 20_000
CHUNK_BYTES = 1 << 24
LETTERS = "abcdefghijklmnopqrstuvwxyz"
HEAD = bytes.fromhex(
    "ffd8 ffdb0043 00" + "01" * 64 + "ffc40014 00 01" + "00" * 16 + "ffc40014 10 01" + "00" * 16
    + "ffc0000b 08 0100 0100 01 01 11 00 ffda0008 01 01 00 00 3f 00"
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1GB")
    parser.add_argument("--terms", type=int, default=1000)
    parser.add_argument(
        "--chance", action="store_true", help="count words of 5, 6, 7 letters in noise instead"
    )
    parser.add_argument(
        "--headers", type=int, metavar="N", help="search N UIDs, pseudonyms and digests instead"
    )
    parser.add_argument("--folder", type=Path, help="where to work")
    options = parser.parse_args()
    byte_count = int(options.size[:-2]) * UNITS[options.size[-2:].upper()]
    if options.chance:
        chance(byte_count, options.terms)
        return
    if options.headers:
        headers(options.headers, options.terms)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "noise"
        write(path, byte_count)
        search(path, options.terms)


def write(path: Path, byte_count: int) -> None:
    generator = np.random.default_rng()
    with path.open("wb") as file:
        file.write(PIXEL_DATA + item(b""))
        for _ in range(byte_count // FRAME_BYTES):
            noise = generator.bytes(FRAME_BYTES).replace(b"\xff", b"\xff\0").rstrip(b"\xff")
            frame = HEAD + noise + b"\xff\xd9"
            file.write(item(frame + b"\0" * (len(frame) % 2)))
        file.write(DELIMITER)


def scanner_of(count: int) -> tuple[_core.Scanner, int]:
    """Return what looks for random texts, and for how many terms."""
    chance = random.SystemRandom()
    texts = [Text("date", f"{chance.randint(1950, 2024)}-11-{n:02}") for n in range(1, 29)]
    for _ in range(count):
        word = "".join(chance.choices(LETTERS, k=chance.randint(4, 12)))
        code = f"{chance.choice('BSH')}{chance.randint(10, 24)}-{chance.randint(10000, 999999)}"
        texts += [Text("person", word.title()), Text("identifier", code)]
    terms = terms_of(texts, PublicWords()).terms
    return _core.Scanner([(term.spelling, term.whole_word) for term in terms]), len(terms)


def search(path: Path, count: int) -> None:
    scanner, terms = scanner_of(count)
    start = time.perf_counter()
    report = scanner.check_instance(path, _core.InstanceHeader(0))
    seconds = time.perf_counter() - start
    size = path.stat().st_size
    assert report.problems == report.unchecked == []
    print(f"{terms} terms, {size / 1e9:.2f} GB, {report.frame_count} frames: "
          f"{len(report.hits)} false alarms, {size / seconds / 1e6:.0f} MB/s")  # fmt: skip


def headers(texts: int, count: int) -> None:
    """Search as many UIDs, pseudonyms and digests as that, a thousand at a time."""
    scanner, terms = scanner_of(count)
    found = []
    for _ in range(texts // 1000):
        random_texts = (
            f"2.25.{uuid.uuid4().int}\0{pseudonym_of('PATIENT', secrets.token_bytes(8))}\0"
            f"{secrets.token_hex(32)}\0"
            for _ in range(1000)
        )
        found += scanner.scan_bytes("".join(random_texts).encode())
    encodings = sorted(hit.encoding for hit in found)
    print(f"{terms} terms, {texts} UIDs, pseudonyms and digests each: "
          f"{len(found)} false alarms {encodings}")  # fmt: skip


def chance(byte_count: int, count: int) -> None:
    """Count how often noise spells random words, capitals or not, by their length.

    This is what a search of compressed data would find wrongly if it looked for words so short.
    """
    generator = np.random.default_rng()
    codes = np.full(256, 255, np.uint8)
    for number, letter in enumerate(LETTERS):
        codes[[ord(letter), ord(letter.upper())]] = number
    lengths = (5, 6, 7)
    terms = {n: np.unique(generator.integers(0, 26**n, count)) for n in lengths}
    found = dict.fromkeys(lengths, 0)
    left = byte_count
    while left > 0:
        noise = codes[generator.integers(0, 256, min(left, CHUNK_BYTES), np.uint8)]
        left -= CHUNK_BYTES
        for n in lengths:
            windows = np.lib.stride_tricks.sliding_window_view(noise, n)
            words = windows[np.flatnonzero((noise[: len(windows)] < 26) & (noise[n - 1 :] < 26))]
            words = words[(words < 26).all(axis=1)].astype(np.int64)
            values = words @ 26 ** np.arange(n)
            found[n] += int(np.isin(values, terms[n]).sum())
    for n in lengths:
        expected = byte_count * len(terms[n]) * (2 / 256) ** n
        print(f"{n} letters, {len(terms[n])} words, {byte_count / 1e9:.2f} GB of noise: "
              f"{found[n]} found by chance, {expected:.2f} expected")  # fmt: skip


if __name__ == "__main__":
    main()
