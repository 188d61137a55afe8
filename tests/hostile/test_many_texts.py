"""A slide may carry as many texts as the limits allow: looking for them takes bounded memory."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc how large it is")

TERMS = 20_000
"""The limit `terms` of the core."""

LOOK = """
import random, resource, sys
from pathlib import Path
from coverslip import _core

count, room = map(int, sys.argv[1:])
letters = random.Random(7)
terms = [("".join(letters.choices("abcdefghijklm 01234", k=20)), False) for _ in range(count)]
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + (room << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    scanner = _core.Scanner(terms)
except MemoryError as error:
    print("refused:", error)
else:
    data = b"-".join(text.encode("utf-16-le") for text, _ in terms[::1000])
    print("found", len({hit.term for hit in scanner.scan_bytes(data)}))
"""


def look(room_mib):
    """Look for as many texts as there may be, where no more than so much room is left."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(TERMS), str(room_mib)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


def test_as_many_texts_as_may_be_are_looked_for_in_100_mb():
    assert look(100) == "found 20"


@pytest.mark.parametrize("room_mib", [4, 16, 32, 48])
def test_too_little_room_is_told_and_kills_nobody(room_mib):
    said = look(room_mib)
    assert said.startswith("refused: there is no memory for ")
    assert said.endswith(" bytes")


ALIKE = """
import random
from coverslip import _core

letters = random.Random(7)
lengths = [letters.randint(8, 20) for _ in range(19_000)]
words = {"S" + "".join(letters.choices("abcdefgh01", k=length)) for length in lengths}
scanner = _core.Scanner([(word, False) for word in sorted(words)])
print(len(scanner.scan_bytes(b"S\\0\\0\\0" * 250_000)))
"""


def test_texts_that_begin_alike_are_not_compared_one_by_one():
    """With each of a megabyte's beginnings that took minutes: nothing here takes one."""
    done = subprocess.run(
        [sys.executable, "-c", ALIKE], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "0\n"
