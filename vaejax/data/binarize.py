"""Binary images from grey ones: on the device, inside the training step."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.types import Key


def binarize(key: Key, intensity: Array, levels: float) -> Float[Array, "batch ..."]:
    """x_i ~ Bernoulli(intensity_i / levels), as 0.0 or 1.0, of the shape of `intensity`.

    Sixteen random bits decide a pixel, two pixels to a word: half the time of `random.bernoulli`,
    and the probability is that of the intensity to within 2^-17 (0 and `levels` are exact).
    """
    n, size = intensity.shape[0], math.prod(intensity.shape[1:])
    words = jax.random.bits(key, (n, (size + 1) // 2), jnp.uint32)
    bits = jnp.concatenate([words & 0xFFFF, words >> 16], axis=1)[:, :size]
    # In float32 whatever the input and the precision in force: the same images everywhere.
    threshold = jnp.asarray(intensity, jnp.float32).reshape(n, size) * (65536.0 / levels)
    x = bits < jnp.round(threshold).astype(jnp.uint32)
    return x.astype(jnp.float32).reshape(intensity.shape)
