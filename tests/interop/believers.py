"""Which program believes each built slide, as `tests.interop.test_belief` finds it.

``python -m tests.interop.believers`` writes the list anew, in believers.txt.
"""

import tempfile
from pathlib import Path

LIST = Path(__file__).with_suffix(".txt")
BELIEVERS: dict[str, str] = dict(line.split() for line in LIST.read_text().splitlines())
"""The first of OpenSlide, tifffile and opentile that shows a case of `FORMATS`, by its name."""


def find() -> str:
    from tests.interop.belief import believer, build
    from tests.synth import FORMATS

    lines = []
    for name in FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            found = believer(name, build(name, Path(folder)))
        lines.append(f"{name} {found or 'nobody'}\n")
    return "".join(lines)


if __name__ == "__main__":
    LIST.write_text(find())
