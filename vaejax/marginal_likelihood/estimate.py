"""What every estimator of log p(x) returns."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.marginal_likelihood import weights
from vaejax.types import Key


class Estimate(NamedTuple):
    """Of log p(x) for one x, in nats.

    Attributes:
      value: the estimate; a lower bound on log p(x) in expectation where exp(value) is unbiased.
      std_error: Monte Carlo standard error of `value` (`weights.std_error_of_log_mean`).
      ess: effective sample size, (sum w)^2 / sum w^2, of the normalized weights.
      khat: Pareto tail index of the weights (Vehtari et al. 2024): above 0.7 `std_error` is not
        to be believed, and `value` is far from log p(x); as a bound it holds.
      diagnostics: what else the estimator measured, by name.
    """

    value: Float[Array, ""]
    std_error: Float[Array, ""]
    ess: Float[Array, ""]
    khat: Float[Array, ""]
    diagnostics: dict[str, Float[Array, "..."]]


def estimate_of(key: Key, log_w: Float[Array, " n"], **diagnostics: Array) -> Estimate:
    """log mean w of independent unbiased estimates w of p(x); also in `diagnostics`: the
    `log_weights` themselves and their `bootstrap_std_error`, for which the key is."""
    return Estimate(
        value=weights.log_mean_exp(log_w),
        std_error=weights.std_error_of_log_mean(log_w),
        ess=weights.effective_sample_size(log_w),
        khat=weights.pareto_khat(log_w),
        diagnostics={
            "log_weights": log_w,
            "bootstrap_std_error": weights.bootstrap_std_error(key, log_w),
            **diagnostics,
        },
    )


def combine(first: Estimate, second: Estimate, weight: Float[Array, ""]) -> Estimate:
    """The average of two independent unbiased estimates of p(x), of which the first is itself the
    average of `weight` such; the error and effective sample size that follow, and the worst
    k-hat. `diagnostics` are the first's."""
    values = jnp.stack([first.value + jnp.log(weight), second.value])
    share = jax.nn.softmax(values, axis=0)
    errors = jnp.stack([first.std_error, second.std_error])
    ess = jnp.stack([first.ess, second.ess])
    return Estimate(
        value=jax.nn.logsumexp(values, axis=0) - jnp.log(weight + 1),
        std_error=jnp.sqrt(jnp.sum((share * errors) ** 2, axis=0)),
        ess=1.0 / jnp.sum(share**2 / ess, axis=0),
        khat=jnp.fmax(first.khat, second.khat),
        diagnostics=first.diagnostics,
    )
