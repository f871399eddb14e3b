"""What a point mass can be trained on: neither is a bound on log p(x)."""

from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def reconstruction(key: Key, q: Distribution, joint: Joint, x: Observation) -> Terms:
    """log p(x | z) at z ~ q(z | x), in nats: an autoencoder's objective. The prior does not enter.

    Metrics: `reconstruction`, the value.
    """
    log_likelihood = joint.likelihood(q.sample(seed=key)).log_prob(x)
    return Terms(log_likelihood, {"reconstruction": log_likelihood})


def maximum_a_posteriori(key: Key, q: Distribution, joint: Joint, x: Observation) -> Terms:
    """log p(x, z) = log p(x | z) + log p(z) at z ~ q(z | x), in nats.

    It is a density of z, not a bound on log p(x): it changes with the units of z.

    Metrics: `reconstruction`, log p(x | z), and `log_prior`.

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian, PointMass
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> def value(z):
      ...     q = PointMass(jax.numpy.array(z))
      ...     return vaejax.objectives.maximum_a_posteriori(jax.random.key(0), q, joint, 1.0).value
      >>> bool(value(0.4) < value(0.5) > value(0.6))  # the mode of p(z | x = 1) is 1 / 2
      True
    """
    z = q.sample(seed=key)
    log_likelihood, log_prior = joint.likelihood(z).log_prob(x), joint.prior.log_prob(z)
    metrics = {"reconstruction": log_likelihood, "log_prior": log_prior}
    return Terms(log_likelihood + log_prior, metrics)
