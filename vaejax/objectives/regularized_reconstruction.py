"""A deterministic autoencoder that is kept smooth in place of being made probabilistic."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def regularized_reconstruction(
    key: Key,
    q: Distribution,
    joint: Joint,
    x: Observation,
    *,
    code_penalty: float,
    gradient_penalty: float,
) -> Terms:
    """The objective of a regularized autoencoder (Ghosh et al. 2020, eqs. 6 to 8, with -log p(x |
    z) for the squared error):

    log p(x | z) - code_penalty / 2 ||z||^2 - gradient_penalty ||d E[x | z] / dz||_F^2, z ~ q, a
    point mass. It is no bound on log p(x): the prior does not enter.

    The Frobenius norm of the Jacobian J is estimated without bias by ||J v||^2, v uniform on
    {-1, 1}^d: E[v v'] = I, and J v costs one forward derivative. A penalty of 0 costs nothing.

    Metrics: `reconstruction`, log p(x | z) in nats, and `code_penalty`.

    Raises:
      ValueError: a penalty is negative.
    """
    if min(code_penalty, gradient_penalty) < 0:
        raise ValueError(
            f"penalties must be 0 or more; got code_penalty {code_penalty} and gradient_penalty "
            f"{gradient_penalty}"
        )
    sample_key, direction_key = jax.random.split(key)
    z = q.sample(seed=sample_key)
    log_likelihood = joint.likelihood(z).log_prob(x)
    flat, unravel = ravel_pytree(z)
    code = 0.5 * code_penalty * jnp.sum(flat**2)
    gradient = jnp.zeros_like(code)
    if gradient_penalty > 0:
        direction = unravel(jax.random.rademacher(direction_key, flat.shape, flat.dtype))
        _, change = jax.jvp(lambda z: joint.likelihood(z).mean(), (z,), (direction,))
        gradient = gradient_penalty * jnp.sum(ravel_pytree(change)[0] ** 2)
    metrics = {"reconstruction": log_likelihood, "code_penalty": code}
    return Terms(log_likelihood - code - gradient, metrics)
