"""Multilayer perceptron, for one example of any shape to an output of any shape."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class MLP(nn.Module):
    """A multilayer perceptron for one example, from an array of any shape to one of any shape:

    x -> W_L f(... f(W_1 x + b_1) ...) + b_L, with Glorot-uniform weights, zero biases.

    Attributes:
      hidden: units of each hidden layer.
      output_shape: shape of what comes out.
      activation: f.
      output_bias: where b_L starts: at the data's mean logit, for a decoder (Burda et al. 2016, in
        the authors' code).
      input_shift, input_scale: standardize x first: (x - shift) / scale.
      output_kernel_init: where W_L starts: at zero, for a flow that starts at the identity.
      dense: makes each layer: `SpectralDense` for W / sigma(W) in place of W.

    Example:
      >>> import jax, vaejax
      >>> decoder = vaejax.networks.MLP(hidden=(16,), output_shape=(8, 8))
      >>> z = jax.numpy.zeros(2)
      >>> parameters = decoder.init(jax.random.key(0), z)
      >>> decoder.apply(parameters, z).shape
      (8, 8)
      >>> sum(leaf.size for leaf in jax.tree.leaves(parameters))  # 16 (2 + 1) + 64 (16 + 1)
      1136
    """

    hidden: tuple[int, ...]
    output_shape: tuple[int, ...]
    activation: Callable[[Array], Array] = jax.nn.tanh
    output_bias: Float[Array, "..."] | float = 0.0
    input_shift: Float[Array, "..."] | float = 0.0
    input_scale: Float[Array, "..."] | float = 1.0
    output_kernel_init: Callable[..., Array] = nn.initializers.glorot_uniform()
    dense: Callable[..., nn.Module] = nn.Dense

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        def bias_init(key, shape, dtype):
            del key
            bias = jnp.asarray(self.output_bias, dtype)
            return jnp.broadcast_to(bias, self.output_shape).reshape(shape)

        h = ((x - self.input_shift) / self.input_scale).reshape(-1)
        for size in self.hidden:
            h = self.activation(self.dense(size, kernel_init=nn.initializers.glorot_uniform())(h))
        h = self.dense(
            math.prod(self.output_shape),
            kernel_init=self.output_kernel_init,
            bias_init=bias_init,
        )(h)
        return h.reshape(self.output_shape)
