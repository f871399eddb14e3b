"""The distribution of no latent variable: its one value is ()."""

import distrax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Empty(distrax.Distribution):
    """The distribution of no latent variable: its one value is (), with p(()) = 1.

    With it as p(z) and as q(z | x), p(x, z) is p(x): the ELBO and every importance-weighted bound
    are log p(x), exactly.
    """

    has_latent = False

    @property
    def event_shape(self) -> tuple[()]:
        return ()

    def _sample_n(self, key, n):
        del key, n
        return ()

    def _sample_n_and_log_prob(self, key, n):
        return (), jnp.zeros(n)

    def log_prob(self, value: tuple[()]) -> Float[Array, ""]:
        """log 1 = 0."""
        del value
        return jnp.zeros(())

    def mean(self) -> tuple[()]:
        return ()

    def kl_divergence(self, other_dist, **kwargs) -> Float[Array, ""]:
        """0 against another Empty, the only distribution over the same values.

        Raises:
          TypeError: the other is no Empty.
        """
        if not isinstance(other_dist, Empty):
            raise TypeError(
                f"expected p(z) to be Empty, as q is; got {type(other_dist).__name__}: a model "
                "with a latent variable needs a q over it"
            )
        return jnp.zeros(())
