"""Mixture of Gaussians with full covariances, and what a potential makes of it: again one."""

import math
from typing import Any

import distrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vaejax.distributions.factors import inverse_of_factor
from vaejax.distributions.full_gaussian import as_gaussian
from vaejax.distributions.gaussian_mixture import GaussianMixture, at_its_quantile
from vaejax.distributions.known_kl import KnownKL
from vaejax.distributions.linear_messages import kl_of_noise, tilt
from vaejax.distributions.potential import Potential, check_potential
from vaejax.distributions.precision import highest_precision

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_NEVER = -1e30  # a log weight of 0, finite


class FullGaussianMixture(distrax.Distribution):
    """A mixture of Gaussians with full covariances: sum_k softmax(logits)_k N(means_k, L_k L_k^T).

    The event is means[k], of d elements, flat in C order.

    Samples are reparameterized implicitly, as those of `GaussianMixture` are: first derivatives
    only. L_k^-1 is computed once, so that a log density is products alone.

    Args:
      logits: one of -inf is a weight of 0.
      factors: L_k, lower triangular.
      known_kl: of a q, its KL from the prior that it was made from.

    Raises:
      ValueError: shapes that do not agree; of known values, a factor that is not finite or has a 0
        on its diagonal. The line names the component.
    """

    twice_differentiable = False

    def __init__(
        self,
        logits: Float[Array, " k"],
        means: Float[Array, "k ..."],
        factors: Float[Array, "k d d"],
        *,
        known_kl: KnownKL | None = None,
    ):
        logits, means, factors = map(jnp.asarray, (logits, means, factors))
        size = math.prod(means.shape[1:])
        if factors.shape != (*logits.shape, size, size) or logits.shape != means.shape[:1]:
            raise ValueError(
                f"logits {logits.shape}, means {means.shape} and factors {factors.shape} must "
                f"agree: k, (k, ...) and (k, d, d), d the {size} elements of one mean"
            )
        _check_factors(factors)
        self.logits = logits
        self.means = means
        self.factors = factors
        self.inverses = inverse_of_factor(factors)
        self.known_kl = known_kl

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.means.shape[1:]

    def mean(self) -> Float[Array, "..."]:
        return jnp.tensordot(jax.nn.softmax(self.logits), self.means, 1)

    def stddev(self) -> Float[Array, "..."]:
        """The standard deviation of each element."""
        weights, mean = jax.nn.softmax(self.logits), self.mean()
        inside = jnp.sum(self.factors**2, axis=-1).reshape(self.means.shape)
        return jnp.sqrt(jnp.tensordot(weights, inside + (self.means - mean) ** 2, 1))

    def _sample_n(self, key, n):
        component_key, noise_key = jax.random.split(key)
        component = jax.random.categorical(component_key, self.logits, shape=(n,))
        noise = jax.random.normal(noise_key, (n, self.factors.shape[-1]), self.means.dtype)
        k, size = self.factors.shape[:2]
        means = self.means.reshape(k, size)
        log_weights = jnp.maximum(jax.nn.log_softmax(self.logits), _NEVER)

        def one(inputs):
            component, noise = inputs
            z = means[component] + self.factors[component] @ noise
            return _reparameterized(z, log_weights, means, self.factors)

        # Of a single draw, one component's factor alone is used; of many, no n factors are held.
        drawn = jax.lax.map(one, (component, noise), batch_size=min(n, 100))
        return drawn.reshape(n, *self.event_shape)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:
        """The log density log sum_k softmax(logits)_k N(value; means_k, L_k L_k^T), in nats."""
        leading = value.shape[: value.ndim - len(self.event_shape)]
        k, size = self.factors.shape[:2]
        offsets = value.reshape(*leading, 1, size) - self.means.reshape(k, size)
        noise = jnp.einsum("kij,...kj->...ki", self.inverses, offsets)
        diagonals = jnp.diagonal(self.inverses, axis1=-2, axis2=-1)
        log_det = jnp.sum(jnp.log(jnp.abs(diagonals)), axis=-1)
        components = log_det - jnp.sum(0.5 * noise**2 + _HALF_LOG_2PI, axis=-1)
        return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + components, axis=-1)

    @highest_precision
    def posterior(self, potential: Potential) -> "FullGaussianMixture":
        """q(z) in proportion to p(z) exp(h' z - z' J z / 2), with its KL from p.

        Component k becomes N(m_k, C_k C_k'), with a weight r_k in proportion to w_k Z_k, log Z_k =
        E_k[psi] - KL_k and KL_k that of the component from the prior's. Since the potential is of z
        alone, p(k | z) = q(k | z), so that KL(q || p) = KL(r || w) + sum_k r_k KL_k.

        Raises:
          TypeError, ValueError: as `check_potential`; a z that is not of one axis.
        """
        check_potential("FullGaussianMixture.posterior", potential, self.event_shape)
        if self.means.ndim != 2:
            raise ValueError(f"expected a z of one axis; this mixture's is {self.event_shape}")
        h, J = potential.h, potential.matrix

        def component(mean, factor):
            tilted = tilt(jnp.zeros_like(factor), mean, factor, h, J)
            kl = 0.5 * jnp.sum(tilted.noise_offset**2) + kl_of_noise(tilted.noise_root)
            return tilted.b, tilted.G, kl

        means, factors, kls = jax.vmap(component)(self.means, self.factors)
        # psi less psi(c) at any c, which leaves r as it is: near the means nothing is large.
        c = jax.lax.stop_gradient(jnp.mean(means, axis=0))
        psi = jnp.sum((h - 0.5 * (means + c) @ J) * (means - c), axis=1)
        psi -= 0.5 * jnp.sum((J @ factors) * factors, axis=(1, 2))
        log_w = jnp.maximum(jax.nn.log_softmax(self.logits), _NEVER)
        log_r = jax.nn.log_softmax(log_w + psi - kls)
        kl = jnp.sum(jnp.exp(log_r) * (log_r - log_w + kls))
        return FullGaussianMixture(log_r, means, factors, known_kl=KnownKL(self, kl))


def _check_factors(factors: Any) -> None:
    if isinstance(factors, jax.core.Tracer):
        return
    factors = np.asarray(factors)
    finite = np.isfinite(factors).all(axis=(1, 2))
    wrong = ~finite | (np.diagonal(factors, 0, 1, 2) == 0).any(axis=1)
    if wrong.any():
        raise ValueError(
            f"FullGaussianMixture: the factor of component {int(np.argmax(wrong))} must be finite, "
            "without a 0 on its diagonal: no covariance is degenerate"
        )


def _reparameterized(
    z: Float[Array, " d"],
    log_weights: Float[Array, " k"],
    means: Float[Array, "k d"],
    factors: Float[Array, "k d d"],
) -> Float[Array, " d"]:
    """z with the derivatives of z_i = F^-1(u_i | z_1..z_{i-1}) for i = 1..d, u held.

    Given z_1..z_{i-1}, z_i is in component k normal with mean means_ki + sum_{j<i} L_kij e_kj,
    e_k = L_k^-1 (z - means_k), and scale L_kii; the components are weighted by their posterior.
    """
    size = means.shape[1]

    def step(carry, inputs):
        log_weights, noise = carry
        i, z, mean, rows = inputs
        scale = rows[:, i]
        mean = mean + jnp.sum(jnp.where(jnp.arange(size) < i, rows * noise, 0.0), axis=1)
        z = at_its_quantile(z, log_weights, mean, jnp.log(scale))
        own = (z - mean) / scale
        log_density = -0.5 * own**2 - jnp.log(scale) - _HALF_LOG_2PI
        log_weights = jax.nn.log_softmax(log_weights + log_density)
        return (log_weights, noise.at[:, i].set(own)), z

    inputs = (jnp.arange(size), jax.lax.stop_gradient(z), means.T, jnp.swapaxes(factors, 0, 1))
    return jax.lax.scan(step, (log_weights, jnp.zeros_like(means)), inputs)[1]


def as_gaussian_mixture(
    p: object,
) -> tuple[Float[Array, " k"], Float[Array, "k ..."], Float[Array, "k d d"]] | None:
    """The log weights, means and Cholesky factors of a Gaussian, of one component, or of a mixture
    of Gaussians, with diagonal or full covariances; None of anything else.
    """
    gaussian = as_gaussian(p)
    if gaussian is not None:
        mean, factor = gaussian
        return jnp.zeros(1, mean.dtype), mean.reshape(1, *p.event_shape), factor[None]  # type: ignore
    if isinstance(p, GaussianMixture):
        scales = jnp.exp(p.log_scales).reshape(len(p.logits), -1)
        return jax.nn.log_softmax(p.logits), p.means, jax.vmap(jnp.diag)(scales)
    if isinstance(p, FullGaussianMixture):
        return jax.nn.log_softmax(p.logits), p.means, p.factors
    return None
