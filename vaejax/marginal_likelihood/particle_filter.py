"""log p(x) of a sequence by independent particle filters."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions import StateSpace, filter_particles, steps_of
from vaejax.distributions.precision import highest_precision
from vaejax.marginal_likelihood.estimate import Estimate, estimate_of
from vaejax.types import Distribution, Joint, Key, Observation, check_counts, check_key

_NAME = "particle_filter"


@highest_precision
def particle_filter(
    key: Key,
    model: StateSpace | Joint,
    x: Observation,
    q: Distribution | None = None,
    *,
    num_particles: int,
    num_filters: int = 10,
    length: Any = None,
) -> Estimate:
    """log p(x) of one sequence by independent particle filters, in nats: log of the mean of their
    estimates of p(x), each unbiased.

    In expectation it is a lower bound on log p(x), tightening to it with the particles (Gordon et
    al. 1993; Del Moral 2004). Each filter resamples, systematically, below an effective sample size
    of half its particles (`distributions.filter_particles`). Missing frames are integrated over.

    `std_error` is that of the filters' estimates, or `steps_std_error` where that is larger. Log
    estimates are nearly normal: of variance s^2, R of them leave an error of
    sqrt(s^2 / R + s^4 / (2 (R - 1))) (Cox's method; Zhou & Gao 1997). `steps_std_error` is the
    second part, with s^2 the sum over steps of the variance, between filters, of what the step adds
    to log p. A filter forgets: these are nearly uncorrelated, so that their sum is known better
    than the spread of ten totals, and does not take a lucky agreement of these for a small error
    (particle_filters.json). It alone says whether an interval is stated; an estimate is flagged by
    `std_error`.

    The filters run one after another, and keep of each step two numbers: the memory is that of
    `num_particles` states and frames.

    Args:
      model: parameters and conditions bound; or the joint of one, whose length it then takes.
      x: one sequence, time first.
      q: a `Markov` whose steps propose; the model's own transitions unless given.
      num_particles: of each filter.
      num_filters: how many; their spread is the standard error. Below 5 intervals are too wide.
      length: how many frames count, all unless given.

    `diagnostics` holds `steps_std_error`; `ess_along`, the mean effective sample size at each step
    (time), and `ess_smallest`, the smallest of these. Flagged below 2: nearly all filters lost all
    particles but one there.

    Raises:
      TypeError: the joint is no state-space model; q is no Markov chain.
      ValueError: num_particles or num_filters below 1; q is over other states than the model, or of
        another number of steps than x; a length beyond x; x outside the support of p(x_t | z_t).

    Example:
      The Kalman filter is exact here, and agrees.

      >>> import jax
      >>> from vaejax.distributions import DiagonalGaussian, StateSpace
      >>> from vaejax.marginal_likelihood import exact, particle_filter
      >>> step = lambda t, z: DiagonalGaussian(z, 0.0 * z)  # z_t and x_t: N(z, 1)
      >>> joint = StateSpace(DiagonalGaussian(0.0, 0.0), step, step).joint(length=3)
      >>> x = jax.numpy.array([1.0, 2.0, 4.0])
      >>> estimator = jax.jit(lambda key: particle_filter(key, joint, x, num_particles=1000))
      >>> estimate = estimator(jax.random.key(0))
      >>> log_p, _ = exact(joint).log_marginal(x[None])
      >>> bool(abs(estimate.value - log_p[0]) < 0.1)
      True
    """
    check_key(_NAME, key)
    check_counts(_NAME, num_particles=num_particles, num_filters=num_filters)
    steps, length = steps_of(_NAME, model, x, q, length)

    def one(key):
        found = filter_particles(key, steps, x, q, num_particles=num_particles, length=length)
        return found.log_p, found.increments, found.ess

    filter_key, error_key = jax.random.split(key)
    log_p, increments, ess = jax.lax.map(one, jax.random.split(filter_key, num_filters))
    along = jnp.mean(ess, axis=0)
    error = _steps_std_error(increments)
    estimate = estimate_of(
        error_key, log_p, steps_std_error=error, ess_along=along, ess_smallest=jnp.min(along)
    )
    return estimate._replace(std_error=jnp.fmax(estimate.std_error, error))


def _steps_std_error(increments: Float[Array, "filters time"]) -> Float[Array, ""]:
    """s^2 / sqrt(2 (R - 1)), s^2 = sum_t var_r(increment t of filter r); unknown of one filter, or
    where one lost all its particles."""
    filters = len(increments)
    if filters == 1:
        return jnp.full((), jnp.inf)
    variance = jnp.sum(jnp.var(increments, axis=0, ddof=1))
    return variance / math.sqrt(2 * (filters - 1))
