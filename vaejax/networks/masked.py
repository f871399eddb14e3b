"""A network whose outputs come in an order, each a function of the inputs before it alone."""

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vaejax.types import check_counts


class Masks(NamedTuple):
    """The orders and hidden degrees of several masked networks that share their parameters.

    Attributes:
      orders: each member's order of the d inputs, first to last.
      degrees: of each hidden layer, each member's degrees of its units, in 0..d - 2.
    """

    orders: Int[np.ndarray, "members d"]
    degrees: tuple[Int[np.ndarray, "members units"], ...]  # one a hidden layer, each in 0..d - 2


def draw_masks(
    seed: int, size: int, hidden: tuple[int, ...], *, num_orders: int = 1, num_masks: int = 1
) -> Masks:
    """Masks for the members of an ensemble: `num_orders` orders of the inputs, each with
    `num_masks` sets of hidden degrees (MADE, Germain et al. 2015, section 4.2).

    The first order is as the elements lie, the others are drawn uniformly. The first degrees are
    spread evenly, the others drawn uniformly from the smallest of the layer before to d - 2 (their
    section 4.2), so that no unit is cut off from its inputs. They are part of the architecture,
    so `seed` is not that of a run.

    Args:
      size: d, the number of inputs.
      hidden: units of each hidden layer.

    Raises:
      ValueError: a count below 1.
    """
    check_counts("draw_masks", size=size, num_orders=num_orders, num_masks=num_masks)
    random = np.random.default_rng(seed)
    orders = [np.arange(size), *(random.permutation(size) for _ in range(num_orders - 1))]
    degrees = [[_even_degrees(units, size) for units in hidden]]
    for _ in range(num_masks - 1):
        member: list[np.ndarray] = []
        for units in hidden:
            smallest = member[-1].min() if member else 0
            member.append(random.integers(smallest, max(size - 1, 1), units))
        degrees.append(member)
    return Masks(
        np.repeat(np.stack(orders), num_masks, axis=0),
        tuple(np.tile(np.stack(layer), (num_orders, 1)) for layer in zip(*degrees, strict=True)),
    )


def _even_degrees(units: int, size: int) -> Int[np.ndarray, " units"]:
    return np.arange(units) * max(size - 1, 1) // units


class _MaskedDense(nn.Module):
    """h -> (W * mask) h + b."""

    kernel_init: Callable[..., Array]
    bias_init: Callable[..., Array] = nn.initializers.zeros
    use_bias: bool = True

    @nn.compact
    def __call__(
        self, h: Float[Array, " inputs"], mask: Bool[Array, "inputs outputs"]
    ) -> Float[Array, " outputs"]:
        kernel = self.param("kernel", self.kernel_init, mask.shape)
        out = h @ jnp.where(mask, kernel, 0.0)
        return out + self.param("bias", self.bias_init, mask.shape[1:]) if self.use_bias else out


class MaskedMLP(nn.Module):
    """A multilayer perceptron whose output i depends only on the inputs before x[i] (MADE, Germain
    et al. 2015).

    y[order[k]] is a function of x[order[:k]]. A hidden unit of degree m sees the first m + 1 of
    them; degrees are spread evenly over 0..d - 2, so that with d - 1 units or more in each layer
    y[i] sees every x before it. A call may give a `context` c, which every y[i] sees: each layer
    then adds V c. It may give an `order` and `degrees` of its own, even traced: then the same
    parameters serve many masks (`draw_masks`).

    Attributes:
      hidden: units of each hidden layer.
      output_shape: (d, ...), with d the number of elements of x, which may have any shape; y[i] has
        shape `output_shape[1:]`.
      order: the elements of x, first to last; as they lie, unless given.
      activation: applied after each layer but the last.
      output_kernel_init: of the last layer's weights.
      context_kernel_init: of each V.
      direct: whether to add A x with A masked alike, which starts at 0 (their section 4.4): a
        logistic regression on all that precede.
      output_bias: where the last bias starts: at the data's mean logit, for example.

    Raises:
      ValueError: x has not d elements, or `order` is no permutation; at the first call.

    Example:
      The derivatives of y by x are below the diagonal.

      >>> import jax, vaejax
      >>> network = vaejax.networks.MaskedMLP(hidden=(8,), output_shape=(3,))
      >>> x = jax.numpy.ones(3)
      >>> parameters = network.init(jax.random.key(0), x)
      >>> jacobian = jax.jacobian(lambda x: network.apply(parameters, x))(x)
      >>> (jacobian != 0).astype(int).tolist()
      [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    """

    hidden: tuple[int, ...]
    output_shape: tuple[int, ...]
    order: tuple[int, ...] | None = None
    activation: Callable[[Array], Array] = jax.nn.tanh
    output_kernel_init: Callable[..., Array] = nn.initializers.glorot_uniform()
    context_kernel_init: Callable[..., Array] = nn.initializers.glorot_uniform()
    direct: bool = False
    output_bias: Float[Array, "..."] | float = 0.0

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "..."],
        context: Float[Array, "..."] | None = None,
        *,
        order: Int[Array | np.ndarray, " d"] | None = None,
        degrees: tuple[Int[Array | np.ndarray, " units"], ...] | None = None,
    ) -> Float[Array, "..."]:
        def layer(h, mask, kernel_init, bias_init=nn.initializers.zeros):
            out = _MaskedDense(kernel_init, bias_init)(h, mask)
            if context is None:
                return out
            context_dense = nn.Dense(
                mask.shape[1], use_bias=False, kernel_init=self.context_kernel_init
            )
            return out + context_dense(context.reshape(-1))

        def output_bias_init(key, shape):
            del key
            return jnp.broadcast_to(jnp.asarray(self.output_bias), self.output_shape).reshape(shape)

        size, rest = self.output_shape[0], math.prod(self.output_shape[1:])
        if x.size != size:
            raise ValueError(
                f"x of shape {x.shape} has {x.size} elements; output_shape[0] is {size}"
            )
        if order is None:
            own = np.arange(size) if self.order is None else np.asarray(self.order)
            order = own
            if sorted(own) != list(range(size)):
                raise ValueError(f"order {self.order} is not a permutation of 0..{size - 1}")
        if degrees is None:
            degrees = tuple(_even_degrees(units, size) for units in self.hidden)
        position = jnp.argsort(jnp.asarray(order))

        x = x.reshape(-1)
        h, below = x, position
        for above in degrees:
            above = jnp.asarray(above)
            mask = below[:, None] <= above
            h = self.activation(layer(h, mask, nn.initializers.glorot_uniform()))
            below = above
        mask = jnp.repeat(below[:, None] < position, rest, axis=1)
        y = layer(h, mask, self.output_kernel_init, output_bias_init)
        if self.direct:
            mask = jnp.repeat(position[:, None] < position, rest, axis=1)
            zeros = nn.initializers.zeros
            y += _MaskedDense(zeros, use_bias=False, name="direct")(x, mask)
        return y.reshape(self.output_shape)
