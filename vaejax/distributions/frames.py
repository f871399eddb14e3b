"""Observations along time, each given the state at its time."""

from collections.abc import Callable
from typing import Any

import distrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vaejax.distributions.capabilities import structure_of
from vaejax.types import Distribution, missing_frames, num_rows


class Frames(distrax.Distribution):
    """Observations along time, each given the state at its time: p(x | z) = prod_t p(x_t | z_t).

    Time is the first axis of each array. A missing frame (each of its values NaN; of whole numbers,
    below 0) is left out of the density: it is integrated over.

    Args:
      emission: (t, z_t) -> the distribution of x_t; t is traced.
      z: the states.
      length: how many frames count, all unless given; may be traced. Frames beyond it are 0 when
        drawn, and in no density.

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian, Frames
      >>> p = Frames(lambda t, z: DiagonalGaussian(z, 0.0 * z), z=jax.numpy.zeros(3))
      >>> x = jax.numpy.array([1.0, jax.numpy.nan, 2.0])  # the middle frame is missing
      >>> normal = DiagonalGaussian(0.0, 0.0)
      >>> bool(jax.numpy.isclose(p.log_prob(x), normal.log_prob(1.0) + normal.log_prob(2.0)))
      True
    """

    def __init__(
        self,
        emission: Callable[[Int[Array, ""], Any], Distribution],
        z: Any,
        length: Int[Array, ""] | int | None = None,
    ):
        self.emission = emission
        self.z = z
        self.length = length

    @property
    def num_steps(self) -> int:
        """T, how many frames there is room for."""
        return num_rows(self.z)

    @property
    def event_shape(self) -> Any:
        return jax.tree.map(lambda leaf: leaf.shape, structure_of(self))

    def at(self, t: int) -> Distribution:
        """p(x_t | z_t)."""
        return self.emission(jnp.asarray(t), jax.tree.map(lambda leaf: leaf[t], self.z))

    def _over_frames(self, function: Callable, *inputs: Any) -> Any:
        """function(p(x_t | z_t), *inputs[t]) of each t; 0 beyond the length."""

        def one(t, z, *inputs):
            return function(self.emission(t, z), *inputs)

        times = jnp.arange(self.num_steps)
        values = jax.vmap(one)(times, self.z, *inputs)
        if self.length is None:
            return values
        counts = times < self.length
        return jax.tree.map(lambda leaf: jnp.where(_as_wide(counts, leaf), leaf, 0), values)

    def _draw(self, key):
        # fold_in, not split: a frame's draw does not depend on how many there are.
        keys = jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(self.num_steps))
        return self._over_frames(lambda p, k: p.sample(seed=k), keys)

    def _sample_n(self, key, n):
        return jax.vmap(self._draw)(jax.random.split(key, n))

    def mean(self) -> Any:
        return self._over_frames(lambda p: p.mean())

    def log_prob(self, value: Any) -> Float[Array, ""]:
        """sum_t log p(x_t | z_t) over the frames that count and are not missing, in nats."""
        return jnp.sum(self._over_frames(frame_log_prob, value))


def frame_log_prob(p: Distribution, x: Any) -> Float[Array, ""]:
    """log p of one frame, in nats; 0 where it is missing."""
    missing = missing_frames(jax.tree.map(jnp.asarray, x), axes=0)
    return jnp.where(missing, 0.0, p.log_prob(filled(x, missing)))


def filled(x: Any, missing: Bool[Array, "..."]) -> Any:
    """x with 0 in the place of missing frames: NaN would stay in a gradient."""
    return jax.tree.map(lambda leaf: jnp.where(_as_wide(missing, leaf), 0, leaf), x)


def _as_wide(flags: Bool[Array, "..."], leaf: Array) -> Bool[Array, "..."]:
    return flags.reshape(flags.shape + (1,) * (leaf.ndim - flags.ndim))


def known_frames(x: Any, length: Any = None) -> Any:
    """The frames of x, time first, that count, as numpy's arrays; None where they are traced. What
    is behind the length is padding: nobody looks at it."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in (length, *jax.tree.leaves(x))):
        return None
    end = None if length is None else int(length)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:end], x)


def check_frames(function: str, x: Any, length: Any = None) -> None:
    """Checks that each frame of a known x is seen or missing: all finite, or all NaN. Frames behind
    the length are not looked at.

    Raises:
      ValueError: a frame is infinite, or NaN in part.
    """
    x = known_frames(x, length)
    if x is None:
        return
    seen = ~missing_frames(x)
    values = [leaf for leaf in jax.tree.leaves(x) if np.issubdtype(leaf.dtype, np.floating)]
    partly = [np.isnan(leaf.reshape(len(leaf), -1)).any(axis=1) & seen for leaf in values]
    if partly and np.any(partly):
        first = int(np.argmax(np.any(partly, axis=0)))
        raise ValueError(
            f"{function}: frame {first} of x is NaN in part: a missing frame is NaN in all of its "
            "values"
        )
    infinite = [np.isinf(leaf.reshape(len(leaf), -1)).any(axis=1) for leaf in values]
    if infinite and np.any(infinite):
        first = int(np.argmax(np.any(infinite, axis=0)))
        raise ValueError(f"{function}: frame {first} of x is infinite: correct it, or make it NaN")
