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
    w = jnp.exp(log_w - jnp.max(log_w))
    return jnp.sum(w) ** 2 / jnp.sum(w**2)


def std_error_of_log_mean(log_w: Float[Array, " k"]) -> Float[Array, ""]:
    """Delta method: sd(w) / (mean(w) sqrt(K)); inf at K = 1."""
    k = log_w.shape[0]
    if k == 1:
        return jnp.full((), jnp.inf)
    w = jnp.exp(log_w - jnp.max(log_w))
    return jnp.std(w) / (jnp.mean(w) * math.sqrt(k - 1))


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
    top = jax.lax.top_k(log_w, m + 1)[0]
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
    return jnp.where(jnp.all(log_w < jnp.inf) & (top[0] > -jnp.inf), khat, jnp.nan)
