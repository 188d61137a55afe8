"""A small picture that looks like stained tissue on glass."""

import functools

import numpy as np


@functools.lru_cache(maxsize=32)
def tissue(width: int, length: int, seed: int) -> np.ndarray:
    """Return RGB of shape (length, width, 3): a third of it neutral glass, the rest pink.

    Slides of hundreds of tests have the same few pictures, so nobody may write into one.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:length, 0:width].astype(np.float64)
    waves = sum(
        np.sin(x / random.uniform(9, 40) + y / random.uniform(9, 40) + random.uniform(0, 6))
        for _ in range(6)
    )
    centre = (x / width - 0.45) ** 2 / 0.17 + (y / length - 0.5) ** 2 / 0.2
    inside = np.clip((1 - centre) * 8, 0, 1)[..., None]
    stroma = np.array([214, 150, 190]) + waves[..., None] * np.array([6, 11, 7])
    nuclei = (np.sin(x / 3.7 + waves) * np.sin(y / 4.1 - waves) > 0.72)[..., None]
    stained = np.where(nuclei, np.array([96, 62, 138]), stroma)
    glass = np.full((length, width, 3), 243.0)
    picture = inside * stained + (1 - inside) * glass + random.normal(0, 1.2, (length, width, 1))
    shown = np.clip(np.round(picture), 0, 255).astype(np.uint8)
    shown.setflags(write=False)
    return shown


def halved(picture: np.ndarray, factor: int) -> np.ndarray:
    """Return a picture reduced by a whole factor, its size rounded down as scanners do."""
    length, width = (side // factor for side in picture.shape[:2])
    whole = picture[: length * factor, : width * factor]
    # Rows, then columns: numpy takes far longer for the means of blocks at once.
    rows = sum(whole[row::factor].astype(np.uint32) for row in range(factor))
    sums = sum(rows[:, column::factor] for column in range(factor))
    return np.round(sums / factor**2).astype(np.uint8)


def tiles_of(picture: np.ndarray, columns: int, rows: int) -> list[np.ndarray]:
    """Return tiles in row-major order, the last ones padded with their own edge."""
    length, width = picture.shape[:2]
    padding = ((0, -length % rows), (0, -width % columns), (0, 0))
    padded = np.pad(picture, padding, mode="edge")
    return [
        padded[row : row + rows, column : column + columns]
        for row in range(0, padded.shape[0], rows)
        for column in range(0, padded.shape[1], columns)
    ]
