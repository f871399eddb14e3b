"""The importance-weighted bound."""

import jax
import jax.numpy as jnp

from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation, check_counts


def iwae(key: Key, q: Distribution, joint: Joint, x: Observation, *, num_samples: int) -> Terms:
    """The importance-weighted bound on log p(x) (Burda et al. 2016, eq. 8), in nats:

    log 1/K sum_k p(x, z_k) / q(z_k | x), z_k ~ q.

    Its expectation is a lower bound on log p(x), tighter with K. K = 1 is the ELBO with a Monte
    Carlo KL.

    Args:
      num_samples: K.

    Metrics: `reconstruction` and `kl`, plain means over the K draws.

    Raises:
      TypeError: q is a point mass: there are no weights.
      ValueError: num_samples below 1.

    Example:
      From a poor q, here the prior, more samples give a higher bound.

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> from vaejax.objectives import iwae
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> keys = jax.random.split(jax.random.key(0), 1000)
      >>> def mean_bound(n):
      ...     bound = lambda key: iwae(key, joint.prior, joint, 1.0, num_samples=n).value
      ...     return jax.jit(jax.vmap(bound))(keys).mean()
      >>> log_p = jax.scipy.stats.norm.logpdf(1.0, scale=2**0.5)
      >>> bool(mean_bound(1) < mean_bound(10) < log_p)
      True
    """
    check_counts("iwae", num_samples=num_samples)
    z, log_q = q.sample_and_log_prob(seed=key, sample_shape=(num_samples,))
    reconstruction = over_draws(lambda z: joint.likelihood(z).log_prob(x), num_samples)(z)
    kl = log_q - over_draws(joint.prior.log_prob, num_samples)(z)
    value = jax.nn.logsumexp(reconstruction - kl) - jnp.log(num_samples)
    return Terms(value, {"reconstruction": jnp.mean(reconstruction), "kl": jnp.mean(kl)})


def over_draws(function, num_samples: int):
    """`vmap` over draws of z; of the empty z, which has no arrays, the same number of times."""
    return jax.vmap(function, axis_size=num_samples)
