"""Sequential Monte Carlo along an annealed path (Del Moral et al. 2006)."""

import jax
import jax.numpy as jnp

from vaejax.distributions import systematic
from vaejax.distributions.precision import highest_precision
from vaejax.marginal_likelihood.annealed_path import annealed_path
from vaejax.marginal_likelihood.estimate import Estimate, estimate_of
from vaejax.marginal_likelihood.hmc import transition
from vaejax.marginal_likelihood.schedule import Schedule, evaluations, tune
from vaejax.marginal_likelihood.weights import effective_sample_size, log_mean_exp
from vaejax.types import Distribution, Joint, Key, LogJoint, Observation, check_counts

PILOT_PARTICLES = 16  # enough to tune with, at most


@highest_precision
def sequential_monte_carlo(
    key: Key,
    joint: Joint | LogJoint,
    x: Observation,
    q: Distribution | None = None,
    *,
    num_particles: int = 128,
    num_islands: int = 8,
    num_temperatures: int = 100,
    schedule: Schedule = "adaptive",
    num_leapfrog: int = 5,
) -> Estimate:
    """Sequential Monte Carlo along an annealed path (Del Moral et al. 2006): log of an unbiased
    estimate of p(x) for one x, in nats, so in expectation a lower bound.

    Particles start from q where given, else the prior; they are weighted at each temperature,
    resampled when their effective sample size falls below half, and moved by HMC. Temperatures
    and step sizes come from a pilot run and are frozen, which keeps the estimate unbiased.

    The particles form `num_islands` independent filters, each unbiased by itself: `value` is the
    log of their mean, and `std_error`, `ess` and `khat` are those of the islands' estimates (a
    single filter has no honest error of its own).

    Args:
      q: q(z | x), where particles start; the prior unless given.
      num_particles: of all islands together.
      num_temperatures, schedule, num_leapfrog: as in `annealed_importance_sampling`.

    `diagnostics`: `log_weights` (islands,), `acceptance`, `ess_along` and `betas` along the
    temperatures, `gradient_evaluations`.

    Raises:
      ValueError: num_particles not a multiple of num_islands, or a number below 1 (2 islands); an
        unknown schedule; x or q of another shape than the model's.
      TypeError: discrete latents, or a point mass.

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> from vaejax.marginal_likelihood import sequential_monte_carlo
      >>> estimator = jax.jit(lambda key, x: sequential_monte_carlo(key, joint, x))
      >>> estimate = estimator(jax.random.key(0), 1.0)
      >>> log_p = jax.scipy.stats.norm.logpdf(1.0, scale=2**0.5)
      >>> bool(abs(estimate.value - log_p) < 0.1)
      True
    """
    if num_islands < 2 or num_particles < num_islands or num_particles % num_islands:
        raise ValueError(
            "sequential_monte_carlo: num_particles must be a multiple of num_islands, and "
            f"those at least 2; got {num_particles} and {num_islands}"
        )
    check_counts(
        "sequential_monte_carlo", num_temperatures=num_temperatures, num_leapfrog=num_leapfrog
    )
    size = num_particles // num_islands
    path_key, tune_key, island_key, bootstrap_key = jax.random.split(key, 4)
    path = annealed_path(path_key, "sequential_monte_carlo", joint, x, q, from_prior=q is None)
    tuned = tune(
        tune_key,
        path,
        num_temperatures=num_temperatures,
        schedule=schedule,
        num_chains=min(num_particles, PILOT_PARTICLES),
        num_leapfrog=num_leapfrog,
    )

    def island(key):
        start_key, step_key = jax.random.split(key)
        points = path.starts(start_key, size)

        def step(carry, inputs):
            points, log_w, log_z = carry
            index, before, beta, step_size = inputs
            log_w = log_w + (beta - before) * points.log_ratio
            ess = effective_sample_size(log_w)
            resample = ess < size / 2
            resample_key, move_key = jax.random.split(jax.random.fold_in(step_key, index))
            ancestors = jnp.where(resample, systematic(resample_key, log_w), jnp.arange(size))
            log_z = jnp.where(resample, log_z + log_mean_exp(log_w), log_z)
            log_w = jnp.where(resample, 0.0, log_w)
            points = jax.tree.map(lambda leaf: leaf[ancestors], points)
            points, acceptance = jax.vmap(
                lambda key, point: transition(key, path, beta, point, step_size, num_leapfrog)
            )(jax.random.split(move_key, size), points)
            return (points, log_w, log_z), (ess, jnp.mean(acceptance))

        betas = tuned.betas
        inputs = (
            jnp.arange(num_temperatures - 1),
            betas[:-2],
            betas[1:-1],
            tuned.step_sizes[1:-1],
        )
        zeros = jnp.zeros(size, points.z.dtype)
        (points, log_w, log_z), along = jax.lax.scan(step, (points, zeros, zeros[0]), inputs)
        log_w = log_w + (betas[-1] - betas[-2]) * points.log_ratio
        return log_z + log_mean_exp(log_w), along

    log_z, (ess, acceptance) = jax.vmap(island)(jax.random.split(island_key, num_islands))
    spent = evaluations(
        num_particles,
        num_temperatures,
        num_leapfrog,
        pilot_chains=min(num_particles, PILOT_PARTICLES),
    )
    return estimate_of(
        bootstrap_key,
        log_z,
        acceptance=jnp.mean(acceptance, axis=0),
        ess_along=jnp.mean(ess, axis=0),
        betas=tuned.betas,
        gradient_evaluations=jnp.asarray(spent, jnp.int32),
    )
