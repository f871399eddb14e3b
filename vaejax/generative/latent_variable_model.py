"""p(x, z) = p(z) p(x | z) with a network as the decoder."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vaejax.distributions import structure_of
from vaejax.generative.priors import Prior, fixed_prior
from vaejax.types import Distribution, GenerativeModel, Joint


def latent_variable_model(
    prior: Distribution | Prior, network: Any, likelihood: Callable[[Any], Distribution]
) -> GenerativeModel:
    """A latent-variable model p(x, z) = p(z) p(x | z) with a network as its decoder.

    p(x | z) = likelihood(network(z)).

    Args:
      prior: p(z), or a `Prior` with parameters.
      network: anything with `init(key, z) -> theta` and `apply(theta, z) -> outputs`.
      likelihood: outputs -> p(x | z), `distributions.Bernoulli` for example.

    Example:
      >>> import jax, vaejax
      >>> model = vaejax.generative.latent_variable_model(
      ...     vaejax.distributions.standard_normal(2),
      ...     vaejax.networks.MLP((16,), (8, 8)),
      ...     vaejax.distributions.Bernoulli,
      ... )
      >>> joint = model.joint(model.init(jax.random.key(0)))
      >>> z, x = joint.sample(jax.random.key(1))
      >>> z.shape, x.shape
      ((2,), (8, 8))
    """
    prior = prior if isinstance(prior, Prior) else fixed_prior(prior)

    def init(key):
        prior_key, network_key = jax.random.split(key)
        prior_parameters = prior.init(prior_key)
        latent = structure_of(prior.distribution(prior_parameters))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), latent)
        return {"prior": prior_parameters, "decoder": network.init(network_key, zeros)}

    def decode(parameters, z):
        return likelihood(network.apply(parameters, z))

    def joint(theta, given=()):
        del given
        return Joint(prior.distribution(theta["prior"]), Partial(decode, theta["decoder"]))

    return GenerativeModel(init, joint)
