"""Recurrent networks over one sequence, forwards or backwards in time."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class GRU(nn.Module):
    """A layer of gated recurrent units (Cho et al. 2014) over the steps of a sequence that exist:

    r, u = sigmoid(W x_t + R h + b), c = tanh(W_c x_t + b_c + r * (R_c h)),
    h_t = (1 - u) * c + u * h.

    h is h_{t-1}, or h_{t+1} for `backwards`; 0 before the first step. Steps that do not exist leave
    it as it is, so that padding changes nothing. The products W x_t are made for all t at once.

    Attributes:
      hidden: numbers in h.
      backwards: whether it goes from the last step to the first.
    """

    hidden: int
    backwards: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "time n"], exists: Bool[Array, " time"]
    ) -> Float[Array, "time hidden"]:
        inputs = nn.Dense(3 * self.hidden, kernel_init=nn.initializers.glorot_uniform())(x)
        recurrent = self.param("recurrent", _orthogonal_blocks, self.hidden)

        def step(h, inputs):
            here, exists = inputs
            before = h @ recurrent
            gates = jax.nn.sigmoid(here[: 2 * self.hidden] + before[: 2 * self.hidden])
            reset, update = jnp.split(gates, 2)
            candidate = jnp.tanh(here[2 * self.hidden :] + reset * before[2 * self.hidden :])
            h = jnp.where(exists, (1.0 - update) * candidate + update * h, h)
            return h, h

        start = jnp.zeros(self.hidden, inputs.dtype)
        return jax.lax.scan(step, start, (inputs, exists), reverse=self.backwards)[1]


def _orthogonal_blocks(key, size):
    """Of r, u and c, side by side."""
    orthogonal = nn.initializers.orthogonal(dtype=jnp.float32)
    blocks = [orthogonal(k, (size, size)) for k in jax.random.split(key, 3)]
    return jnp.concatenate(blocks, axis=1)
