"""The ELBO with a floor under each dimension's KL, against posterior collapse."""

import jax.numpy as jnp

from vaejax.distributions import kl_per_dimension
from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def free_bits(key: Key, q: Distribution, joint: Joint, x: Observation, *, minimum: float) -> Terms:
    """The ELBO with a floor under each dimension's KL, against posterior collapse, in nats:

    E_q[log p(x | z)] - sum_j max(minimum, KL(q(z_j | x) || p(z_j))), one draw of z.

    A variant of Kingma et al. (2016, eq. 15): here each latent dimension is a group and the
    maximum is taken for each example; there it is of the minibatch's mean.

    Args:
      minimum: the floor, in nats for each dimension of z.

    Metrics: `reconstruction` and `kl`, the true KL, so that `reconstruction - kl` is the ELBO.
    The value is at most that, and below it where the floor acts.

    Raises:
      TypeError: q or the prior is no diagonal Gaussian.

    Example:
      A q that is the prior has no KL, but each of its 3 dimensions costs the minimum.

      >>> import jax, vaejax
      >>> prior = vaejax.distributions.standard_normal(3)
      >>> joint = vaejax.Joint(prior, vaejax.distributions.Bernoulli)
      >>> key, x = jax.random.key(0), jax.numpy.ones(3)
      >>> terms = vaejax.objectives.free_bits(key, prior, joint, x, minimum=0.5)
      >>> print(f"{terms.metrics['reconstruction'] - terms.value:.2f}, {terms.metrics['kl']:.2f}")
      1.50, 0.00
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
