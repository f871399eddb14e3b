"""Convolutions on blocks of pixels against those of lax, and networks of every layout."""

import jax
import numpy as np
import pytest

from vaejax.networks import ConvDecoder, ConvEncoder
from vaejax.networks.convolution import doubled, halved

NUMBERS = ("NHWC", "HWIO", "NHWC")


def convolved(x, kernel):
    """The convolution itself, with stride 2 and the zeros that `halved` says."""
    zeros = [(1, 1 + size % 2) for size in x.shape[:2]]
    return jax.lax.conv_general_dilated(x[None], kernel, (2, 2), zeros, dimension_numbers=NUMBERS)[
        0
    ]


@pytest.mark.parametrize("size", [(8, 10), (9, 8), (7, 7)])
def test_halved_and_doubled_are_a_convolution_and_its_transpose(size):
    random = np.random.RandomState(0)
    x = random.normal(size=(*size, 3)).astype(np.float32)
    kernel = random.normal(size=(4, 4, 3, 5)).astype(np.float32)

    @jax.jit
    def both(x, kernel):
        half, expected = halved(x, kernel), convolved(x, kernel)
        (back,) = jax.linear_transpose(lambda x: convolved(x, kernel), x)(half)
        return half, expected, doubled(half, kernel, size), back

    half, expected, double, back = both(x, kernel)
    np.testing.assert_allclose(half, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(double, back, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "axes", "output_shape", "output_axes"),
    [
        ((8, 8), (0, 1), (8, 8), (0, 1)),
        ((9, 11, 3), (0, 1), (2, 9, 11, 3), (1, 2)),
        ((3, 13, 8), (1, 2), (2, 3, 13, 8), (2, 3)),
    ],
)
def test_every_layout_has_its_output(shape, axes, output_shape, output_axes):
    """The layouts say the same where the networks have the same parameters."""
    key = jax.random.key(0)
    encoder = ConvEncoder((7,), (4,), channels=(5, 6), axes=axes)
    decoder = ConvDecoder(
        (7,), output_shape, channels=(6, 5), axes=output_axes, output_bias=np.ones(output_shape)
    )
    x, z = np.random.default_rng(0).normal(size=shape).astype(np.float32), np.ones(4, np.float32)
    encoded, weights = jax.jit(encoder.init_with_output)(key, x)
    assert encoded.shape == (4,)
    last = ConvEncoder((7,), (4,), channels=(5, 6))
    last = jax.jit(last.apply)(weights, np.moveaxis(x, axes, (0, 1)))
    np.testing.assert_allclose(encoded, last, rtol=1e-6)
    decoded, weights = jax.jit(decoder.init_with_output)(key, z)
    others = [n for axis, n in enumerate(output_shape) if axis not in output_axes]
    sizes = [output_shape[axis] for axis in output_axes]
    first = ConvDecoder((7,), (*sizes, *others), channels=(6, 5))
    bias = {"output_bias": np.ones((*sizes, *others), np.float32)}
    drawn = jax.jit(first.apply)({"params": weights["params"] | bias}, z)
    np.testing.assert_allclose(decoded, np.moveaxis(drawn, (0, 1), output_axes), rtol=1e-6)
    assert decoded.shape == output_shape and np.unique(decoded).size > 2
    silent = jax.tree.map(np.zeros_like, weights) | {}
    silent["params"]["output_bias"] = weights["params"]["output_bias"]
    np.testing.assert_array_equal(jax.jit(decoder.apply)(silent, z), np.ones(output_shape))
