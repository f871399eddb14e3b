"""The filtering bound: the importance-weighted bound of a sequence, resampled along the way."""

import jax

from vaejax.distributions import filter_particles, steps_of
from vaejax.distributions.particles import multinomial
from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation, check_counts


def fivo(
    key: Key,
    q: Distribution,
    joint: Joint,
    x: Observation,
    *,
    num_particles: int,
    resampling_gradients: bool = False,
) -> Terms:
    """The filtering bound on log p(x) of a sequence (FIVO, Maddison et al. 2017, eq. 6; Le et al.
    2018; Naesseth et al. 2018), in nats.

    It is the log of a particle filter's estimate of p(x), whose steps propose from q. Its
    expectation is a lower bound on log p(x). Particles are drawn anew where their effective sample
    size falls below N / 2. Without that it would be the IWAE bound.

    The value is the same with and without `resampling_gradients`; the gradient of its expectation
    is estimated differently:

    - without: the path through the particles alone. It is biased, since the choice of ancestors
      depends on the parameters too, and has a low variance. It is what the authors train with.
    - with: plus sum_t log p(ancestors_t) times the part of the value that comes after step t, the
      score function. It is unbiased but for the jumps where the criterion to resample switches,
      and has a high variance.

    Args:
      q: a `Markov` chain, whose steps propose.
      joint: as `StateSpace.joint` gives: a `Markov` prior, and `Frames` for x.
      x: one sequence, time first.
      num_particles: N.

    Metrics: `ess`, the smallest effective sample size along the sequence.

    Raises:
      TypeError: p(x, z) is no state-space model, or q no `Markov`.
      ValueError: num_particles below 1; q or x of other shapes than the model's.

    Example:
      More particles bring the bound closer to log p(x), here that of the Kalman filter.

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian, StateSpace
      >>> from vaejax.objectives import fivo
      >>> step = lambda t, z: DiagonalGaussian(z, 0.0 * z)  # z_t and x_t: N(z, 1)
      >>> joint = StateSpace(DiagonalGaussian(0.0, 0.0), step, step).joint(length=3)
      >>> x, keys = jax.numpy.array([1.0, 2.0, 4.0]), jax.random.split(jax.random.key(0), 500)
      >>> def mean_bound(n):
      ...     bound = lambda key: fivo(key, joint.prior, joint, x, num_particles=n).value
      ...     return jax.jit(jax.vmap(bound))(keys).mean()
      >>> log_p, _ = vaejax.marginal_likelihood.exact(joint).log_marginal(x[None])
      >>> bool(mean_bound(2) < mean_bound(20) < log_p[0])
      True
    """
    check_counts("fivo", num_particles=num_particles)
    model, length = steps_of("fivo", joint, x, q)
    filtered = filter_particles(
        key, model, x, q, num_particles=num_particles, length=length, resample=multinomial
    )
    value = filtered.log_p
    if resampling_gradients:
        score = filtered.log_ancestors
        value = value + (score - jax.lax.stop_gradient(score))
    return Terms(value, {"ess": filtered.ess.min()})
