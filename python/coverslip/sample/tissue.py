"""A picture of stained tissue: pink stroma, purple nuclei, glands, glass around them.

The texture is periodic, so that a slide of any size can be laid out with it, and the outline of
the tissue is a formula, so that every level of the pyramid can be drawn for itself.
"""

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]

SIDE = 2048
"""Period of the texture in pixels of the base level, at a quarter of a micrometre each."""
GLASS = (242.0, 241.0, 244.0)
_STROMA = np.array([224, 168, 201], np.float32)
_FIBRE = np.array([196, 118, 166], np.float32)
_NUCLEUS = np.array([92, 62, 134], np.float32)
_CYTOPLASM = np.array([201, 148, 196], np.float32)


def _smooth_noise(random: np.random.Generator, across: float, down: float) -> Field:
    """Return periodic noise in -1 to 1 with features of the given sizes in pixels."""
    noise = np.fft.rfft2(random.standard_normal((SIDE, SIDE)).astype(np.float32))
    fy = np.fft.fftfreq(SIDE)[:, None]
    fx = np.fft.rfftfreq(SIDE)[None]
    noise *= np.exp(-((fx * across) ** 2 + (fy * down) ** 2) * 8)
    field = np.fft.irfft2(noise, s=(SIDE, SIDE)).astype(np.float32)
    return np.asarray(field / (np.abs(field).max() + 1e-9), np.float32)


def _blend(picture: Field, colour: npt.NDArray[np.float32], share: Field) -> None:
    """Mix a colour into a picture in place, by a share between 0 and 1 for each pixel."""
    picture += (colour - picture) * share[..., None]


def _stamp(
    share: Field, x: float, y: float, shape: tuple[float, float, float], soft: float
) -> None:
    """Raise the share inside an ellipse (half axes, angle), over the edge of the period."""
    long_axis, short_axis, angle = shape
    reach = int(max(long_axis, short_axis) * (1 + soft)) + 2
    rows = np.arange(int(y) - reach, int(y) + reach + 1)
    columns = np.arange(int(x) - reach, int(x) + reach + 1)
    dx, dy = np.meshgrid(columns - x, rows - y)
    u = (dx * np.cos(angle) + dy * np.sin(angle)) / long_axis
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / short_axis
    inside = np.clip((1 + soft - np.hypot(u, v)) / soft, 0, 1).astype(np.float32)
    window = np.ix_(rows % SIDE, columns % SIDE)
    share[window] = np.maximum(share[window], inside)


def texture(seed: int) -> Picture:
    """Return one period of tissue, shape (SIDE, SIDE, 3)."""
    random = np.random.default_rng(seed)
    warp = _smooth_noise(random, 260, 260)
    fibres = np.sin(_smooth_noise(random, 60, 16) * 9 + warp * 5)
    picture = np.broadcast_to(_STROMA, (SIDE, SIDE, 3)).copy()
    _blend(picture, _FIBRE, np.clip(fibres * 0.5 + 0.15, 0, 0.75).astype(np.float32))

    lumens = np.zeros((SIDE, SIDE), np.float32)
    epithelium = np.zeros((SIDE, SIDE), np.float32)
    nuclei = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(26):
        x, y = random.uniform(0, SIDE, 2)
        radius, squeeze = random.uniform(55, 105), random.uniform(0.6, 1)
        angle = random.uniform(0, np.pi)
        _stamp(epithelium, x, y, (radius + 44, (radius + 44) * squeeze, angle), 0.08)
        _stamp(lumens, x, y, (radius, radius * squeeze, angle), 0.08)
        around = np.linspace(0, 2 * np.pi, int(radius * 0.42), endpoint=False)
        for turn in around + random.normal(0, 0.03, around.size):
            out = radius + random.uniform(20, 32)
            u, v = out * np.cos(turn), out * squeeze * np.sin(turn)
            at = (
                x + u * np.cos(angle) - v * np.sin(angle),
                y + u * np.sin(angle) + v * np.cos(angle),
            )
            _stamp(nuclei, *at, (random.uniform(11, 15), random.uniform(7, 9), turn + angle), 0.35)
    for x, y in random.uniform(0, SIDE, (1900, 2)):
        slim = random.random() < 0.55
        shape = (random.uniform(10, 17), random.uniform(4, 6) if slim else random.uniform(8, 12))
        strength_before = lumens[int(y) % SIDE, int(x) % SIDE]
        if strength_before < 0.1 and epithelium[int(y) % SIDE, int(x) % SIDE] < 0.1:
            _stamp(nuclei, x, y, (*shape, random.uniform(0, np.pi)), 0.4)
    _blend(picture, _CYTOPLASM, epithelium * 0.8)
    mottle = 0.86 + 0.14 * _smooth_noise(random, 5, 5)
    _blend(picture, _NUCLEUS, np.asarray(nuclei * mottle, np.float32))
    _blend(picture, np.array(GLASS, np.float32), lumens * (1 - nuclei))
    picture += warp[..., None] * 9 + random.normal(0, 2.2, (SIDE, SIDE, 1)).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def glass(seed: int, side: int) -> Picture:
    """Return a square of empty glass with a little noise."""
    noise = np.random.default_rng(seed).normal(0, 0.8, (side, side, 1))
    return np.clip(np.array(GLASS) + noise, 0, 255).astype(np.uint8)


def reduced(picture: Picture, factor: int) -> Picture:
    """Return a picture whose sides are ``factor`` times shorter, by averaging."""
    rows, columns = picture.shape[0] // factor, picture.shape[1] // factor
    blocks = picture.reshape(rows, factor, columns, factor, 3)
    return np.asarray(np.round(blocks.mean(axis=(1, 3), dtype=np.float32)), np.uint8)


def coverage(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how deep inside the tissue points lie: 0 at its edge, negative on glass.

    Coordinates are fractions of the slide's width and length; the result is a fraction too.
    """
    sections = []
    for centre_x, centre_y, radius_x, radius_y, phase in (
        (0.33, 0.46, 0.26, 0.37, 0.4),
        (0.75, 0.57, 0.17, 0.33, 2.1),
    ):
        dx, dy = (x - centre_x) / radius_x, (y - centre_y) / radius_y
        turn = np.arctan2(dy, dx)
        edge = 1 + 0.07 * np.sin(3 * turn + phase) + 0.05 * np.sin(7 * turn - 2 * phase)
        edge += 0.02 * np.sin(17 * turn + 5 * phase)
        sections.append((edge - np.hypot(dx, dy)) * radius_x)
    return np.maximum(*sections)
