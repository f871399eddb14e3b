"""Mixture of diagonal Gaussians, with samples that are differentiable in all parameters."""

import math

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def _log_normal(z, mean, log_scale):
    noise = (z - mean) * jnp.exp(-log_scale)
    return -0.5 * noise**2 - log_scale - _HALF_LOG_2PI


def at_its_quantile(
    z: Float[Array, ""],
    log_weights: Float[Array, " k"],
    means: Float[Array, " k"],
    log_scales: Float[Array, " k"],
) -> Float[Array, ""]:
    """z, as the u-quantile of sum_k w_k N(means_k, exp(log_scales_k)^2), where u is its cdf at z.

    With u held, dz/dparameter = -(dF/dparameter) / (dF/dz), F the cdf (Figurnov et al. 2018).
    """
    log_weights = jax.nn.log_softmax(log_weights)
    components = jax.scipy.special.ndtr((z - means) * jnp.exp(-log_scales))
    cdf = jnp.sum(jnp.exp(log_weights) * components)
    log_density = jax.nn.logsumexp(log_weights + _log_normal(z, means, log_scales))
    # Not a custom_jvp: scan's partial evaluation replaces one by its value, where this stays.
    moved = (cdf - jax.lax.stop_gradient(cdf)) * jax.lax.stop_gradient(jnp.exp(-log_density))
    return z - moved


def _reparameterized(
    z: Float[Array, " d"],
    logits: Float[Array, " k"],
    means: Float[Array, "k d"],
    log_scales: Float[Array, "k d"],
) -> Float[Array, " d"]:
    """z with the derivatives of z_i = F^-1(u_i | z_1..z_{i-1}) for i = 1..d, u held.

    Given z_1..z_{i-1}, z_i is a mixture of the same components, weighted by their posterior.
    """

    def step(log_weights, element):
        z, means, log_scales = element
        z = at_its_quantile(z, log_weights, means, log_scales)
        log_weights = jax.nn.log_softmax(log_weights + _log_normal(z, means, log_scales))
        return log_weights, z

    elements = (jax.lax.stop_gradient(z), means.T, log_scales.T)
    return jax.lax.scan(step, logits, elements)[1]


class GaussianMixture(distrax.Distribution):
    """A mixture of diagonal Gaussians, whose samples are differentiable in all of its parameters:

    sum_k softmax(logits)_k N(means_k, diag(exp(log_scales_k))^2); the event is means[k].

    Samples are reparameterized implicitly (Figurnov et al. 2018, section 3.2): their derivatives
    by logits, means and log_scales are those of the sequential distributional transform, so that
    the gradient of a mean over samples is unbiased, as it is not through the choice of component.
    The cost is O(k d), in d sequential steps. First derivatives only: a second derivative through
    a sample is not that of the transform.

    Raises:
      ValueError: the shapes do not fit together.

    Example:
      The mean of samples has a gradient for the weights: d E[z] / d logits.

      >>> import jax, vaejax
      >>> jnp, key = jax.numpy, jax.random.key(0)
      >>> def mean(logits):
      ...     q = vaejax.distributions.GaussianMixture(logits, jnp.array([-1.0, 1.0]), jnp.zeros(2))
      ...     return q.sample(seed=key, sample_shape=(20_000,)).mean()
      >>> gradient = jax.grad(mean)(jnp.zeros(2))  # E[z] = tanh((logits[1] - logits[0]) / 2)
      >>> bool((abs(gradient - jnp.array([-0.5, 0.5])) < 0.02).all())
      True
    """

    twice_differentiable = False

    def __init__(
        self,
        logits: Float[Array, " k"],
        means: Float[Array, "k ..."],
        log_scales: Float[Array, "k ..."],
    ):
        logits, means, log_scales = map(jnp.asarray, (logits, means, log_scales))
        if means.shape != log_scales.shape or logits.shape != means.shape[:1]:
            raise ValueError(
                f"means {means.shape} and log_scales {log_scales.shape} must agree, and their "
                f"first axis be that of logits {logits.shape}"
            )
        self.logits = logits
        self.means = means
        self.log_scales = log_scales

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.means.shape[1:]

    def mean(self) -> Float[Array, "..."]:
        return jnp.tensordot(jax.nn.softmax(self.logits), self.means, 1)

    def _sample_n(self, key, n):
        component_key, noise_key = jax.random.split(key)
        component = jax.random.categorical(component_key, self.logits, shape=(n,))
        noise = jax.random.normal(noise_key, (n, *self.event_shape), self.means.dtype)
        z = self.means[component] + jnp.exp(self.log_scales[component]) * noise
        k = len(self.logits)
        flat = (self.logits, self.means.reshape(k, -1), self.log_scales.reshape(k, -1))
        return jax.vmap(lambda z: _reparameterized(z, *flat))(z.reshape(n, -1)).reshape(z.shape)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:
        """The log density log sum_k softmax(logits)_k N(value; means_k, scales_k^2), in nats."""
        axes = tuple(range(-len(self.event_shape), 0))
        value = jnp.expand_dims(value, value.ndim - len(self.event_shape))
        components = jnp.sum(_log_normal(value, self.means, self.log_scales), axis=axes)
        return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + components, axis=-1)
