"""All mass at one point: the q(z | x) of a deterministic autoencoder."""

import distrax
import jax.numpy as jnp
from jaxtyping import Array, Float

_NO_DENSITY = (
    "a point mass has no density against Lebesgue measure, so log q(z), KL(q || p), the ELBO and "
    "importance weights are undefined; train it with objectives.reconstruction or "
    "objectives.maximum_a_posteriori, or give the model a q with a density"
)


class PointMass(distrax.Distribution):
    """All mass at one point, the q(z | x) of a deterministic autoencoder: the limit of N(location,
    s^2) as s -> 0. It can be sampled; it has no density.
    """

    has_density = False

    def __init__(self, location: Float[Array, "..."]):
        self.location = location

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.location.shape

    def mean(self) -> Float[Array, "..."]:
        return self.location

    def stddev(self) -> Float[Array, "..."]:
        """0: all draws are alike."""
        return jnp.zeros_like(self.location)

    def _sample_n(self, key, n):
        del key
        return jnp.broadcast_to(self.location, (n, *self.location.shape))

    def log_prob(self, value):
        """It has none.

        Raises:
          TypeError: always.
        """
        raise TypeError(_NO_DENSITY)

    def kl_divergence(self, other_dist, **kwargs):
        """It has none.

        Raises:
          TypeError: always.
        """
        raise TypeError(_NO_DENSITY)
