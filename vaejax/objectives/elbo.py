"""The evidence lower bound."""

import jax.numpy as jnp

from vaejax.distributions import sample_and_kl
from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def elbo(key: Key, q: Distribution, joint: Joint, x: Observation, *, beta=1.0) -> Terms:
    """E_q[log p(x | z)] - beta KL(q(z | x) || p(z)), one draw of z (Kingma & Welling 2014, eq. 3).

    The KL is that of `distributions.sample_and_kl`. With beta of 1 or more the expectation of the
    value is a lower bound on log p(x); with a smaller one it is not (Higgins et al. 2017), while
    `reconstruction - kl` still is. Without a latent variable it is log p(x), exactly.

    Gradients go through the draw. A discrete part of q gets none from log p(x | z).

    Metrics: `reconstruction`, log p(x | z), and `kl`.

    Raises:
      TypeError: q is a point mass, which has no KL.
    """
    z, kl = sample_and_kl(key, q, joint.prior)
    reconstruction = joint.likelihood(z).log_prob(x)
    value = reconstruction - jnp.asarray(beta) * kl
    return Terms(value, {"reconstruction": reconstruction, "kl": kl})
