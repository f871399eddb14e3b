"""Averages over seeds, and paired differences between models on the same examples."""

import math
from typing import Any

import numpy as np
from scipy.special import stdtrit

from vaejax.evaluation.summary import mean_and_errors


def over_seeds(entries: list[dict[str, Any]], value: str = "mean") -> dict[str, Any]:
    """The mean of one number over seeds, and its standard errors: `std_error_seeds`, None for one
    seed; `std_error_data`, the mean of the errors of the seeds, since all share the test examples;
    and `std_error`, the root of the sum of both squared."""
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


def paired_difference(first: list[np.ndarray], second: list[np.ndarray]) -> dict[str, Any]:
    """`paired_ratio` per example: the mean of log p(x) under the first model minus log p(x) under
    the second, in nats."""
    return paired_ratio(first, second, np.ones(len(first[0])))


def ratio_over_seeds(
    seeds: list[np.ndarray], counts: np.ndarray, errors: list[np.ndarray] | None = None
) -> dict[str, Any]:
    """sum(values) / sum(counts), such as total nats / total frames, averaged over seeds: the result
    of `mean_and_errors`, with Monte Carlo errors if `errors` are given, and the error over seeds if
    there are several."""
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
    """sum(first - second) / sum(counts) over the same examples under two models; `first` and
    `second` have an array for each seed.

    `std_error_data`: over examples, which includes Monte Carlo errors. `std_error_seeds`: over
    seeds; None if one of the models has only one seed. `std_error`: both errors combined, as far as
    they are known. `half_width`: half the width of the 95 % interval by `student_interval`. These
    are None for one example and one seed, or if nothing counts. `trainings`: the number of
    trainings of both models."""
    found = ratio_over_seeds(
        [np.mean(first, axis=0, dtype=np.float64) - np.mean(second, axis=0)], counts
    )
    of_seeds = [ratio_over_seeds(seeds, counts)["std_error_seeds"] for seeds in (first, second)]
    parts = [(found["std_error_data"], found["n"] - 1)]
    if None not in of_seeds:
        parts += [
            (error, len(seeds) - 1) for error, seeds in zip(of_seeds, (first, second), strict=True)
        ]
    parts = [(error, freedom) for error, freedom in parts if error is not None]
    known = parts and found["mean"] is not None
    error, half = student_interval(parts) if known else (None, None)
    return {
        "mean": found["mean"],
        "std_error_data": found["std_error_data"],
        "std_error_seeds": None if None in of_seeds else math.hypot(*of_seeds),
        "std_error": error,
        "half_width": half,
        "trainings": len(first) + len(second),
    }


def student_interval(parts: list[tuple[float, float]]) -> tuple[float, float]:
    """(standard error, half the width of a 95 % interval) of a sum of independent parts, each given
    as (standard error s, degrees of freedom). The interval is Student's with sum(s^2)^2 / sum(s^4 /
    freedom) degrees of freedom (Satterthwaite 1946, Welch 1947)."""
    error = math.hypot(*(error for error, _ in parts))
    if error == 0:
        return 0.0, 0.0
    shares = [(part / error) ** 4 / freedom for part, freedom in parts]
    return error, error * float(stdtrit(1 / sum(shares) if sum(shares) else math.inf, 0.975))


def ahead(pair: dict[str, Any], sign: int) -> str | None:
    """The label of the better model of a `paired_ratio`, if more (sign 1) or less (-1) is better;
    None if the 95 % interval contains 0 or is not known."""
    if pair["half_width"] is None or not abs(pair["mean"]) > pair["half_width"]:  # or NaN
        return None
    return pair["first"] if sign * pair["mean"] > 0 else pair["second"]


def of_trainings(pair: dict[str, Any]) -> str:
    """The end of a verdict on a `paired_ratio` whose error over seeds is not known; else ""."""
    if pair["std_error_seeds"] is not None:
        return ""
    return f", for these {'two ' if pair['trainings'] == 2 else ''}trainings only"


def verdict(pair: dict[str, Any], sign: int, words: str = "is ahead") -> str:
    """Whether the two models of a `paired_ratio` can be told apart, and which is `ahead`, in
    words."""
    best = ahead(pair, sign)
    return f"yes: {best} {words}{of_trainings(pair)}" if best else "no"


def paired_by_seed(first: dict[str, Any], second: dict[str, Any]) -> tuple[float, float, float]:
    """(difference, standard error, half the width of a 95 % interval) of two results of
    `over_seeds`: paired by seed if both have several, else from the errors of both. An error over
    examples is taken to have many degrees of freedom."""
    one, other = (np.array(found["each_seed"]) for found in (first, second))
    difference = first["mean"] - second["mean"]
    if len(one) == len(other) > 1:
        error = float((one - other).std(ddof=1) / math.sqrt(len(one)))
        return difference, *student_interval([(error, len(one) - 1)])
    parts = [(found["std_error_data"], math.inf) for found in (first, second)]
    parts += [
        (found["std_error_seeds"], len(found["each_seed"]) - 1)
        for found in (first, second)
        if found["std_error_seeds"] is not None
    ]
    return difference, *student_interval(parts)
