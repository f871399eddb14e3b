"""The log p(x) from which gaps are computed, and a check of the order of the bounds."""

from collections.abc import Mapping

import numpy as np

from vaejax.marginal_likelihood.averages import mean_and_errors
from vaejax.marginal_likelihood.estimates import doubts

_ESTIMATORS = ("importance", "annealed")


def better_estimator(arrays: Mapping[str, np.ndarray], rows: np.ndarray) -> str:
    """`importance` or `annealed`, whichever is higher on average over the examples in `rows` where
    both are finite."""
    both = rows & np.all([np.isfinite(arrays[name]) for name in _ESTIMATORS], axis=0)
    means = {name: arrays[name][both].sum(dtype=np.float64) for name in _ESTIMATORS}
    return max(means, key=lambda name: means[name])


def chosen_estimators(arrays: Mapping[str, np.ndarray]) -> tuple[str, str]:
    """The estimators for examples with an even and with an odd index; each is chosen on the other
    half.

    So the choice does not depend on the examples that are averaged, and the average stays a lower
    bound on log p(x) in expectation. The larger of two noisy estimates would not be a bound.
    """
    odd = np.arange(len(arrays["importance"])) % 2 == 1
    return better_estimator(arrays, odd), better_estimator(arrays, ~odd)


def describe_choice(arrays: Mapping[str, np.ndarray]) -> str:
    """Where log p(x) comes from: `exact`, or `chosen_estimators` in words."""
    if "importance" not in arrays:
        return "exact"
    even, odd = chosen_estimators(arrays)
    return even if even == odd else f"{even} (examples of even index), {odd} (odd)"


def with_log_p(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with `log_p`: the exact one if it is known, else by the chosen estimators, if they
    have estimates."""
    if "log_p" in arrays or "importance" not in arrays:
        return dict(arrays)
    even, odd = chosen_estimators(arrays)
    found = dict(arrays)
    for suffix in ("", "_std_error", "_khat"):
        found[f"log_p{suffix}"] = np.array(arrays[f"{even}{suffix}"])
        found[f"log_p{suffix}"][1::2] = arrays[f"{odd}{suffix}"][1::2]
    return found


def flags(arrays: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    """The examples whose estimate of log p(x) is not to be believed, by reason; of arrays with
    `log_p`."""
    if "missed" not in arrays:  # it is exact
        return {}
    found = doubts(arrays["log_p_std_error"], arrays["log_p_khat"], arrays["missed"])
    return {reason: np.flatnonzero(mask).tolist() for reason, mask in found.items() if mask.any()}


def out_of_order(arrays: Mapping[str, np.ndarray], name: str, own: str | None) -> list[int]:
    """The examples where amortized <= best bound <= log p(x) fails by over three standard errors.
    The first part is not checked if the encoder's q is of no family (`own`), as it may be the
    best."""

    def above(low, high):
        error = np.hypot(arrays[f"{low}_std_error"], arrays[f"{high}_std_error"])
        return arrays[low] - arrays[high] > 3 * error + 1e-3

    wrong = above(name, "log_p")
    if own is not None:
        wrong |= above("amortized", name)
    return np.flatnonzero(wrong).tolist()


def mean_of(arrays: Mapping[str, np.ndarray], name: str, usable: np.ndarray) -> dict:
    """The mean of one number over the usable examples, with its errors."""
    return mean_and_errors(arrays[name][usable], arrays[f"{name}_std_error"][usable])


def fit_summary(arrays: Mapping[str, np.ndarray], name: str, usable: np.ndarray) -> dict:
    """The mean `bound` of the fits called `name` over the usable examples, their median number of
    steps, and the examples whose fit diverged or has not converged."""
    diverged, converged = arrays[f"{name}_diverged"], arrays[f"{name}_converged"]
    return {
        "bound": mean_of(arrays, name, usable),
        "steps_median": float(np.median(arrays[f"{name}_steps"])),
        "diverged": np.flatnonzero(diverged).tolist(),
        "not_converged": np.flatnonzero(~converged & ~diverged).tolist(),
    }
