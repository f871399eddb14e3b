"""What a point mass can be trained on: neither is a bound on log p(x)."""

import jax.numpy as jnp

from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def reconstruction(key: Key, q: Distribution, joint: Joint, x: Observation) -> Terms:
    """log p(x | z), z ~ q(z | x): an autoencoder's objective. The prior does not enter."""
    log_likelihood = joint.likelihood(q.sample(seed=key)).log_prob(x)
    return Terms(log_likelihood, log_likelihood, jnp.zeros_like(log_likelihood))


def maximum_a_posteriori(key: Key, q: Distribution, joint: Joint, x: Observation) -> Terms:
    """log p(x, z) = log p(x | z) + log p(z), z ~ q(z | x). A density of z, not a bound on
    log p(x): it changes with the units of z. `kl` holds -log p(z)."""
    z = q.sample(seed=key)
    log_likelihood, log_prior = joint.likelihood(z).log_prob(x), joint.prior.log_prob(z)
    return Terms(log_likelihood + log_prior, log_likelihood, -log_prior)
