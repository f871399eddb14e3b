"""The importance-weighted bound."""

import jax
import jax.numpy as jnp

from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def iwae(key: Key, q: Distribution, joint: Joint, x: Observation, *, num_samples: int) -> Terms:
    """log 1/K sum_k p(x, z_k) / q(z_k | x), z_k ~ q (Burda et al. 2016, eq. 8): its expectation
    is a lower bound on log p(x), tighter with K; K = 1 is the ELBO with a Monte Carlo KL.

    `reconstruction` and `kl` are plain means over the K draws.

    Raises:
      TypeError: q is a point mass: there are no weights.
      ValueError: num_samples below 1.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1; got {num_samples}")
    z, log_q = q.sample_and_log_prob(seed=key, sample_shape=(num_samples,))
    reconstruction = jax.vmap(lambda z: joint.likelihood(z).log_prob(x))(z)
    kl = log_q - jax.vmap(joint.prior.log_prob)(z)
    value = jax.nn.logsumexp(reconstruction - kl) - jnp.log(num_samples)
    return Terms(value, jnp.mean(reconstruction), jnp.mean(kl))
