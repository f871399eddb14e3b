"""Means over examples with both of their errors, accumulated in float64."""

import math

import numpy as np

ACTIVE_VARIANCE = 0.01


def mean_and_errors(values: np.ndarray, monte_carlo: np.ndarray | None = None) -> dict:
    """The mean over examples, and two standard errors kept apart.

    `std_error_data`: sd over examples / sqrt(n), the error as an estimate for the population
    that the split was drawn from. `std_error_monte_carlo`: sqrt(sum of squared per-example
    errors) / n, the error from the sampling alone; None where the value is deterministic.
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    result = {
        "mean": float(values.mean()),
        "std_error_data": float(values.std(ddof=1) / math.sqrt(n)) if n > 1 else None,
        "std_error_monte_carlo": None,
        "n": n,
    }
    if monte_carlo is not None:
        errors = np.asarray(monte_carlo, np.float64)
        result["std_error_monte_carlo"] = float(np.sqrt(np.sum(errors**2)) / n)
    return result


def summarize(arrays: dict[str, np.ndarray]) -> dict:
    """Per-example arrays of `evaluate`, in nats -> their means with both errors; how many latent
    dimensions are used; how many examples have a k-hat above 0.7."""
    summary: dict = {}
    for name in ("iwae", "elbo", "reconstruction", "kl", "squared_error"):
        if name in arrays:
            summary[name] = mean_and_errors(arrays[name], arrays.get(f"{name}_std_error"))
    if "khat" in arrays:
        summary["khat_above_0.7"] = int(np.sum(arrays["khat"] > 0.7))
        summary["ess_median"] = float(np.median(arrays["ess"]))
    if "kl_per_dimension" in arrays:
        per_dimension = arrays["kl_per_dimension"].reshape(len(arrays["kl_per_dimension"]), -1)
        summary["kl_per_dimension"] = per_dimension.mean(axis=0, dtype=np.float64).tolist()
    if "code" in arrays:
        code = arrays["code"].reshape(len(arrays["code"]), -1)
        variance = code.var(axis=0, dtype=np.float64)
        summary["active_units"] = int(np.sum(variance > ACTIVE_VARIANCE))
        summary["latent_dimensions"] = int(code.shape[1])
    return summary
