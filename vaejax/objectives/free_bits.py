"""The ELBO with a floor under each dimension's KL, against posterior collapse."""

import jax.numpy as jnp

from vaejax.distributions import kl_per_dimension
from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def free_bits(key: Key, q: Distribution, joint: Joint, x: Observation, *, minimum: float) -> Terms:
    """E_q[log p(x | z)] - sum_j max(minimum, KL(q(z_j | x) || p(z_j))), one draw of z.

    A variant of Kingma et al. (2016, eq. 15): here each latent dimension is a group and the
    maximum is taken for each example; there it is of the minibatch's mean.

    Metrics: `reconstruction` and `kl`, the true KL, so that `reconstruction - kl` is the ELBO.
    The value is at most that, and below it where the floor acts.

    Raises:
      TypeError: q or the prior is no diagonal Gaussian.
    """
    kl = kl_per_dimension(q, joint.prior)
    if kl is None:
        raise TypeError(
            "free_bits needs the KL of each dimension: q and the prior must be DiagonalGaussian; "
            f"got {type(q).__name__} and {type(joint.prior).__name__}"
        )
    reconstruction = joint.likelihood(q.sample(seed=key)).log_prob(x)
    value = reconstruction - jnp.sum(jnp.maximum(minimum, kl))
    return Terms(value, {"reconstruction": reconstruction, "kl": jnp.sum(kl)})
