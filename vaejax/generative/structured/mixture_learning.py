"""What learning a mixture of Gaussians takes: the divergence of its natural gradient, a prior on
its parameters, and expectation-maximization."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions import FullGaussianMixture
from vaejax.distributions.factors import factor_of, inverse_of_factor, parameters_of_factor
from vaejax.types import Key, Parameters

_LOG_2PI = math.log(2 * math.pi)


def mixture_divergence(
    theta: Parameters, other: Parameters, *, pseudo_count: float = 0.0
) -> Float[Array, ""]:
    """KL of the complete data (k, z) of two mixtures with `full_mixture_prior`'s parameters, nats:
    sum_k w_k [log w_k / w'_k + KL(N(m_k, L_k L_k') || N(m'_k, L'_k L'_k'))]. At least the KL of z
    alone.

    Args:
      pseudo_count: added to w_k before the second KL: that of a prior on the parameters, for each
        example. With it a component of no weight moves by what that prior says.
    """
    log_w, log_other = (jax.nn.log_softmax(part["logits"]) for part in (theta, other))
    w = jnp.exp(log_w)
    kls = component_kls(theta, other)
    return jnp.sum(w * (log_w - log_other)) + jnp.sum((w + pseudo_count) * kls)


def component_kls(theta: Parameters, other: Parameters) -> Float[Array, " k"]:
    """KL(N(m_k, L_k L_k') || N(m'_k, L'_k L'_k')) of each k: with R = L'^-1 L,
    (|R|^2 - d + |L'^-1 (m - m')|^2) / 2 - log |R|."""
    inverse = inverse_of_factor(factor_of(other["factors"]))
    ratio = inverse @ factor_of(theta["factors"])
    apart = jnp.einsum("kij,kj->ki", inverse, theta["means"] - other["means"])
    log_det = jnp.sum(other["factors"]["log_scale"] - theta["factors"]["log_scale"], axis=1)
    squares = jnp.sum(ratio**2, axis=(1, 2)) + jnp.sum(apart**2, axis=1)
    return 0.5 * (squares - apart.shape[1]) + log_det


class MixturePrior(NamedTuple):
    """w ~ Dirichlet(a, .., a); S_k ~ inverse-Wishart(s^2 n I, n), m_k ~ N(0, S_k / c), n = d + e of
    a z of d dimensions.

    Attributes:
      concentration: a.
      scale: s: a covariance is s^2 I, on a draw's harmonic mean.
      excess: e, above -1.
      strength: c.
    """

    concentration: float = 1.1
    scale: float = 0.3
    excess: float = 2.0
    strength: float = 0.01

    def degrees(self, d: int) -> float:
        """n."""
        return d + self.excess

    def pseudo_count(self, d: int) -> float:
        """To how many points this prior amounts in a covariance's mode: its log density has
        -(n + d + 2) / 2 log |S| at the best mean."""
        return self.degrees(d) + d + 2

    def log_density(self, p: FullGaussianMixture) -> Float[Array, ""]:
        """Of (w, m_k, S_k), in nats. Its mode is that of these numbers, no others."""
        a, s, _, c = self
        k, d = p.means.shape
        n = self.degrees(d)
        log_w = jax.nn.log_softmax(p.logits)
        weights = (a - 1) * jnp.sum(log_w) + math.lgamma(k * a) - k * math.lgamma(a)
        log_scale = jnp.log(jnp.diagonal(p.factors, axis1=1, axis2=2))
        log_det = 2 * jnp.sum(log_scale, axis=1)
        traces = s**2 * n * jnp.sum(p.inverses**2, axis=(1, 2))
        gamma = sum(math.lgamma((n - i) / 2) for i in range(d)) + d * (d - 1) / 4 * math.log(
            math.pi
        )
        constant = 0.5 * n * d * math.log(s**2 * n / 2) - gamma
        covariances = constant - 0.5 * (n + d + 1) * log_det - 0.5 * traces
        noise = jnp.einsum("kij,kj->ki", p.inverses, p.means)
        means = 0.5 * (d * (math.log(c) - _LOG_2PI) - log_det - c * jnp.sum(noise**2, axis=1))
        return weights + jnp.sum(covariances + means)


def fit_mixture(
    key: Key,
    z: Float[Array, "n d"],
    num_components: int,
    *,
    prior: MixturePrior,
    num_rounds: int = 100,
) -> Parameters:
    """`full_mixture_prior`'s parameters by expectation-maximization from k-means++ centres (Arthur
    & Vassilvitskii 2007), at the mode of `prior`'s posterior, so that no component degenerates: one
    without points goes to 0 with covariance s^2 n / (n + d + 2) I."""
    d = z.shape[1]
    a, s, _, c = prior

    def maximize(r: Float[Array, "n k"]) -> Parameters:
        counts = jnp.sum(r, axis=0)
        means = r.T @ z / (counts + c)[:, None]
        away = z[:, None] - means
        scatter = jnp.einsum("nk,nki,nkj->kij", r, away, away)
        scatter += c * means[:, :, None] * means[:, None, :] + s**2 * prior.degrees(d) * jnp.eye(d)
        covariances = scatter / (counts + prior.pseudo_count(d))[:, None, None]
        logits = jnp.log(jnp.maximum(counts + a - 1, 1e-6))
        factors = parameters_of_factor(jnp.linalg.cholesky(covariances))
        return {"logits": logits, "means": means, "factors": factors}

    def round_(_, theta):
        p = FullGaussianMixture(theta["logits"], theta["means"], factor_of(theta["factors"]))
        components = jax.vmap(
            lambda m, f: FullGaussianMixture(jnp.zeros(1), m[None], f[None]).log_prob(z)
        )(p.means, p.factors)
        return maximize(jax.nn.softmax(jax.nn.log_softmax(p.logits) + components.T, axis=1))

    centres = _spread_centres(key, z, num_components)
    nearest = jnp.argmin(jnp.sum((z[:, None] - centres) ** 2, axis=2), axis=1)
    start = maximize(jax.nn.one_hot(nearest, num_components, dtype=z.dtype))
    return jax.lax.fori_loop(0, num_rounds, round_, start)


def _spread_centres(key: Key, z: Float[Array, "n d"], k: int) -> Float[Array, "k d"]:
    """Points of z, each drawn in proportion to its squared distance from the nearest before it."""

    def add(i, carry):
        centres, squared = carry
        index = jax.random.categorical(jax.random.fold_in(key, i), jnp.log(squared + 1e-12))
        centre = z[index]
        return centres.at[i].set(centre), jnp.minimum(squared, jnp.sum((z - centre) ** 2, axis=1))

    start = jnp.zeros((k, z.shape[1]), z.dtype), jnp.ones(len(z), z.dtype)
    return jax.lax.fori_loop(0, k, add, start)[0]
