"""What a point mass can be trained on: neither is a bound on log p(x)."""

from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def reconstruction(key: Key, q: Distribution, joint: Joint, x: Observation) -> Terms:
    """log p(x | z), z ~ q(z | x): an autoencoder's objective. The prior does not enter."""
    log_likelihood = joint.likelihood(q.sample(seed=key)).log_prob(x)
    return Terms(log_likelihood, {"reconstruction": log_likelihood})


def maximum_a_posteriori(key: Key, q: Distribution, joint: Joint, x: Observation) -> Terms:
    """log p(x, z) = log p(x | z) + log p(z), z ~ q(z | x). A density of z, not a bound on
    log p(x): it changes with the units of z. Metrics: `reconstruction`, log p(x | z), and
    `log_prior`."""
    z = q.sample(seed=key)
    log_likelihood, log_prior = joint.likelihood(z).log_prob(x), joint.prior.log_prob(z)
    metrics = {"reconstruction": log_likelihood, "log_prior": log_prior}
    return Terms(log_likelihood + log_prior, metrics)
