"""Small modules around a network: what goes in, or comes out, in another form."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class OneHot(nn.Module):
    """A network whose input is categories, each turned into zeros and a one.

    Attributes:
      network: what takes the zeros and ones, with the categories along a new last axis.
      num_categories: how many there are.
    """

    network: nn.Module
    num_categories: int

    def __call__(self, x: Int[Array, "..."]) -> Array:
        return self.network(jax.nn.one_hot(x, self.num_categories))


class ConstantScale(nn.Module):
    """A network's output and a learned log scale that is the same for every input, stacked: for a
    likelihood of location and log scale.

    Attributes:
      network: what gives the location.
    """

    network: nn.Module

    @nn.compact
    def __call__(self, z: Float[Array, "..."]) -> Float[Array, "2 ..."]:
        location = self.network(z)
        log_scale = self.param("log_scale", nn.initializers.zeros, location.shape)
        return jnp.stack([location, log_scale])
