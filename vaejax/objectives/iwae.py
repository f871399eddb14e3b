"""The importance-weighted bound."""

import jax
import jax.numpy as jnp

from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def iwae(key: Key, q: Distribution, joint: Joint, x: Observation, *, num_samples: int) -> Terms:
    """log 1/K sum_k p(x, z_k) / q(z_k | x), z_k ~ q (Burda et al. 2016, eq. 8): its expectation
    is a lower bound on log p(x), tighter with K; K = 1 is the ELBO with a Monte Carlo KL.

    Metrics: `reconstruction` and `kl`, plain means over the K draws.

    Raises:
      TypeError: q is a point mass: there are no weights.
      ValueError: num_samples below 1.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1; got {num_samples}")
    z, log_q = q.sample_and_log_prob(seed=key, sample_shape=(num_samples,))
    reconstruction = over_draws(lambda z: joint.likelihood(z).log_prob(x), num_samples)(z)
    kl = log_q - over_draws(joint.prior.log_prob, num_samples)(z)
    value = jax.nn.logsumexp(reconstruction - kl) - jnp.log(num_samples)
    return Terms(value, {"reconstruction": jnp.mean(reconstruction), "kl": jnp.mean(kl)})


def over_draws(function, num_samples: int):
    """`vmap` over draws of z; of the empty z, which has no arrays, the same number of times."""
    return jax.vmap(function, axis_size=num_samples)
