"""What log importance weights say: their log-mean, its error, ESS, and the tail index k-hat.

Of an array of weights at once, or of a stream of them in bounded memory (`Summary`).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vaejax.types import Key


def log_mean_exp(log_w: Float[Array, " k"]) -> Float[Array, ""]:
    """log 1/K sum_k exp(log_w_k)."""
    return jax.nn.logsumexp(log_w) - math.log(log_w.shape[0])


def effective_sample_size(log_w: Float[Array, " k"]) -> Float[Array, ""]:
    """(sum w)^2 / sum w^2 (Kong 1992)."""
    w = jnp.exp(log_w - jnp.max(log_w))
    return jnp.sum(w) ** 2 / jnp.sum(w**2)


def std_error_of_log_mean(log_w: Float[Array, " k"]) -> Float[Array, ""]:
    """inf at K = 1. From 100 weights on the delta method: sd(w) / (mean(w) sqrt(K)), which
    `interval_factor` widens. Of fewer the larger of two, since of few and skewed weights that is
    too small: what makes p(x) has likely not been drawn. Log-normal weights:
    sqrt(s^2 / K + s^4 / (2 (K - 1))) (Cox's method; Zhou & Gao 1997), with s the deviation about
    the median of the log weights above it: those below say nothing of the weights that are
    missing.
    """
    k = log_w.shape[0]
    if k == 1:
        return jnp.full((), jnp.inf)
    w = jnp.exp(log_w - jnp.max(log_w))
    delta = jnp.std(w) / (jnp.mean(w) * math.sqrt(k - 1))
    if k >= TAIL_KNOWN:
        return delta
    upper, median = jnp.sort(log_w)[(k + 1) // 2 :], jnp.median(log_w)
    variance = jnp.mean((upper - median) ** 2)
    log_normal = jnp.sqrt(variance / k + variance**2 / (2 * (k - 1)))
    # Where one weight is all of the sum, delta is 1: the most that it can be.
    log_normal = jnp.where(median > -jnp.inf, jnp.minimum(log_normal, 1.0), 0.0)
    return jnp.fmax(delta, log_normal)


TAIL_KNOWN = 100  # weights: of fewer the tail says nothing


def bootstrap_std_error(
    key: Key, log_w: Float[Array, " k"], *, num_resamples: int = 200
) -> Float[Array, ""]:
    """Of log_mean_exp(log_w): its standard deviation over resamples with replacement (Efron 1979).

    Near `std_error_of_log_mean` where that can be believed; the logarithm's curvature and skewed
    weights set them apart. Neither sees a mode that no sample has visited.
    """
    k = log_w.shape[0]
    w = jnp.exp(log_w - jnp.max(log_w))

    def resample(key):
        return jnp.log(jnp.mean(w[jax.random.randint(key, (k,), 0, k)]))

    # One after another: all at once would hold num_resamples * k indices.
    return jnp.std(jax.lax.map(resample, jax.random.split(key, num_resamples)))


class Moments(NamedTuple):
    """Number, mean, sums of squared and of cubed deviations; merged without cancellation (Chan et
    al. 1983; Pebay 2008)."""

    n: Float[Array, ""]
    mean: Float[Array, "..."]
    deviations: Float[Array, "..."]
    cubes: Float[Array, "..."]

    def merge(self, other: "Moments") -> "Moments":
        count = self.n + other.n
        share = other.n / count
        delta = other.mean - self.mean
        return Moments(
            count,
            self.mean + delta * share,
            self.deviations + other.deviations + delta**2 * self.n * share,
            self.cubes
            + other.cubes
            + delta**3 * self.n * share * (self.n - other.n) / count
            + 3 * delta * (self.n * other.deviations - other.n * self.deviations) / count,
        )

    def std_error(self) -> Float[Array, "..."]:
        """Of the mean: sd / sqrt(n), infinite at n = 1, where it is unknown."""
        return jnp.where(
            self.n > 1,
            jnp.sqrt(self.deviations / self.n / jnp.maximum(self.n - 1, 1)),
            jnp.inf,
        )


def moments(values: Float[Array, "... k"], valid: Bool[Array, " k"]) -> Moments:
    """Along the last axis, over the valid ones."""
    count = jnp.sum(valid).astype(values.dtype)
    mean = jnp.sum(jnp.where(valid, values, 0.0), axis=-1) / count
    from_mean = jnp.where(valid, values - mean[..., None], 0.0)
    return Moments(count, mean, jnp.sum(from_mean**2, axis=-1), jnp.sum(from_mean**3, axis=-1))


def interval_factor(khat: Float[Array, ""], w: Moments, k: int) -> Float[Array, ""]:
    """How many times wider than its standard error says an interval is, for skewed weights whose
    tail is heavy: 1 + 56 max(khat, 0) g^2 / K, with g the weights' skewness where it is positive.

    g^2 / K is the order of the error of an interval that takes the mean for normal (Edgeworth's
    expansion; Hall 1992). It is too small where the largest weights have not been drawn: so
    times the tail's index. The constant is chosen with Gaussians and q wider, narrower, shifted
    (experiments/benchmarks/exact_models.py), where `Estimates.interval` states none if it would
    state fewer than half. In 36 other such settings of 1,000 replicates (1, 3 and 6 dimensions, 200
    and 2,000 draws) it states some in 30: within two binomial errors 29 cover 93 to 97 %, one
    more, none less. A posterior with the tails of Student's t at 4 degrees of freedom, under a
    Gaussian q, has weights of infinite variance: there 83 to 93 % are covered.

    Args:
      w: moments of all K weights, on any scale.
    """
    if k < TAIL_KNOWN:
        return jnp.ones(())
    skewness = jnp.maximum(w.cubes, 0.0) / w.deviations  # g^2 / K = cubes^2 / deviations^3
    share = jnp.where(w.deviations > 0, skewness**2 / w.deviations, 0.0)
    tail = jnp.where(jnp.isfinite(khat), jnp.maximum(khat, 0.0), 1.0)  # few above the rest: heavy
    return 1.0 + 56.0 * tail * share


class Summary(NamedTuple):
    """All that is kept of a stream of log weights: what the functions above give for an array."""

    log_max: Float[Array, ""]
    scaled: Moments  # of w / max w
    largest: Float[Array, " m"]  # the m largest log weights, descending: the tail's

    def merge(self, other: "Summary") -> "Summary":
        log_max = jnp.maximum(self.log_max, other.log_max)

        def rescaled(part):
            ratio = jnp.where(part.log_max > -jnp.inf, jnp.exp(part.log_max - log_max), 0.0)
            scaled = part.scaled
            return Moments(
                scaled.n,
                scaled.mean * ratio,
                scaled.deviations * ratio**2,
                scaled.cubes * ratio**3,
            )

        largest = jnp.concatenate([self.largest, other.largest])
        return Summary(
            log_max,
            rescaled(self).merge(rescaled(other)),
            jax.lax.top_k(largest, self.largest.shape[0])[0],
        )

    def log_mean_exp(self) -> Float[Array, ""]:
        return self.log_max + jnp.log(self.scaled.mean)

    def effective_sample_size(self) -> Float[Array, ""]:
        """(sum w)^2 / sum w^2 = K / (1 + var(w) / mean(w)^2)."""
        count, mean, deviations, _ = self.scaled
        return count / (1.0 + deviations / count / mean**2)

    def std_error(self) -> Float[Array, ""]:
        """Of log_mean_exp: the delta method."""
        return self.scaled.std_error() / self.scaled.mean

    def log_root_mean_square(self) -> Float[Array, ""]:
        """1/2 log 1/K sum_k w_k^2."""
        n, mean, deviations, _ = self.scaled
        return self.log_max + 0.5 * jnp.log(mean**2 + deviations / n)


def summarize(log_w: Float[Array, " k"], valid: Bool[Array, " k"], num_largest: int) -> Summary:
    """Of one part of a stream."""
    log_w = jnp.where(valid, log_w, -jnp.inf)
    log_max = jnp.max(log_w)
    shift = jnp.where(log_max > -jnp.inf, log_max, 0.0)
    padding = jnp.full(max(num_largest - log_w.shape[0], 0), -jnp.inf, log_w.dtype)
    return Summary(
        log_max,
        moments(jnp.exp(log_w - shift), valid),
        jax.lax.top_k(jnp.concatenate([log_w, padding]), num_largest)[0],
    )


def tail_size(k: int) -> int:
    """How many of k weights are the tail: min(k / 5, 3 sqrt(k)) (Vehtari et al. 2024)."""
    return int(min(0.2 * k, 3 * math.sqrt(k)))


def pareto_khat(log_w: Float[Array, " k"]) -> Float[Array, ""]:
    """Shape of the generalized Pareto distribution fitted to the largest weights.

    The M = min(K / 5, 3 sqrt(K)) largest, with the estimator of Zhang & Stephens (2009) and the
    weakly informative prior of Vehtari et al. (2024, appendix G). NaN below 25 weights; the
    fit's mean and variance exist for k < 1 and k < 1/2.
    """
    m = tail_size(log_w.shape[0])
    khat = tail_index(jax.lax.top_k(log_w, m + 1)[0])
    return jnp.where(jnp.all(log_w < jnp.inf), khat, jnp.nan)


def tail_index(top: Float[Array, " m+1"]) -> Float[Array, ""]:
    """`pareto_khat` from the M + 1 largest log weights, descending."""
    m = top.shape[0] - 1
    if m < 5:
        return jnp.full((), jnp.nan)
    largest, cutoff = top[:m][::-1], top[m]  # ascending
    # Exceedances w - cutoff without cancellation; those tied with the cutoff are no exceedances.
    above = largest > cutoff
    x = jnp.exp(largest - top[0]) * -jnp.expm1(cutoff - largest)
    x = jnp.where(above, jnp.maximum(x, 1e-30), 0.0)
    n = jnp.sum(above)
    grid = 30 + int(math.sqrt(m))
    j = jnp.arange(1, grid + 1)
    quartile = x[m - n + jnp.maximum(jnp.floor(n / 4 + 0.5).astype(int), 1) - 1]
    theta = (1.0 - jnp.sqrt(grid / (j - 0.5))) / (3.0 * quartile) + 1.0 / x[-1]
    shape = jnp.sum(jnp.log1p(-theta[:, None] * x), axis=1) / n
    profile = n * (jnp.log(-theta / shape) - shape - 1.0)
    theta = jnp.sum(theta * jax.nn.softmax(profile))
    khat = jnp.sum(jnp.log1p(-theta * x)) / n
    khat = jnp.where(n >= 5, (n * khat + 5.0) / (n + 10.0), -jnp.inf)
    return jnp.where((top[0] > -jnp.inf) & (top[0] < jnp.inf), khat, jnp.nan)
