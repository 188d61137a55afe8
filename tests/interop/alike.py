"""How far two pictures are from each other, in eight bytes a sample only where it takes them."""

import numpy as np


def difference(shown: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return how far each sample is from what it should be, in the type of both if it is one."""
    if shown.dtype != expected.dtype:
        return np.abs(shown.astype(int) - expected.astype(int))
    return np.maximum(shown, expected) - np.minimum(shown, expected)


def nearly_all_within(distances: np.ndarray, most: float) -> bool:
    """Tell whether no more than one sample of a hundred is farther away."""
    return np.count_nonzero(distances > most) * 100 <= distances.size
