"""p(x, z) = p(z) p(x | z) with a network as the decoder."""

from collections.abc import Callable
from typing import Any

import jax
from jax.tree_util import Partial

from vaejax.types import Distribution, GenerativeModel, Joint


def latent_variable_model(
    prior: Distribution, network: Any, likelihood: Callable[[Any], Distribution]
) -> GenerativeModel:
    """p(x | z) = likelihood(network(z)), with a fixed p(z).

    Args:
      prior: p(z).
      network: anything with `init(key, z) -> theta` and `apply(theta, z) -> outputs`.
      likelihood: outputs -> p(x | z), `distributions.Bernoulli` for example.
    """

    def init(key):
        prior_key, network_key = jax.random.split(key)
        return network.init(network_key, prior.sample(seed=prior_key))

    def decode(theta, z):
        return likelihood(network.apply(theta, z))

    def joint(theta, given=()):
        del given
        return Joint(prior, Partial(decode, theta))

    return GenerativeModel(init, joint)
