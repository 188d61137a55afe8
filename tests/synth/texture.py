"""A small picture that looks like stained tissue on glass."""

import functools

import numpy as np


@functools.lru_cache(maxsize=32)
def tissue(width: int, length: int, seed: int) -> np.ndarray:
    """Return RGB of shape (length, width, 3): a third of it neutral glass, the rest pink.

    Slides of hundreds of tests have the same few pictures, so nobody may write into one.
    """
    random = np.random.default_rng(seed)
    x, y = np.arange(width, dtype=np.float64), np.arange(length, dtype=np.float64)[:, None]
    waves = np.zeros((length, width))
    for _ in range(6):
        across, down = x / random.uniform(9, 40), y / random.uniform(9, 40)
        down += random.uniform(0, 6)
        # The sine of the sum of both, without a sine for each pixel.
        waves += np.sin(across) * np.cos(down) + np.cos(across) * np.sin(down)
    centre = (x / width - 0.45) ** 2 / 0.17 + (y / length - 0.5) ** 2 / 0.2
    inside = np.clip((1 - centre) * 8, 0, 1)
    nuclei = np.sin(x / 3.7 + waves) * np.sin(y / 4.1 - waves) > 0.72
    ground = (1 - inside) * 243.0 + random.normal(0, 1.2, (length, width))  # glass, and noise
    shown = np.empty((length, width, 3), np.uint8)
    for colour, (stroma, wave, nucleus) in enumerate(((214, 6, 96), (150, 11, 62), (190, 7, 138))):
        stained = np.where(nuclei, nucleus, stroma + waves * wave)
        shown[..., colour] = np.clip(np.round(inside * stained + ground), 0, 255)
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
