"""Priors with parameters: what may stand in the place of a fixed p(z)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from vaejax.distributions import DiagonalGaussian, GaussianMixture, Vamp
from vaejax.networks import affine_coupling_flow
from vaejax.types import Distribution, Key, Parameters


class Prior(NamedTuple):
    """A prior with parameters: the part of theta that is p(z)'s.

    Attributes:
      init: key -> the parameters.
      distribution: parameters -> p(z).
    """

    init: Callable[[Key], Parameters]
    distribution: Callable[[Parameters], Distribution]


def fixed_prior(p: Distribution) -> Prior:
    """A prior p(z) without parameters, as a `Prior`."""
    return Prior(lambda key: (), lambda parameters: p)


def mixture_prior(*shape: int, num_components: int) -> Prior:
    """A mixture of diagonal Gaussians with learned parameters: sum_k w_k N(m_k, diag(s_k)^2).

    It starts with equal weights, means drawn from N(0, I) and scales of 1.

    Args:
      *shape: of z.

    Example:
      >>> import jax, vaejax
      >>> prior = vaejax.generative.mixture_prior(2, num_components=3)
      >>> parameters = prior.init(jax.random.key(0))
      >>> p = prior.distribution(parameters)  # at first the mean of z is that of the 3 means
      >>> bool(jax.numpy.allclose(p.mean(), parameters["means"].mean(axis=0)))
      True
    """

    def init(key):
        means = jax.random.normal(key, (num_components, *shape))
        zeros = jnp.zeros_like(means)
        return {"logits": jnp.zeros(num_components), "means": means, "log_scales": zeros}

    def distribution(parameters):
        return GaussianMixture(parameters["logits"], parameters["means"], parameters["log_scales"])

    return Prior(init, distribution)


def flow_prior(*shape: int, num_layers: int, hidden: tuple[int, ...]) -> Prior:
    """A learned normalizing flow as the prior: affine coupling layers on N(0, I) (Dinh et al.
    2017).

    It starts at N(0, I).

    Args:
      *shape: of z.
      hidden: units of each hidden layer of each layer's network.
    """
    return Prior(*affine_coupling_flow(shape, num_layers=num_layers, hidden=hidden))


def vamp_prior(
    network: Any,
    mean: Float[Array, "..."],
    scale: Float[Array, "..."],
    *,
    num_components: int,
    lowest: float = -jnp.inf,
    highest: float = jnp.inf,
) -> Prior:
    """The VampPrior (Tomczak & Welling 2018): 1/K sum_k q(z | u_k), q the model's own encoder and
    u_k learned pseudo-inputs.

    The encoder's parameters are the prior's: the posterior that goes with it is
    `inference.posterior_of_prior`, which has none of its own.

    Args:
      network: the encoder, x -> mean and log scale of z end to end: `init(key, x)`, `apply`.
      mean, scale: of x, where the pseudo-inputs start: at mean + scale * N(0, I).
      num_components: K.
      lowest, highest: of x; the pseudo-inputs stay between them.
    """

    def init(key):
        encoder_key, input_key = jax.random.split(key)
        noise = jax.random.normal(input_key, (num_components, *jnp.shape(mean)))
        inputs = jnp.clip(mean + scale * noise, lowest, highest)
        return {"encoder": network.init(encoder_key, jnp.asarray(mean)), "inputs": inputs}

    def encode(parameters, x):
        return DiagonalGaussian(*jnp.split(network.apply(parameters, x), 2))

    def distribution(parameters):
        inputs = jnp.clip(parameters["inputs"], lowest, highest)
        return Vamp(Partial(encode, parameters["encoder"]), inputs)

    return Prior(init, distribution)
