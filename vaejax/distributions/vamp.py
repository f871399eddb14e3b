"""The aggregate of an encoder over a few learned inputs, as p(z)."""

from collections.abc import Callable
from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions.diagonal_gaussian import DiagonalGaussian
from vaejax.distributions.gaussian_mixture import GaussianMixture
from vaejax.types import num_rows


class Vamp(distrax.Distribution):
    """The aggregate of an encoder over K learned pseudo-inputs: p(z) = 1/K sum_k q(z | u_k)
    (Tomczak & Welling 2018, eq. 9).

    Args:
      encode: x -> q(z | x), a DiagonalGaussian: the encoder that the posterior uses too. A
        `jax.tree_util.Partial` of a function and its parameters.
      pseudo_inputs: u, along the first axis.
    """

    def __init__(self, encode: Callable[[Any], DiagonalGaussian], pseudo_inputs: Any):
        self.encode = encode
        self.pseudo_inputs = pseudo_inputs

    @property
    def mixture(self) -> GaussianMixture:
        """The same as a mixture of Gaussians."""
        components = jax.vmap(self.encode)(self.pseudo_inputs)
        count = num_rows(self.pseudo_inputs)
        return GaussianMixture(jnp.zeros(count), components.loc, components.log_scale)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.mixture.event_shape

    def mean(self) -> Float[Array, "..."]:
        return self.mixture.mean()

    def _sample_n(self, key, n):
        return self.mixture.sample(seed=key, sample_shape=(n,))

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """log 1/K sum_k q(value | u_k), in nats."""
        return self.mixture.log_prob(value)
