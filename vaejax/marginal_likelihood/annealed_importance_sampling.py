"""Annealed importance sampling (Neal 2001) with HMC, forwards and in reverse."""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions.precision import highest_precision
from vaejax.marginal_likelihood.annealed_path import AnnealedPath, Point, annealed_path
from vaejax.marginal_likelihood.checks import has_prior_draws
from vaejax.marginal_likelihood.estimate import Estimate, combine, estimate_of
from vaejax.marginal_likelihood.hmc import transition
from vaejax.marginal_likelihood.schedule import (
    Schedule,
    Tuned,
    evaluations,
    tune,
)
from vaejax.marginal_likelihood.weights import effective_sample_size, log_mean_exp
from vaejax.types import Distribution, Joint, Key, LogJoint, Observation, check_counts, check_key

Start = Literal["prior", "posterior", "both"]
_CHECK = 2**32 - 1  # a stream of keys beside the estimate's


# An end lies where q's chains never come if its log p(x, z) - log q(z) is above the highest of
# theirs by twice that one's distance to their median (missed_modes.json).
_BEYOND = 2.0


class Trace(NamedTuple):
    """Along the temperatures, over the chains: what happened."""

    acceptance: Float[Array, " t"]  # mean; NaN at the last, where nothing moves
    ess: Float[Array, " t"]


def anneal(
    key: Key,
    path: AnnealedPath,
    points: Point,
    tuned: Tuned,
    num_leapfrog: int,
) -> tuple[Float[Array, " chains"], Point, Trace]:
    """Log weights of chains that start at `points` and follow the temperatures of `tuned`, and
    where they end.

    log w = sum_t (beta_t - beta_(t-1)) (log f_1 - log f_0)(z_(t-1)); after each but the last, an
    HMC transition at beta_t. Along temperatures in reverse from exact draws of the end, E[w] is
    the inverse ratio of normalizers.
    """
    num_chains = len(points.z)
    last = len(tuned.betas) - 2

    def step(carry, inputs):
        points, log_w = carry
        index, before, beta, step_size = inputs
        log_w = log_w + (beta - before) * points.log_ratio
        keys = jax.random.split(jax.random.fold_in(key, index), num_chains)

        points, acceptance = jax.vmap(
            lambda key, point: transition(key, path, beta, point, step_size, num_leapfrog)
        )(keys, points)
        return (points, log_w), (jnp.mean(acceptance), effective_sample_size(log_w))

    betas, indices = tuned.betas, jnp.arange(last)
    inputs = indices, betas[:-2], betas[1:-1], tuned.step_sizes[1:-1]
    carry = points, jnp.zeros(num_chains, points.z.dtype)
    (points, log_w), trace = jax.lax.scan(step, carry, inputs)
    log_w = log_w + (betas[-1] - betas[-2]) * points.log_ratio
    ends = jnp.full(1, jnp.nan), effective_sample_size(log_w)[None]
    trace = [jnp.concatenate([along, end]) for along, end in zip(trace, ends, strict=True)]
    return log_w, points, Trace(*trace)


@highest_precision
def annealed_importance_sampling(
    key: Key,
    joint: Joint | LogJoint,
    x: Observation,
    q: Distribution | None = None,
    *,
    num_chains: int = 16,
    num_temperatures: int = 500,
    start: Start | None = None,
    schedule: Schedule = "adaptive",
    num_leapfrog: int = 5,
) -> Estimate:
    """Annealed importance sampling (Neal 2001) of log p(x) for one x, in nats, with HMC: log 1/N
    sum_n w_n over N chains. E[w] = p(x), so in expectation it is a lower bound.

    A pilot run (a fifth of the temperatures, at least 30) places the temperatures and tunes HMC's
    step sizes, which are then frozen; q, where given, sets the scales that HMC moves in. Cost:
    num_chains * (num_temperatures + pilot) * num_leapfrog gradient evaluations, for each start.

    Where q misses a mode, chains started from it never find the mode, and nothing in their weights
    shows it. So beside chains from q run half as many from the prior, along half as many
    temperatures, for a quarter more work (up to a half below 300 temperatures, of which a pilot
    takes at least 30): a check, which the estimate does not depend on. It is a lower bound on
    log p(x) in expectation, loose where the prior is far; where it exceeds the estimate, q misses
    something. So it does where chains from the prior end at places that none from q reaches, and
    their weights say that a good part of p(x) lies there (`prior_check_unreached`).

    Args:
      joint: of a `LogJoint` chains start from q, and there is no check.
      q: q(z | x), where chains start; the prior is where they start unless given.
      num_chains: N.
      num_temperatures: steps from the start to p(x, z).
      start: `posterior` (q; the default where q is given), `prior`, or `both`: as many chains from
        each, averaged together, with their disagreement in `diagnostics`.
      schedule: how temperatures lie: `adaptive` by the pilot run, `linear` or `sigmoid`.
      num_leapfrog: leapfrog steps of each HMC transition.

    `diagnostics`: `log_weights` (chains,), their `bootstrap_std_error` and `interval_factor`;
    `acceptance`, `ess_along` and `betas` along the temperatures;
    `gradient_evaluations`, of all chains. From q, where the prior can be drawn from: `prior_check`,
    its `prior_check_std_error`, and `prior_check_unreached`. With `both` those along the
    temperatures are of the chains from q, and there are `from_prior`, `from_posterior`, their
    `_std_error`s, and `disagreement`, posterior minus prior.

    Raises:
      ValueError: num_chains, num_temperatures or num_leapfrog below 1; an unknown start or
        schedule; temperatures that do not rise from 0 to 1; x or a posterior of another shape than
        the model's.
      TypeError: discrete latents, a point mass, a start at a posterior that is not given or at a
        prior that cannot be sampled.

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> from vaejax.marginal_likelihood import annealed_importance_sampling
      >>> estimator = jax.jit(lambda key, x: annealed_importance_sampling(key, joint, x))
      >>> estimate = estimator(jax.random.key(0), 1.0)
      >>> log_p = jax.scipy.stats.norm.logpdf(1.0, scale=2**0.5)
      >>> bool(abs(estimate.value - log_p) < 0.1)
      True
    """
    function = "annealed_importance_sampling"
    check_key(function, key)
    check_counts(
        function,
        num_chains=num_chains,
        num_temperatures=num_temperatures,
        num_leapfrog=num_leapfrog,
    )
    start = start or ("prior" if q is None else "posterior")
    if start not in get_args(Start):
        raise ValueError(f"{function}: start is one of {get_args(Start)}; got {start!r}")
    if q is None and start != "prior":
        raise TypeError(
            f"{function}: start {start!r} needs a posterior q; give one, or start from the prior"
        )

    def run(key, from_prior, num_chains=num_chains, num_temperatures=num_temperatures):
        path_key, tune_key, start_key, chain_key, bootstrap_key = jax.random.split(key, 5)
        path = annealed_path(path_key, function, joint, x, q, from_prior=from_prior)
        tuned = tune(
            tune_key,
            path,
            num_temperatures=num_temperatures,
            schedule=schedule,
            num_chains=num_chains,
            num_leapfrog=num_leapfrog,
        )
        points = path.starts(start_key, num_chains)
        log_w, ends, trace = anneal(chain_key, path, points, tuned, num_leapfrog)
        spent = evaluations(num_chains, num_temperatures, num_leapfrog)
        estimate = estimate_of(
            bootstrap_key,
            log_w,
            acceptance=trace.acceptance,
            ess_along=trace.ess,
            betas=tuned.betas,
            gradient_evaluations=jnp.asarray(spent, jnp.int32),
        )
        return estimate, path, ends

    if start == "prior":
        return run(key, True)[0]
    if start == "posterior":
        estimate, path, ends = run(key, False)
        if not has_prior_draws(joint):
            return estimate
        size = check_size(num_chains, num_temperatures)
        check, _, check_ends = run(jax.random.fold_in(key, _CHECK), True, *size)
        log_ratios = jax.vmap(lambda z: path.log_target(z) - path.log_start(z))(check_ends.z)
        unreached = unreached_mass(check.diagnostics["log_weights"], log_ratios, ends.log_ratio)
        return _checked(estimate, check, unreached)
    posterior_key, prior_key = jax.random.split(key)
    (from_posterior, *_), (from_prior, *_) = run(posterior_key, False), run(prior_key, True)
    estimate = combine(from_posterior, from_prior, jnp.ones(()))
    compared = {
        "from_posterior": from_posterior.value,
        "from_posterior_std_error": from_posterior.std_error,
        "from_prior": from_prior.value,
        "from_prior_std_error": from_prior.std_error,
        "disagreement": from_posterior.value - from_prior.value,
    }
    return estimate._replace(diagnostics=estimate.diagnostics | compared)


def check_size(num_chains: int, num_temperatures: int) -> tuple[int, int]:
    """How many chains from the prior, along how many temperatures, check so many from q: half of
    each. With as many temperatures and a quarter of the chains too few find a mode."""
    return max(1, num_chains // 2), max(1, num_temperatures // 2)


def unreached_mass(
    log_w: Float[Array, " n"],
    log_ratios: Float[Array, " n"],
    reached: Float[Array, " chains"],
) -> Float[Array, ""]:
    """log 1/N sum_n w_n 1[end n lies where the chains from q never come], n over the prior's.

    Its exp is in expectation the part of p(x) that lies there. `log_ratios` and `reached`:
    log p(x, z) - log q(z) at the ends of the chains from the prior and from q. Were q to miss
    nothing, both would be alike; in a mode that q misses it is far higher.
    """
    highest = jnp.max(reached)
    beyond = log_ratios > highest + _BEYOND * (highest - jnp.median(reached))
    return log_mean_exp(jnp.where(beyond, log_w, -jnp.inf))


def _checked(estimate: Estimate, check: Estimate, unreached: Float[Array, ""]) -> Estimate:
    """With the check in the diagnostics; its evaluations count."""
    d = estimate.diagnostics
    spent = d["gradient_evaluations"] + check.diagnostics["gradient_evaluations"]
    return estimate._replace(
        diagnostics=d
        | {
            "prior_check": check.value,
            "prior_check_std_error": check.std_error,
            "prior_check_unreached": unreached,
            "gradient_evaluations": spent,
        }
    )
