"""The evidence lower bound."""

import jax.numpy as jnp

from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def elbo(key: Key, q: Distribution, joint: Joint, x: Observation, *, beta=1.0) -> Terms:
    """E_q[log p(x | z)] - beta KL(q(z | x) || p(z)), one draw of z (Kingma & Welling 2014, eq. 3).

    KL is analytic where q and the prior have one, and log q(z) - log p(z) at the same draw
    where not. With beta = 1 its expectation is a lower bound on log p(x); with any other beta
    the value is not a bound (Higgins et al. 2017), while `reconstruction - kl` still is.

    Raises:
      TypeError: q is a point mass, which has no KL.
    """
    try:
        kl = q.kl_divergence(joint.prior)
        z = q.sample(seed=key)
    except NotImplementedError:
        z, log_q = q.sample_and_log_prob(seed=key)
        kl = log_q - joint.prior.log_prob(z)
    reconstruction = joint.likelihood(z).log_prob(x)
    return Terms(reconstruction - jnp.asarray(beta) * kl, reconstruction, kl)
