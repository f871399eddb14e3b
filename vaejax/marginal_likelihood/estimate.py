"""What every estimator of log p(x) returns."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.marginal_likelihood import weights
from vaejax.types import Key


class Estimate(NamedTuple):
    """An estimate of log p(x) for one x, in nats, and what it is worth.

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
    `log_weights` themselves, their `bootstrap_std_error`, for which the key is, and their
    `interval_factor` (`weights.interval_factor`)."""
    khat = weights.pareto_khat(log_w)
    scaled = weights.moments(jnp.exp(log_w - jnp.max(log_w)), jnp.ones(log_w.shape, bool))
    return Estimate(
        value=weights.log_mean_exp(log_w),
        std_error=weights.std_error_of_log_mean(log_w),
        ess=weights.effective_sample_size(log_w),
        khat=khat,
        diagnostics={
            "log_weights": log_w,
            "bootstrap_std_error": weights.bootstrap_std_error(key, log_w),
            "interval_factor": weights.interval_factor(khat, scaled, log_w.shape[0]),
            **diagnostics,
        },
    )


def combine(first: Estimate, second: Estimate, weight: Float[Array, ""]) -> Estimate:
    """The average of two independent unbiased estimates of p(x), of which the first is itself the
    average of `weight` such; the error and effective sample size that follow, and the worst
    k-hat.

    Of the `diagnostics`, the bootstrap's error, the starts' estimates and the prior's check are
    averaged alike, the evaluations added, the larger interval factor kept; the others are the
    first's.
    """

    def average(pair, errors):
        """(log of the mean, its error, shares of the two in it)."""
        shifted = jnp.stack([pair[0] + jnp.log(weight), pair[1]])
        share = jax.nn.softmax(shifted, axis=0)
        parts = jnp.where(share > 0, share * jnp.stack(errors), 0.0)  # 0 times an unknown error
        value = jax.nn.logsumexp(shifted, axis=0) - jnp.log(weight + 1)
        return value, jnp.sqrt(jnp.sum(parts**2, axis=0)), share

    values = first.value, second.value
    value, std_error, share = average(values, (first.std_error, second.std_error))
    one, two = first.diagnostics, second.diagnostics
    diagnostics = dict(one)
    _, diagnostics["bootstrap_std_error"], _ = average(
        values, (one["bootstrap_std_error"], two["bootstrap_std_error"])
    )
    if "gradient_evaluations" in one:
        diagnostics["gradient_evaluations"] = (
            one["gradient_evaluations"] + two["gradient_evaluations"]
        )
    if "interval_factor" in one:
        diagnostics["interval_factor"] = jnp.maximum(one["interval_factor"], two["interval_factor"])
    if "prior_check" in one:
        check, error, unreached = (f"prior_check{end}" for end in ("", "_std_error", "_unreached"))
        errors = one[error], two[error]
        diagnostics[check], diagnostics[error], _ = average((one[check], two[check]), errors)
        diagnostics[unreached], *_ = average((one[unreached], two[unreached]), errors)
    if "disagreement" in one:
        for start in ("from_posterior", "from_prior"):
            error = f"{start}_std_error"
            diagnostics[start], diagnostics[error], _ = average(
                (one[start], two[start]), (one[error], two[error])
            )
        diagnostics["disagreement"] = diagnostics["from_posterior"] - diagnostics["from_prior"]
    ess = jnp.stack([first.ess, second.ess])
    return Estimate(
        value=value,
        std_error=std_error,
        ess=1.0 / jnp.sum(jnp.where(share > 0, share**2 / ess, 0.0), axis=0),
        khat=jnp.fmax(first.khat, second.khat),
        diagnostics=diagnostics,
    )
