"""Mixture of Gaussians with full covariances: a p(z) fitted to codes."""

import math

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class FullGaussianMixture(distrax.Distribution):
    """sum_k softmax(logits)_k N(means_k, L_k L_k^T), L_k lower triangular; the event is means[k],
    of d elements, flat in C order.

    It is fitted elsewhere and held fixed: a sample has no derivative by the logits, since its
    component is drawn. L_k^-1 is computed once, so that a log density is products alone.
    """

    def __init__(
        self,
        logits: Float[Array, " k"],
        means: Float[Array, "k ..."],
        factors: Float[Array, "k d d"],
    ):
        logits, means, factors = map(jnp.asarray, (logits, means, factors))
        size = math.prod(means.shape[1:])
        if factors.shape != (*logits.shape, size, size) or logits.shape != means.shape[:1]:
            raise ValueError(
                f"logits {logits.shape}, means {means.shape} and factors {factors.shape} must "
                f"agree: k, (k, ...) and (k, d, d), d the {size} elements of one mean"
            )
        self.logits = logits
        self.means = means
        self.factors = factors
        identity = jnp.broadcast_to(jnp.eye(size, dtype=factors.dtype), factors.shape)
        self.inverses = jax.scipy.linalg.solve_triangular(factors, identity, lower=True)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.means.shape[1:]

    def mean(self) -> Float[Array, "..."]:
        return jnp.tensordot(jax.nn.softmax(self.logits), self.means, 1)

    def _sample_n(self, key, n):
        component_key, noise_key = jax.random.split(key)
        component = jax.random.categorical(component_key, self.logits, shape=(n,))
        noise = jax.random.normal(noise_key, (n, self.factors.shape[-1]), self.means.dtype)
        # Of a single draw, one component's factor alone is used; of many, no n factors are held.
        moved = jax.lax.map(
            lambda inputs: self.factors[inputs[0]] @ inputs[1],
            (component, noise),
            batch_size=min(n, 100),
        )
        return self.means[component] + moved.reshape(n, *self.event_shape)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:
        """log sum_k softmax(logits)_k N(value; means_k, L_k L_k^T), in nats."""
        leading = value.shape[: value.ndim - len(self.event_shape)]
        k, size = self.factors.shape[:2]
        offsets = value.reshape(*leading, 1, size) - self.means.reshape(k, size)
        noise = jnp.einsum("kij,...kj->...ki", self.inverses, offsets)
        diagonals = jnp.diagonal(self.inverses, axis1=-2, axis2=-1)
        log_det = jnp.sum(jnp.log(jnp.abs(diagonals)), axis=-1)
        components = log_det - jnp.sum(0.5 * noise**2 + _HALF_LOG_2PI, axis=-1)
        return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + components, axis=-1)
