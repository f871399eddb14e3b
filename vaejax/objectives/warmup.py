"""KL warm-up: beta from 0 to 1 over the first steps (Bowman et al. 2016)."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def linear_warmup(step, num_steps: int) -> Float[Array, ""]:
    """The weight of the KL in a linear warm-up (Bowman et al. 2016): min(1, (step + 1) /
    num_steps).

    It is 1 throughout when num_steps is 0. It is an objective's `beta`, from its `step`.

    Example:
      >>> import vaejax
      >>> [float(vaejax.objectives.linear_warmup(step, 4)) for step in (0, 1, 3, 9)]
      [0.25, 0.5, 1.0, 1.0]
    """
    return jnp.minimum(1.0, (step + 1) / max(num_steps, 1))
