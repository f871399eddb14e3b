"""Bidirectional Monte Carlo (Grosse et al. 2015): log p(x) between two stochastic bounds."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vaejax.distributions.precision import highest_precision
from vaejax.marginal_likelihood.annealed_importance_sampling import anneal
from vaejax.marginal_likelihood.annealed_path import annealed_path, evaluate
from vaejax.marginal_likelihood.checks import check_latent, check_simulates
from vaejax.marginal_likelihood.estimate import Estimate, estimate_of
from vaejax.marginal_likelihood.schedule import Schedule, Tuned, evaluations, tune
from vaejax.marginal_likelihood.weights import log_mean_exp, std_error_of_log_mean
from vaejax.types import Distribution, Joint, Key, Latent, Observation, check_counts


@highest_precision
def sandwich(
    key: Key,
    joint: Joint,
    z: Latent,
    x: Observation,
    q: Distribution | None = None,
    *,
    num_chains: int = 16,
    num_temperatures: int = 500,
    schedule: Schedule = "adaptive",
    num_leapfrog: int = 5,
) -> Estimate:
    """A lower and an upper bound on log p(x), each in expectation, for x simulated with its z
    (Grosse et al. 2015), in nats.

    Forwards: annealed importance sampling from q (the prior where there is none), a lower bound
    in expectation. In reverse: chains from z, an exact draw from p(z | x), along the same
    temperatures and transitions; E[w] = 1 / p(x), so -log mean w is an upper bound in expectation.
    Temperatures and step sizes are tuned before, by a pilot, and shared.

    Args:
      z, x: of (z, x) = joint.sample(key).
      q: q(z | x), where the chains forwards start; the prior unless given.
      num_chains: chains each way.
      num_temperatures, schedule, num_leapfrog: as in `annealed_importance_sampling`.

    `value` is the lower bound, with its std_error, ess and khat; `diagnostics`: `upper`,
    `upper_std_error` (given z, from which all reverse chains start: how much another exact draw
    would change the bound is not in it; the spread over simulated examples has both), `gap` =
    upper - lower, `log_weights`, `acceptance`, `ess_along`, `betas`, `gradient_evaluations`.

    Raises:
      ValueError: a count below 1; z, x or q of another shape than the model's.
      TypeError: discrete latents, a point mass, a prior that cannot be sampled.

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> z, x = joint.sample(jax.random.key(1))
      >>> sandwich = vaejax.marginal_likelihood.sandwich
      >>> between = jax.jit(lambda key: sandwich(key, joint, z, x))(jax.random.key(0))
      >>> log_p = jax.scipy.stats.norm.logpdf(x, scale=2**0.5)
      >>> bool(between.value - 0.1 < log_p < between.diagnostics["upper"] + 0.1)
      True
    """
    check_counts(
        "sandwich",
        num_chains=num_chains,
        num_temperatures=num_temperatures,
        num_leapfrog=num_leapfrog,
    )
    check_latent("sandwich", joint, z, x, q)
    keys = jax.random.split(key, 6)
    path_key, tune_key, start_key, forward_key, reverse_key, bootstrap_key = keys
    path = annealed_path(path_key, "sandwich", joint, x, q, from_prior=q is None)
    tuned = tune(
        tune_key,
        path,
        num_temperatures=num_temperatures,
        schedule=schedule,
        num_chains=num_chains,
        num_leapfrog=num_leapfrog,
    )
    log_w, _, trace = anneal(
        forward_key, path, path.starts(start_key, num_chains), tuned, num_leapfrog
    )
    exact = evaluate(path, jax.flatten_util.ravel_pytree(z)[0])
    exact = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_chains, *leaf.shape)), exact)
    backwards = Tuned(tuned.betas[::-1], tuned.step_sizes[::-1])
    reverse_log_w, *_ = anneal(reverse_key, path, exact, backwards, num_leapfrog)
    upper = -log_mean_exp(reverse_log_w)
    spent = evaluations(num_chains, num_temperatures, num_leapfrog, annealings=2)
    return estimate_of(
        bootstrap_key,
        log_w,
        upper=upper,
        upper_std_error=std_error_of_log_mean(reverse_log_w),
        gap=upper - log_mean_exp(log_w),
        acceptance=trace.acceptance,
        ess_along=trace.ess,
        betas=tuned.betas,
        gradient_evaluations=jnp.asarray(spent, jnp.int32),
    )


@highest_precision
def bidirectional_monte_carlo(
    key: Key,
    joint: Joint,
    posterior: Callable[[Observation], Distribution] | None = None,
    *,
    num_examples: int,
    **settings,
) -> Estimate:
    """Bidirectional Monte Carlo (Grosse et al. 2015): `sandwich` on data that the model itself
    simulates.

    On simulated data both bounds hold in expectation, and their gap says how well the sampler
    does at this model and budget. On real data there is no exact posterior draw, so no upper
    bound: there the gap is only an indication.

    Args:
      posterior: x -> q(z | x), where chains start; the prior unless given.
      num_examples: how many x to simulate.
      **settings: `sandwich`'s.

    Returns:
      What `sandwich` does, every field with a leading axis of `num_examples`.
      `Estimates(*estimate, method="bidirectional")` gives its flags, intervals and summary.

    Raises:
      ValueError: num_examples below 1; as `sandwich`.
      TypeError: a prior or likelihood that cannot be sampled; as `sandwich`.

    Example:
      With 100 temperatures the bounds are close: the sampler does well at this model.

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> between = vaejax.marginal_likelihood.bidirectional_monte_carlo(
      ...     jax.random.key(0), joint, num_examples=4, num_chains=4, num_temperatures=100
      ... )
      >>> bool((abs(between.diagnostics["gap"]) < 0.5).all())
      True
    """
    check_counts("bidirectional_monte_carlo", num_examples=num_examples)
    check_simulates("bidirectional_monte_carlo", joint)

    def one(index):
        data_key, chain_key = jax.random.split(jax.random.fold_in(key, index))
        z, x = joint.sample(data_key)
        q = None if posterior is None else posterior(x)
        return sandwich(chain_key, joint, z, x, q, **settings)

    return jax.lax.map(one, jnp.arange(num_examples), batch_size=min(num_examples, 25))
