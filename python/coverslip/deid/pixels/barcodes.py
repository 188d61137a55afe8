"""Finds bar codes with zxing-cpp: in the whole picture and in parts of it, turned four ways."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from coverslip.deid.pixels.shapes import Box, Grey
from coverslip.guard import core_count

_PARTS = (2, 3, 4)
"""Crops are a half, a third and a quarter of the picture; they overlap by half."""
_IN_CROPS = ("Aztec", "DataMatrix", "PDF417", "QRCode")
LEAST = 150
"""Pixels of a crop's shorter side. In smaller ones are codes that the whole picture does not show,
one of fifty, and the same picture twice as large showed all of them
(benches/record/2026-11-28-deid-cost.md)."""
LEAST_OF_ANY = 24
"""What a code of two dimensions takes at least, two pixels a module."""
_FLAT = 24
"""Grey levels below which nothing is printed; zxing-cpp looks for as much contrast."""
_MOST_THREADS = 8
"""Each takes address space, which is limited, and there are no more than some eighty crops."""

_Job = Callable[[], list[Box]]


def bar_codes(picture: Grey, *, turn: bool = True, least: int = LEAST) -> list[Box]:
    """Return a box around every bar code of a picture and of its crops, whatever it says.

    Small or blurred codes of two dimensions are often found in a crop alone: of 22 that the whole
    picture did not show, crops showed 20. Bars that are one row were all found in the whole, so
    crops are not searched for them: that would take half of the time. Some boxes lie around the
    same code. All cores search.

    Parameters
    ----------
    picture
        What to search.
    turn
        Whether to look for upright codes as well as for those along the rows.
    least
        Pixels that the shorter side of a crop must have; `LEAST_OF_ANY` for a picture that is not
        searched at a larger size as well.
    """
    import zxingcpp

    kinds = tuple(getattr(zxingcpp.BarcodeFormat, name) for name in _IN_CROPS)
    in_crop = partial(_read, formats=kinds, try_rotate=turn, try_downscale=False)
    jobs: list[_Job] = [partial(_read, picture, try_rotate=turn)]
    jobs += [partial(in_crop, *crop) for crop in _crops(picture, least)]
    return _on_all_cores(jobs)


def _on_all_cores(jobs: list[_Job]) -> list[Box]:
    """Return what jobs return, in their order.

    Most take less than half a millisecond, so threads help themselves: handing each job to one
    takes a tenth of that.
    """
    found: dict[int, list[Box]] = {}
    left = deque(enumerate(jobs))

    def work() -> None:
        while True:
            try:
                number, job = left.popleft()
            except IndexError:
                return
            found[number] = job()

    helpers = min(core_count(), _MOST_THREADS, len(jobs)) - 1
    with ThreadPoolExecutor(max(helpers, 1)) as pool:
        helping = [pool.submit(work) for _ in range(helpers)]
        work()
        for one in helping:
            one.result()
    return [box for number in range(len(jobs)) for box in found[number]]


def _crops(picture: Grey, least: int) -> Iterator[tuple[Grey, int, int]]:
    """Yield parts of a picture that are not flat, with the column and row where they begin."""
    rows, columns = picture.shape
    for count in _PARTS:
        length, width = rows // count, columns // count
        if min(length, width) < least:
            return
        for row in range(2 * count - 1):
            for column in range(2 * count - 1):
                x, y = column * width // 2, row * length // 2
                part = picture[y : y + length, x : x + width]
                if np.ptp(part) >= _FLAT:
                    yield part, x, y


def _read(picture: Grey, x: int = 0, y: int = 0, **options: Any) -> list[Box]:  # noqa: ANN401
    """Return boxes in the picture that a part begins in at x and y; options are zxing-cpp's."""
    import zxingcpp

    codes = zxingcpp.read_barcodes(np.ascontiguousarray(picture), **options)
    return [_around(code.position).moved(x, y) for code in codes]


def _around(position: object) -> Box:
    corners = [
        getattr(position, name) for name in ("top_left", "top_right", "bottom_left", "bottom_right")
    ]
    return Box(
        left=max(0, min(corner.x for corner in corners)),
        top=max(0, min(corner.y for corner in corners)),
        right=max(corner.x for corner in corners) + 1,
        bottom=max(corner.y for corner in corners) + 1,
    )
