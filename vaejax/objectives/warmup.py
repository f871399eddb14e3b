"""KL warm-up: beta from 0 to 1 over the first steps (Bowman et al. 2016)."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def linear_warmup(step, num_steps: int) -> Float[Array, ""]:
    """min(1, (step + 1) / num_steps); 1 throughout when num_steps is 0."""
    return jnp.minimum(1.0, (step + 1) / max(num_steps, 1))
