"""What log importance weights say: their log-mean, its error, ESS, and the tail index k-hat."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def log_mean_exp(log_w: Float[Array, " k"]) -> Float[Array, ""]:
    """log 1/K sum_k exp(log_w_k)."""
    return jax.nn.logsumexp(log_w) - math.log(log_w.shape[0])


def effective_sample_size(log_w: Float[Array, " k"]) -> Float[Array, ""]:
    """(sum w)^2 / sum w^2 (Kong 1992)."""
    return jnp.exp(2 * jax.nn.logsumexp(log_w) - jax.nn.logsumexp(2 * log_w))


def std_error_of_log_mean(log_w: Float[Array, " k"]) -> Float[Array, ""]:
    """Delta method: sd(w) / (mean(w) sqrt(K)) = sqrt((K / ESS - 1) / (K - 1)); inf at K = 1."""
    k = log_w.shape[0]
    if k == 1:
        return jnp.full((), jnp.inf)
    return jnp.sqrt(jnp.maximum(k / effective_sample_size(log_w) - 1.0, 0.0) / (k - 1))


def pareto_khat(log_w: Float[Array, " k"]) -> Float[Array, ""]:
    """Shape of the generalized Pareto distribution fitted to the largest weights.

    The M = min(K / 5, 3 sqrt(K)) largest, with the estimator of Zhang & Stephens (2009) and the
    weakly informative prior of Vehtari et al. (2024, appendix G). NaN below 25 weights; the
    fit's mean and variance exist for k < 1 and k < 1/2.
    """
    k = log_w.shape[0]
    m = int(min(0.2 * k, 3 * math.sqrt(k)))
    if m < 5:
        return jnp.full((), jnp.nan)
    largest = jax.lax.top_k(log_w, m + 1)[0]
    scaled = jnp.exp(largest - largest[0])
    x = jnp.maximum((scaled[:m] - scaled[m])[::-1], 1e-30)  # ascending exceedances
    grid = 30 + int(math.sqrt(m))
    j = jnp.arange(1, grid + 1)
    theta = (1.0 - jnp.sqrt(grid / (j - 0.5))) / (3.0 * x[int(m / 4 + 0.5) - 1]) + 1.0 / x[-1]
    shape = jnp.mean(jnp.log1p(-theta[:, None] * x), axis=1)
    profile = m * (jnp.log(-theta / shape) - shape - 1.0)
    theta = jnp.sum(theta * jax.nn.softmax(profile))
    khat = jnp.mean(jnp.log1p(-theta * x))
    return jnp.where(scaled[m] < 1.0, (m * khat + 5.0) / (m + 10.0), -jnp.inf)
