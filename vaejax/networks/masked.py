"""A network whose outputs come in an order, each a function of the inputs before it alone."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


class _MaskedDense(nn.Module):
    """h -> (W * mask) h + b."""

    mask: Bool[np.ndarray, "inputs outputs"]
    kernel_init: Callable[..., Array]

    @nn.compact
    def __call__(self, h: Float[Array, "inputs"]) -> Float[Array, "outputs"]:
        kernel = self.param("kernel", self.kernel_init, self.mask.shape)
        bias = self.param("bias", nn.initializers.zeros, self.mask.shape[1:])
        return h @ jnp.where(self.mask, kernel, 0.0) + bias


class MaskedMLP(nn.Module):
    """x -> y with y[i], of shape `output_shape[1:]`, a function of the x[j] before x[i] alone.

    MADE (Germain et al. 2015). x has d = `output_shape[0]` elements, in any shape. `order` lists
    them first to last, by default as they lie: y[order[k]] depends on x[order[:k]]. A hidden unit
    of degree m sees the first m + 1 of them; degrees are spread evenly over 0..d - 2, so that with
    d - 1 units or more in each layer y[i] sees every x before it. With a `context` c, which every
    y[i] sees, each layer adds V c, with V from `context_kernel_init`.
    """

    hidden: tuple[int, ...]
    output_shape: tuple[int, ...]
    order: tuple[int, ...] | None = None
    activation: Callable[[Array], Array] = jax.nn.tanh
    output_kernel_init: Callable[..., Array] = nn.initializers.glorot_uniform()
    context_kernel_init: Callable[..., Array] = nn.initializers.glorot_uniform()

    @nn.compact
    def __call__(
        self, x: Float[Array, "..."], context: Float[Array, "..."] | None = None
    ) -> Float[Array, "..."]:
        def layer(h, mask, kernel_init):
            out = _MaskedDense(mask, kernel_init)(h)
            if context is None:
                return out
            context_dense = nn.Dense(
                mask.shape[1], use_bias=False, kernel_init=self.context_kernel_init
            )
            return out + context_dense(context.reshape(-1))

        size = self.output_shape[0]
        order = np.arange(size) if self.order is None else np.asarray(self.order)
        if x.size != size:
            raise ValueError(
                f"x of shape {x.shape} has {x.size} elements; output_shape[0] is {size}"
            )
        if sorted(order) != list(range(size)):
            raise ValueError(f"order {self.order} is not a permutation of 0..{size - 1}")
        position = np.argsort(order)

        h, degrees = x.reshape(-1), position
        for units in self.hidden:
            above = np.arange(units) * max(size - 1, 1) // units
            mask = degrees[:, None] <= above
            h = self.activation(layer(h, mask, nn.initializers.glorot_uniform()))
            degrees = above
        mask = np.repeat(degrees[:, None] < position, math.prod(self.output_shape[1:]), axis=1)
        return layer(h, mask, self.output_kernel_init).reshape(self.output_shape)
