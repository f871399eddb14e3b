"""Means over examples with both of their errors, accumulated in float64."""

import math

import numpy as np


def mean_and_errors(values: np.ndarray, monte_carlo: np.ndarray | None = None) -> dict:
    """The mean over examples, and two standard errors kept apart.

    `std_error_data`: sd over examples / sqrt(n), the error as an estimate for the population
    that the split was drawn from. `std_error_monte_carlo`: sqrt(sum of squared per-example
    errors) / n, the error from the sampling alone; None where the value is deterministic or an
    example's error unknown. All are
    None where there is no example.
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    result = {
        "mean": float(values.mean()) if n else None,
        "std_error_data": float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else None,
        "std_error_monte_carlo": None,
        "n": n,
    }
    if monte_carlo is not None and n:
        error = float(np.sqrt(np.sum(np.asarray(monte_carlo, np.float64) ** 2)) / n)
        result["std_error_monte_carlo"] = error if math.isfinite(error) else None
    return result
