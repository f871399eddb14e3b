"""Fidelity and diversity of generated examples, compared with real ones in a feature space."""

import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

_MAX_VALUES = 10_000_000  # distances in memory at a time
_GROUP = 1000  # most examples in a group; the spread of groups gives the errors


def sample_quality(
    reference: Float[np.ndarray, "n d"],
    generated: Float[np.ndarray, "m d"],
    *,
    num_neighbours: int = 5,
    num_bootstrap: int = 100,
    seed: int,
) -> dict[str, dict[str, float | None]]:
    """The measures of `neighbour_measures` (precision, recall, density, coverage) and `squared_mmd`
    (mmd), as {measure: {"value", "std_error"}}.

    Each value depends on n and m: compare only values with equal n and m, and with the values that
    other real examples of the same number get.

    The errors are for the choice of the reference and the generated examples. They contain neither
    the training of the model nor that of the features. Models that are compared on one reference
    share its part of the error, so their difference is known better than the errors suggest.

    Resampling with replacement does not work here: a point and its copy are neighbours at distance
    0. Each neighbour measure is a mean over examples. With the balls fixed, its variance would be
    that of the examples' values / their number. But the balls are random too and shared by
    examples, which multiplies the variance by a factor that hardly depends on the size. To estimate
    this factor, reference and generated examples are split at random, without replacement, into
    groups (at least 2) of at most 1,000, which are independent replicates of a smaller size; the
    factor is their variance / the variance with fixed balls, over as many splits as give
    `num_bootstrap` groups. The error of mmd is by the jackknife, see `squared_mmd`. `std_error` is
    None for fewer than 2 (num_neighbours + 1) points.

    Raises:
      ValueError: fewer than num_neighbours + 1 points (at least 3); different d; values that are
        not finite; num_neighbours or num_bootstrap too small.
    """
    reference, generated = np.asarray(reference), np.asarray(generated)
    _check(reference, generated, num_neighbours, num_bootstrap)
    # Centre the points, for smaller rounding errors of the distances.
    center = reference.mean(axis=0, dtype=np.float64)
    real, fake = ((some - center).astype(np.float32) for some in (reference, generated))
    values = neighbour_measures(real, fake, num_neighbours)
    measures: dict[str, tuple[float, float | None]] = {
        name: (float(of_each.mean()), None) for name, of_each in values.items()
    }
    if min(len(real), len(fake)) >= 2 * (num_neighbours + 1):
        random = np.random.default_rng(seed)
        with threadpool_limits(1):  # for many small products, threads would wait for each other
            factors = _error_factors(real, fake, num_neighbours, num_bootstrap, random)
        for name, of_each in values.items():
            error = float(np.sqrt(factors[name] * _variance_of_mean(of_each)))
            measures[name] = (measures[name][0], error)
    measures["mmd"] = squared_mmd(reference, generated)
    return {name: {"value": value, "std_error": error} for name, (value, error) in measures.items()}


def neighbour_measures(
    reference: Float[np.ndarray, "n d"],
    generated: Float[np.ndarray, "m d"],
    num_neighbours: int,
) -> dict[str, Float[np.ndarray, " examples"]]:
    """The value of each example; the measure is their mean. B(x) is the ball around a point up to
    its k-th nearest neighbour in its own set, k = num_neighbours.

    `precision` (m,): whether a generated example is in any B(real).
    `recall` (n,): whether a real example is in any B(generated).
      (Kynkaanniemi et al. 2019, eqs. 1 and 2)
    `density` (m,): the number of B(real) that contain a generated example, / k; 1 on average if
      both distributions are the same, more if generated examples are dense where real ones are.
    `coverage` (n,): whether a B(real) contains any generated example.
      (Naeem et al. 2020, eqs. 3 and 4)
    """
    from sklearn.neighbors import NearestNeighbors

    radius_real, radius_fake = (
        NearestNeighbors(n_neighbors=num_neighbours, algorithm="brute")
        .fit(some)
        .kneighbors()[0][:, -1]
        for some in (reference, generated)
    )
    holding = np.zeros(len(generated))  # the number of B(real) that contain each generated example
    covered, recalled = [], []
    squares = np.sum(generated**2, axis=1)
    for rows in _blocks(len(reference), len(generated)):
        block = reference[rows]
        distance = squares - 2 * block @ generated.T
        distance += np.sum(block**2, axis=1)[:, None]
        held = distance <= radius_real[rows, None] ** 2
        holding += held.sum(axis=0)
        covered.append(held.any(axis=1))
        recalled.append((distance <= radius_fake**2).any(axis=1))
    return {
        "precision": np.asarray(holding > 0, np.float64),
        "recall": np.concatenate(recalled).astype(np.float64),
        "density": holding / num_neighbours,
        "coverage": np.concatenate(covered).astype(np.float64),
    }


def _variance_of_mean(values: np.ndarray) -> float:
    return values.var(ddof=1) / len(values)


def _error_factors(real, fake, num_neighbours, num_bootstrap, random) -> dict[str, float]:
    """{measure: variance of the measure over groups / its variance with fixed balls}."""
    fewest, most = sorted((len(real), len(fake)))
    groups = max(2, min(-(-most // _GROUP), fewest // (num_neighbours + 1)))
    between: dict[str, list] = {}
    fixed: dict[str, list] = {}
    for _ in range(-(-num_bootstrap // groups)):
        parts = (np.array_split(random.permutation(some), groups) for some in (real, fake))
        found = [neighbour_measures(x, y, num_neighbours) for x, y in zip(*parts, strict=True)]
        for name in found[0]:
            of_groups = [values[name] for values in found]
            between.setdefault(name, []).append(np.var([v.mean() for v in of_groups], ddof=1))
            fixed.setdefault(name, []).append(np.mean([_variance_of_mean(v) for v in of_groups]))
    return {
        name: float(np.mean(between[name]) / np.mean(fixed[name])) if np.any(fixed[name]) else 1.0
        for name in fixed
    }


def squared_mmd(
    reference: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"]
) -> tuple[float, float]:
    """(MMD^2, its standard error) with the kernel (x . y / d + 1)^3 of the kernel inception
    distance (Binkowski et al. 2018), by the unbiased estimator over all pairs (Gretton et al. 2012,
    eq. 3): mean k(x, x') + mean k(y, y') - 2 mean k(x, y), x != x', y != y'. Since it is unbiased,
    it is negative about half the time if both distributions are the same.

    The error is by the jackknife over the two samples. If the distributions are the same, it is too
    large by a factor sqrt(2), since the variance is then of second order; else it is right for many
    examples.
    """
    n, m = len(reference), len(generated)
    rows_real = _kernel_sums(reference, reference)[0] - _kernel_of_itself(reference)
    rows_fake = _kernel_sums(generated, generated)[0] - _kernel_of_itself(generated)
    across_real, across_fake = _kernel_sums(reference, generated)

    def statistic(within_real, within_fake, across, n, m):
        return within_real / (n * (n - 1)) + within_fake / (m * (m - 1)) - 2 * across / (n * m)

    real, fake, across = rows_real.sum(), rows_fake.sum(), across_real.sum()
    value = statistic(real, fake, across, n, m)
    without_real = statistic(real - 2 * rows_real, fake, across - across_real, n - 1, m)
    without_fake = statistic(real, fake - 2 * rows_fake, across - across_fake, n, m - 1)
    variance = (n - 1) * without_real.var() + (m - 1) * without_fake.var()
    return float(value), float(np.sqrt(variance))


def _kernel_sums(xs, ys) -> tuple[np.ndarray, np.ndarray]:
    """The sums of k(x, y) over y for each x, and over x for each y, in float64."""
    by_x, by_y = [], np.zeros(len(ys))
    for rows in _blocks(len(xs), len(ys)):
        kernel = (xs[rows] @ ys.T / xs.shape[1] + 1) ** 3
        by_x.append(kernel.sum(axis=1, dtype=np.float64))
        by_y += kernel.sum(axis=0, dtype=np.float64)
    return np.concatenate(by_x), by_y


def _kernel_of_itself(xs) -> np.ndarray:
    return (np.sum(xs**2, axis=1, dtype=np.float64) / xs.shape[1] + 1) ** 3


def _blocks(rows: int, columns: int) -> list[slice]:
    size = max(1, _MAX_VALUES // columns)
    return [slice(start, start + size) for start in range(0, rows, size)]


def _check(reference, generated, num_neighbours, num_bootstrap) -> None:
    if num_neighbours < 1 or num_bootstrap < 2:
        raise ValueError(
            f"expected num_neighbours of at least 1 and num_bootstrap of at least 2; got "
            f"{num_neighbours} and {num_bootstrap}"
        )
    for name, some in (("reference", reference), ("generated", generated)):
        fewest = max(num_neighbours + 1, 3)
        if some.ndim != 2 or len(some) < fewest:
            raise ValueError(
                f"expected at least {fewest} {name} points (n, d) for {num_neighbours} "
                f"neighbours; got shape {some.shape}"
            )
        if not np.isfinite(some).all():
            raise ValueError(f"expected finite {name} points; got NaN or infinite values")
    if reference.shape[1] != generated.shape[1]:
        raise ValueError(
            f"expected points with the same number of features; the reference has "
            f"{reference.shape[1]}, the generated ones {generated.shape[1]}: apply the same "
            "features to both"
        )
