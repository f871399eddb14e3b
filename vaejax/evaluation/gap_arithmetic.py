"""Which log p(x) a gap is taken from, and whether its bounds are in order."""

from collections.abc import Mapping

import numpy as np

_ESTIMATORS = ("importance", "annealed")


def better_estimator(arrays: Mapping[str, np.ndarray]) -> str:
    """`importance` or `annealed`, whichever is higher on average where both are finite. One for
    all examples: the larger of two noisy estimates, example by example, would be no lower bound in
    expectation."""
    both = np.all([np.isfinite(arrays[name]) for name in _ESTIMATORS], axis=0)
    means = {name: arrays[name][both].sum(dtype=np.float64) for name in _ESTIMATORS}
    return max(means, key=lambda name: means[name])


def with_log_p(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, and `log_p` of the better estimator where there are any."""
    if "importance" not in arrays:
        return dict(arrays)
    name = better_estimator(arrays)
    return dict(arrays) | {"log_p": arrays[name], "log_p_std_error": arrays[f"{name}_std_error"]}


def out_of_order(arrays: Mapping[str, np.ndarray], name: str) -> list[int]:
    """Examples where amortized <= best bound <= log p fails by more than three standard errors."""

    def above(low, high):
        error = np.hypot(arrays[f"{low}_std_error"], arrays[f"{high}_std_error"])
        return arrays[low] - arrays[high] > 3 * error + 1e-3

    wrong = above("amortized", name) | above(name, "log_p")
    return np.flatnonzero(wrong).tolist()
