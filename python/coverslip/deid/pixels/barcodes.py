"""Finds bar codes with zxing-cpp: in the whole picture and in parts of it, turned four ways."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from coverslip.deid.pixels.shapes import Box, Grey
from coverslip.guard import Threads, core_count

_PARTS = (2, 3, 4)
"""Crops are a half, a third and a quarter of the picture; they overlap by half."""
_IN_CROPS = ("Aztec", "DataMatrix", "PDF417", "QRCode")
_IN_WHOLE = ("Aztec", "DataMatrix", "QRCode")
"""Not PDF417: the first row of tissue that is like the beginning of one ends its search."""
_IN_HALVES = ("Aztec", "PDF417", "QRCode")
"""Not DataMatrix, which takes half of the time, and of which halves show no more."""
LEAST = 150
"""Pixels of a crop's shorter side. In smaller ones are codes that the whole picture does not show,
one of fifty, and the same picture twice as large showed all of them
(benches/record/2026-11-28-deid-cost.md)."""
LEAST_OF_ANY = 24
"""What a code of two dimensions takes at least, two pixels a module."""
_FLAT = 24
"""Grey levels below which nothing is printed; zxing-cpp looks for as much contrast."""
_HALF_BLOCK = 4
"""Pixels: zxing-cpp takes a threshold from each block of 8, so this is how far they can differ."""
_LONGEST = 65535
"""Pixels along which zxing-cpp searches at most."""
_SHARED = 8192
"""Pixels that pieces of a longer picture share: more than a code takes."""
_MOST_THREADS = 8
"""Each takes address space, which is limited, and there are no more than some eighty crops."""


class _Located(NamedTuple):
    """A place where zxing-cpp sees a code, which it may not be able to read."""

    box: Box
    is_read: bool


_Job = Callable[[], list[_Located]]
_Crop = tuple[Grey, int, int]


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
    jobs: list[_Job] = [partial(_read, picture, try_rotate=turn)]
    jobs += _in_crops(_crops(picture, least), _IN_CROPS, try_rotate=turn)
    return _boxes(_on_all_cores(jobs))


def bar_codes_of_tissue(picture: Grey, *, least: int = LEAST) -> list[Box]:
    """Return boxes as `bar_codes` does, in less than half of the time where there is no code.

    Which codes a crop shows that the whole does not is chance: thresholds are taken from other
    blocks there, and lines of search lie elsewhere. Almost all of these can be located in the
    whole, with thresholds taken in three ways, or in halves, though not read. So all crops are
    searched where something was located and nothing read. Of 1,200 planted codes it found 12 that
    all crops do not show, and not 2 that they do (benches/record/2026-11-28-bars-cost.md).
    """
    import zxingcpp

    every = zxingcpp.BarcodeFormat
    located = partial(_read, formats=_kinds(_IN_WHOLE), try_downscale=False, return_errors=True)
    shifted = picture[_HALF_BLOCK:, _HALF_BLOCK:]
    jobs: list[_Job] = [
        partial(_read, picture, formats=every.AllLinear),
        partial(_read, picture, formats=every.AllMatrix, return_errors=True),
        partial(located, picture, binarizer=zxingcpp.Binarizer.GlobalHistogram),
    ]
    if shifted.size:
        jobs.append(partial(located, shifted, _HALF_BLOCK, _HALF_BLOCK))
    jobs += _in_crops(_crops(picture, least, _PARTS[:1]), _IN_HALVES, return_errors=True)
    found = _on_all_cores(jobs)
    if found and not any(one.is_read for one in found):
        found = _on_all_cores(_in_crops(_crops(picture, least), _IN_CROPS))
    return _boxes(found)


def _kinds(names: Iterable[str]) -> tuple[object, ...]:
    import zxingcpp

    return tuple(getattr(zxingcpp.BarcodeFormat, name) for name in names)


def _boxes(found: Iterable[_Located]) -> list[Box]:
    return [one.box for one in found if one.is_read]


def _in_crops(
    crops: Iterable[_Crop],
    kinds: Iterable[str],
    **options: Any,  # noqa: ANN401 (zxing-cpp's)
) -> list[_Job]:
    """Return what reads each crop."""
    read = partial(_read, formats=_kinds(kinds), try_downscale=False, **options)
    return [partial(read, *crop) for crop in crops]


def _on_all_cores(jobs: list[_Job]) -> list[_Located]:
    """Return what jobs return, in their order.

    Most take less than half a millisecond, so threads help themselves: handing each job to one
    takes a tenth of that.
    """
    found: dict[int, list[_Located]] = {}
    left = deque(enumerate(jobs))

    def work() -> None:
        while True:
            try:
                number, job = left.popleft()
            except IndexError:
                return
            found[number] = job()

    helpers = min(core_count(), _MOST_THREADS, len(jobs)) - 1
    with Threads(max(helpers, 1)) as pool:
        helping = [pool.submit(work) for _ in range(helpers)]
        work()
        for one in helping:
            one.result()
    return [one for number in range(len(jobs)) for one in found[number]]


def _crops(picture: Grey, least: int, parts: Iterable[int] = _PARTS) -> Iterator[_Crop]:
    """Yield parts of a picture that are not flat, with the column and row where they begin."""
    rows, columns = picture.shape
    for count in parts:
        length, width = rows // count, columns // count
        if min(length, width) < least:
            return
        for row in range(2 * count - 1):
            for column in range(2 * count - 1):
                x, y = column * width // 2, row * length // 2
                part = picture[y : y + length, x : x + width]
                if np.ptp(part) >= _FLAT:
                    yield part, x, y


def _read(
    picture: Grey,
    x: int = 0,
    y: int = 0,
    **options: Any,  # noqa: ANN401 (zxing-cpp's)
) -> list[_Located]:
    """Return what is located in the picture that a part begins in at x and y."""
    import zxingcpp

    return [
        _Located(_around(code.position).moved(x + right, y + down), code.valid)
        for piece, right, down in _pieces(picture)
        for code in zxingcpp.read_barcodes(np.ascontiguousarray(piece), **options)
    ]


def _pieces(picture: Grey) -> Iterator[_Crop]:
    """Yield what zxing-cpp takes of a picture at a time, with the column and row it begins at."""
    downs, rights = (range(0, max(side - _SHARED, 1), _LONGEST - _SHARED) for side in picture.shape)
    for down in downs:
        for right in rights:
            yield picture[down : down + _LONGEST, right : right + _LONGEST], right, down


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
