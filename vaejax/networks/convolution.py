"""Convolutional networks for one image, before and after the hidden layers of an MLP."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vaejax.networks.mlp import MLP

_KERNEL = (4, 4)  # pixels, at a stride of 2, with one pixel of zeros around the image

# Each output of the convolution has 16 c inputs, of its transpose 4 c, for c channels: variance
# 1 / inputs keeps that of what goes through.
_start = nn.initializers.lecun_normal()
_start_transposed = nn.initializers.variance_scaling(4.0, "fan_out", "truncated_normal")


def halved(
    x: Float[Array, "h w c"], kernel: Float[Array, "4 4 c f"]
) -> Float[Array, "half_h half_w f"]:
    """The convolution with stride 2 of x between one pixel of zeros on each side, two below and to
    the right where a size is odd: (ceil(h / 2), ceil(w / 2), f).

    Computed on blocks of 2 x 2 pixels with stride 1.
    """
    padded = jnp.pad(x, [(1, 1 + size % 2) for size in x.shape[:2]] + [(0, 0)])
    height, width = (size // 2 for size in padded.shape[:2])
    blocks = padded.reshape(height, 2, width, 2, -1).transpose(0, 2, 1, 3, 4)
    by_block = kernel.reshape(2, 2, 2, 2, *kernel.shape[2:]).transpose(0, 2, 1, 3, 4, 5)
    return _convolved(
        blocks.reshape(height, width, -1), by_block.reshape(2, 2, -1, kernel.shape[3])
    )


def doubled(
    y: Float[Array, "h w c"], kernel: Float[Array, "4 4 f c"], size: tuple[int, int]
) -> Float[Array, "height width f"]:
    """The transpose of `halved`, from (h, w, c) to (2 h, 2 w, f), of which the first `size`."""
    padded = jnp.pad(y, [(1, 1), (1, 1), (0, 0)])
    features, channels = kernel.shape[2:]
    by_block = kernel.reshape(2, 2, 2, 2, features, channels)[::-1, :, ::-1]
    by_block = by_block.transpose(0, 2, 5, 1, 3, 4).reshape(2, 2, channels, -1)
    blocks = _convolved(padded, by_block)
    height, width = blocks.shape[:2]
    whole = blocks.reshape(height, width, 2, 2, features).transpose(0, 2, 1, 3, 4)
    whole = whole.reshape(2 * height, 2 * width, features)
    return whole[1 : 1 + size[0], 1 : 1 + size[1]]


def _convolved(
    x: Float[Array, "h w c"], kernel: Float[Array, "2 2 c f"]
) -> Float[Array, "h_less_1 w_less_1 f"]:
    """The convolution of stride 1, as one product of matrices: inside a scan XLA's own, on a CPU,
    took 28 times as long."""
    height, width = x.shape[0] - 1, x.shape[1] - 1
    corners = [x[i : i + height, j : j + width] for i in (0, 1) for j in (0, 1)]
    return jnp.concatenate(corners, axis=-1) @ kernel.reshape(-1, kernel.shape[3])


def _sizes(size: tuple[int, int], count: int) -> list[tuple[int, int]]:
    """Of an image, and after each of so many halvings."""
    sizes = [size]
    for _ in range(count):
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


class ConvEncoder(nn.Module):
    """A convolutional network for one image: convolutions of stride 2, then hidden layers as of an
    `MLP`.

    No pooling, and no statistics of a batch.

    Attributes:
      hidden: units of each hidden layer after the convolutions.
      output_shape: shape of what comes out.
      activation: applied after each layer but the last.
      channels: channels of each convolution; each halves height and width.
      axes: those of height and width in x; the others are its channels.
      input_shift, input_scale: standardize x first: (x - shift) / scale.
    """

    hidden: tuple[int, ...]
    output_shape: tuple[int, ...]
    activation: Callable[[Array], Array] = jax.nn.tanh
    channels: tuple[int, ...] = (32, 64)
    axes: tuple[int, int] = (0, 1)
    input_shift: Float[Array, "..."] | float = 0.0
    input_scale: Float[Array, "..."] | float = 1.0

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        h = jnp.moveaxis((x - self.input_shift) / self.input_scale, self.axes, (0, 1))
        h = h.reshape(*h.shape[:2], -1)
        for i, features in enumerate(self.channels):
            shape = (*_KERNEL, h.shape[2], features)
            kernel = self.param(f"kernel_{i}", _start, shape)
            bias = self.param(f"bias_{i}", nn.initializers.zeros, (features,))
            h = self.activation(halved(h, kernel) + bias)
        return MLP(self.hidden, self.output_shape, self.activation)(h)


class ConvDecoder(nn.Module):
    """A convolutional network from z to one image, the mirror of `ConvEncoder`: hidden layers as of
    an `MLP`, then transposed convolutions of stride 2. Where a size is odd, the last row or column
    is cut off.

    Attributes:
      hidden: units of each hidden layer before the convolutions.
      output_shape: shape of what comes out.
      activation: applied after each layer but the last.
      output_bias: where the last bias starts, which each output has for itself: at the data's mean
        logit, for example.
      channels: channels before each transposed convolution; each doubles height and width.
      axes: those of height and width in `output_shape`.
    """

    hidden: tuple[int, ...]
    output_shape: tuple[int, ...]
    activation: Callable[[Array], Array] = jax.nn.tanh
    output_bias: Float[Array, "..."] | float = 0.0
    channels: tuple[int, ...] = (64, 32)
    axes: tuple[int, int] = (0, 1)

    @nn.compact
    def __call__(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        def bias_init(key, shape):
            del key
            return jnp.broadcast_to(jnp.asarray(self.output_bias, jnp.float32), shape)

        height, width = (self.output_shape[axis] for axis in self.axes)
        others = [n for axis, n in enumerate(self.output_shape) if axis not in self.axes]
        sizes = _sizes((height, width), len(self.channels))[::-1]
        first = (*sizes[0], self.channels[0])
        h = self.activation(MLP(self.hidden, first, self.activation)(z))
        outputs = (*self.channels[1:], int(np.prod(others)))
        for i, (features, size) in enumerate(zip(outputs, sizes[1:], strict=True)):
            shape = (*_KERNEL, features, h.shape[2])
            kernel = self.param(f"kernel_{i}", _start_transposed, shape)
            h = doubled(h, kernel, size)
            if i + 1 < len(outputs):
                bias = self.param(f"bias_{i}", nn.initializers.zeros, (features,))
                h = self.activation(h + bias)
        y = jnp.moveaxis(h.reshape(height, width, *others), (0, 1), self.axes)
        return y + self.param("output_bias", bias_init, self.output_shape)
