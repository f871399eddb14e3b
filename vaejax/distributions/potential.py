"""What a recognition network says about a Gaussian z: a factor in natural form."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_TOLERANCE = 1e-5  # relative: how far below 0 rounding may take an eigenvalue


class Potential(NamedTuple):
    """What is known of a Gaussian z besides its prior: a factor exp(psi(z)), psi(z) = h' z - z' J z
    / 2.

    Along the first axis of both, one of each step in time. J = 0 says nothing: a missing frame, a
    step beyond a sequence's length.

    Attributes:
      h: (..., d).
      J: positive semi-definite, (..., d, d); or its diagonal, (..., d).
    """

    h: Float[Array, "... d"]
    J: Float[Array, "... d d"] | Float[Array, "... d"]

    @property
    def matrix(self) -> Float[Array, "... d d"]:
        """J as a matrix."""
        if self.J.ndim > self.h.ndim:
            return self.J
        return self.J[..., None] * jnp.eye(self.J.shape[-1], dtype=self.J.dtype)


def check_potential_shape(function: str, potential: Any, shape: tuple[int, ...]) -> None:
    """Raises TypeError where it is no `Potential`, ValueError where h or J is of another shape than
    those of a z of this shape (d,) or (time, d)."""
    if not isinstance(potential, Potential):
        raise TypeError(
            f"{function}: expected a Potential(h, J) of a Gaussian z; got "
            f"{type(potential).__name__}"
        )
    found = jnp.shape(potential.h), jnp.shape(potential.J)
    if found[0] != shape or found[1] not in (shape, (*shape, shape[-1])):
        raise ValueError(
            f"{function}: expected a potential with h of shape {shape} and J of shape {shape}, a "
            f"diagonal, or {(*shape, shape[-1])}; got h {found[0]} and J {found[1]}"
        )


def check_potential(function: str, potential: Any, shape: tuple[int, ...]) -> None:
    """Whether these are potentials of a z of this shape (d,) or (time, d).

    Raises:
      TypeError: it is no `Potential`.
      ValueError: h or J is of another shape; of known values, one is not finite, or J not positive
        semi-definite. The line names the step.
    """
    check_potential_shape(function, potential, shape)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in potential):
        return
    h, J = np.atleast_2d(potential.h), np.asarray(potential.matrix)
    J = J.reshape(-1, *J.shape[-2:])
    finite = np.isfinite(h).all(axis=-1) & np.isfinite(J).all(axis=(-2, -1))
    J = np.where(finite[:, None, None], J, 0.0)
    lowest = np.linalg.eigvalsh(J).min(axis=-1)
    largest = np.abs(J).max(axis=(-2, -1))
    skew = np.abs(J - np.swapaxes(J, -1, -2)).max(axis=(-2, -1))
    wrong = ~finite | (np.maximum(-lowest, skew) > _TOLERANCE * largest)
    if wrong.any():
        step = int(np.argmax(wrong))
        where = f" at step {step}" if len(shape) > 1 else ""
        raise ValueError(
            f"{function}: the potential{where} is not finite with a symmetric positive "
            f"semi-definite J: its smallest eigenvalue is {lowest[step]:.3g}"
            if finite[step]
            else f"{function}: the potential{where} is not finite"
        )
