"""What is done to x before q sees it: functions that return corrupt(key, x), for one example."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.types import Key

Corrupt = Callable[[Key, Float[Array, "..."]], Float[Array, "..."]]


def masking_noise(fraction: float) -> Corrupt:
    """A corruption that sets each element to 0 with probability `fraction`, independently (Vincent
    et al. 2010, section 3.3, where their number is fixed).

    Returns:
      corrupt(key, x), for one example.

    Raises:
      ValueError: fraction outside [0, 1].
    """
    _check(fraction)

    def corrupt(key, x):
        return jnp.where(jax.random.uniform(key, x.shape) < fraction, 0.0, x)

    return corrupt


def salt_and_pepper(fraction: float) -> Corrupt:
    """A corruption that sets each element to 0 or to 1 with probability `fraction`, half each,
    independently (Vincent et al. 2010, section 3.3). Of the binary elements that it picks, half
    stay what they are.

    Returns:
      corrupt(key, x), for one example.

    Raises:
      ValueError: fraction outside [0, 1].
    """
    _check(fraction)

    def corrupt(key, x):
        uniform = jax.random.uniform(key, x.shape)
        return jnp.where(uniform < fraction, jnp.where(uniform < fraction / 2, 0.0, 1.0), x)

    return corrupt


def gaussian_noise(scale: float) -> Corrupt:
    """A corruption that adds scale * N(0, I) to x, in the units of x.

    Returns:
      corrupt(key, x), for one example.

    Raises:
      ValueError: scale negative or not finite.
    """
    if not 0 <= scale < math.inf:
        raise ValueError(f"the noise's scale must be finite and 0 or more; got {scale}")
    return lambda key, x: x + scale * jax.random.normal(key, x.shape)


def _check(fraction: float) -> None:
    if not 0 <= fraction <= 1:
        raise ValueError(f"the corrupted fraction must be in [0, 1]; got {fraction}")
