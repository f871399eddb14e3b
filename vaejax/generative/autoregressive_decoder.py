"""p(x, z) = p(z) prod_i p(x_i | x_<i, z): a decoder that models x's own dependences."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vaejax.distributions import Autoregressive
from vaejax.types import Distribution, GenerativeModel, Joint


def autoregressive_decoder(
    prior: Distribution, network: Any, observation_shape: tuple[int, ...]
) -> GenerativeModel:
    """A model of binary x whose decoder is autoregressive: p(x, z) = p(z) prod_i p(x_i | x_<i, z).

    A decoder that needs no z to model x is where the posterior collapses (Bowman et al. 2016; Chen
    et al. 2017).

    Args:
      prior: p(z).
      network: `init(key, x, z) -> theta` and `apply(theta, x, z) -> logits`, the i-th of them a
        function of x_<i and of z: `networks.MaskedMLP` with z as its context.
      observation_shape: shape of one x.

    Example:
      Given z, the probabilities of all x sum to 1.

      >>> import jax, vaejax
      >>> prior = vaejax.distributions.standard_normal(2)
      >>> network = vaejax.networks.MaskedMLP((8,), (2,))
      >>> model = vaejax.generative.autoregressive_decoder(prior, network, (2,))
      >>> theta = jax.jit(model.init)(jax.random.key(0))
      >>> p = model.joint(theta).likelihood(jax.numpy.ones(2))
      >>> xs = jax.numpy.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
      >>> print(f"{jax.numpy.exp(jax.jit(p.log_prob)(xs)).sum():.4f}")
      1.0000
    """

    def init(key):
        prior_key, network_key = jax.random.split(key)
        return network.init(network_key, jnp.zeros(observation_shape), prior.sample(seed=prior_key))

    def decode(theta, z):
        def logits(x):
            return network.apply(theta, x, z).reshape(observation_shape)

        return Autoregressive(logits, observation_shape)

    def joint(theta, given=()):
        del given
        return Joint(prior, Partial(decode, theta))

    return GenerativeModel(init, joint)
