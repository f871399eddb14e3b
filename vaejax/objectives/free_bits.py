"""The ELBO with a floor under each dimension's KL, against posterior collapse."""

import jax.numpy as jnp

from vaejax.distributions import DiagonalGaussian
from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def free_bits(key: Key, q: Distribution, joint: Joint, x: Observation, *, minimum: float) -> Terms:
    """E_q[log p(x | z)] - sum_j max(minimum, KL(q(z_j | x) || p(z_j))), one draw of z.

    Kingma et al. (2016, eq. 15) with each latent dimension a group and the maximum taken for each
    example; there it is of the minibatch's mean. `kl` is the true KL, so that
    `reconstruction - kl` is the ELBO; `value` is at most that, and below it where the floor acts.

    Raises:
      TypeError: q or the prior is no diagonal Gaussian.
    """
    if not (isinstance(q, DiagonalGaussian) and isinstance(joint.prior, DiagonalGaussian)):
        raise TypeError(
            "free_bits needs the KL of each dimension: q and the prior must be DiagonalGaussian; "
            f"got {type(q).__name__} and {type(joint.prior).__name__}"
        )
    kl = q.kl_per_dimension(joint.prior)
    reconstruction = joint.likelihood(q.sample(seed=key)).log_prob(x)
    return Terms(reconstruction - jnp.sum(jnp.maximum(minimum, kl)), reconstruction, jnp.sum(kl))
