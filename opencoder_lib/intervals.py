"""How sure a measured number is: 95 % intervals, for every package that measures something.

Axes: U units (repositories, tasks), S resamples.
"""

import math

import numpy as np

from opencoder_lib import seeds

Z_95 = 1.959964


def wilson(hits: int, count: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a share: stays within [0, 1] and has a width even where all or none were hit."""
    share, spread = hits / count, z * z / count
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def resamples(num_units: int, num_resamples: int, seed: int, stream: str) -> np.ndarray:
    """How often each unit is drawn, with replacement, in each bootstrap resample: (S, U) integers."""
    return seeds.rng(seed, "bootstrap", stream).multinomial(num_units, [1 / num_units] * num_units, num_resamples)


def percentile_interval(values_S: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of what the resamples gave."""
    low, high = np.percentile(values_S, [2.5, 97.5])
    return float(low), float(high)
