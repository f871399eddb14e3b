"""Numbers of several seeds, and differences between models that share their examples."""

import math
from typing import Any

import numpy as np
from scipy.special import stdtrit

from vaejax.evaluation.summary import mean_and_errors


def over_seeds(entries: list[dict[str, Any]], value: str = "mean") -> dict[str, Any]:
    """The mean over seeds of one number, and its standard errors: `std_error_seeds`, None of one
    seed; `std_error_data`, the mean of those that the numbers came with, since all seeds share the
    test examples; and `std_error`, of both in squares."""
    values = np.array([entry[value] for entry in entries], np.float64)
    own = [entry.get("std_error", entry.get("std_error_data")) or 0.0 for entry in entries]
    seeds = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    data = float(np.mean(own))
    return {
        "mean": float(values.mean()),
        "std_error": math.hypot(seeds or 0.0, data),
        "std_error_data": data,
        "std_error_seeds": seeds,
        "each_seed": values.tolist(),
    }


def log_p_over_seeds(log_p: list[np.ndarray], errors: list[np.ndarray]) -> dict[str, Any]:
    """-log p(x) in nats of the same examples under each seed's model: the mean with its errors of
    estimation, over examples and over seeds; the last needs two."""
    found = mean_and_errors(np.mean(log_p, axis=0), np.sqrt(np.sum(np.square(errors), axis=0)))
    means = [float(np.mean(values, dtype=np.float64)) for values in log_p]
    monte_carlo = found["std_error_monte_carlo"]
    return {
        "mean": found["mean"],
        "std_error_monte_carlo": monte_carlo and monte_carlo / len(log_p),
        "std_error_data": found["std_error_data"],
        "std_error_seeds": np.std(means, ddof=1) / math.sqrt(len(means)) if means[1:] else None,
        "n": found["n"],
    }


def paired_difference(first: list[np.ndarray], second: list[np.ndarray]) -> dict[str, Any]:
    """`paired_ratio` per example: the mean of log p under the first model minus under the second,
    in nats."""
    return paired_ratio(first, second, np.ones(len(first[0])))


def ratio_over_seeds(
    seeds: list[np.ndarray], counts: np.ndarray, errors: list[np.ndarray] | None = None
) -> dict[str, Any]:
    """sum(values) / sum(counts), as total nats over total frames, averaged over seeds: as
    `mean_and_errors`, with the errors of estimation where they are known, and the error over seeds
    where there are several."""
    squares = None if errors is None else np.sum(np.square(errors), axis=0)
    found = mean_and_errors(
        np.stack(seeds).mean(axis=0, dtype=np.float64),
        None if squares is None else np.sqrt(squares) / len(seeds),
        counts,
    )
    means = [mean_and_errors(values, None, counts)["mean"] for values in seeds]
    some = means[1:] and None not in means
    spread = np.std(means, ddof=1) / math.sqrt(len(means)) if some else None
    return found | {"std_error_seeds": spread, "each_seed": means}


def paired_ratio(
    first: list[np.ndarray], second: list[np.ndarray], counts: np.ndarray
) -> dict[str, Any]:
    """sum(first - second) / sum(counts) of the same examples under two models, an array for each
    seed. `std_error_data` is over examples, which holds that of estimation; `std_error_seeds` over
    seeds, None where each has one; `std_error` of both in squares. `half_width` is of Student's
    95 % interval with the fewest degrees of freedom among these. None where there is but one
    example and one seed, or nothing counts."""
    found = ratio_over_seeds(
        [np.mean(first, axis=0, dtype=np.float64) - np.mean(second, axis=0)], counts
    )
    of_seeds = [ratio_over_seeds(seeds, counts)["std_error_seeds"] for seeds in (first, second)]
    over_seeds = math.hypot(*(error or 0.0 for error in of_seeds))
    freedom = [n - 1 for n in (found["n"], len(first), len(second)) if n > 1]
    known = freedom and found["mean"] is not None
    error = math.hypot(found["std_error_data"] or 0.0, over_seeds) if known else None
    half = error * float(stdtrit(min(freedom), 0.975)) if error is not None else None
    return {
        "mean": found["mean"],
        "std_error_data": found["std_error_data"],
        "std_error_seeds": None if of_seeds == [None, None] else over_seeds,
        "std_error": error,
        "half_width": half,
    }


def ahead(pair: dict[str, Any], sign: int) -> str | None:
    """Which model of a `paired_ratio` is ahead, where more (sign 1) or less (-1) is better; None
    where the 95 % interval holds 0 or is not known."""
    if pair["half_width"] is None or not abs(pair["mean"]) > pair["half_width"]:  # or NaN
        return None
    return pair["first"] if sign * pair["mean"] > 0 else pair["second"]


def paired_by_seed(first: dict[str, Any], second: dict[str, Any]) -> tuple[float, float, float]:
    """(difference, standard error, half the width of a 95 % interval) of two means `over_seeds`:
    paired by seed where there are several, else from the errors of both."""
    one, other = (np.array(found["each_seed"]) for found in (first, second))
    if len(one) != len(other) or len(one) < 2:
        error = math.hypot(first["std_error"], second["std_error"])
        return first["mean"] - second["mean"], error, 1.96 * error
    error = float((one - other).std(ddof=1) / math.sqrt(len(one)))
    return (
        float((one - other).mean()),
        error,
        error * float(stdtrit(len(one) - 1, 0.975)),
    )
