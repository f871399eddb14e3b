"""Means over examples with both of their errors, accumulated in float64."""

import math

import numpy as np


def mean_and_errors(
    values: np.ndarray, monte_carlo: np.ndarray | None = None, counts: np.ndarray | None = None
) -> dict:
    """The mean over examples, and two standard errors kept apart.

    Args:
      monte_carlo: standard errors of the values from sampling.
      counts: how many things each value is the sum over, as nats over frames: the mean is then
        sum(values) / sum(counts), of one of those things.

    `n` is how many examples count. `std_error_data`: sd over examples / sqrt(n), the error as an
    estimate for the population that the split was drawn from, None where n is below 2; with
    `counts` by the delta method, of the ratio of two means.
    `std_error_monte_carlo`: sqrt(sum of squared per-example errors) / n (or sum(counts)), the
    error from the sampling alone; None where the value is deterministic or an example's error
    unknown. All are None where there is no example, or nothing counts.
    """
    values = np.asarray(values, np.float64)
    counts = np.ones(len(values)) if counts is None else np.asarray(counts, np.float64)
    n, total = int(np.sum(counts > 0)), counts.sum()
    result: dict = {"mean": None, "std_error_data": None, "std_error_monte_carlo": None, "n": n}
    if total == 0:
        return result
    mean = values.sum() / total
    result["mean"] = float(mean)
    if n > 1:
        squares = np.sum((values - mean * counts) ** 2)
        result["std_error_data"] = float(math.sqrt(n / (n - 1) * squares) / total)
    if monte_carlo is not None:
        error = float(np.sqrt(np.sum(np.asarray(monte_carlo, np.float64) ** 2)) / total)
        result["std_error_monte_carlo"] = error if math.isfinite(error) else None
    return result
