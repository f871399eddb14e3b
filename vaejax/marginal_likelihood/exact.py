"""log p(x) exactly, where it is: linear-Gaussian models, and finite latents summed over."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vaejax.distributions import Bernoulli, Categorical, DiagonalGaussian
from vaejax.types import Joint, LogJoint, Observation

MAX_STATES = 2**16


class Exact(NamedTuple):
    """`log_marginal`: x -> log p(x), in nats; `reason`: why it is exact."""

    log_marginal: Callable[[Observation], Float[Array, ""]]
    reason: str


def exact(joint: Joint | LogJoint) -> Exact | None:
    """The exact log p(x) of a model that has one, else None.

    - A prior over at most 2^16 states (Categorical, or an array of Bernoulli): their sum.
    - p(z) = N(m, S), p(x | z) = N(W z + b, R), S and R diagonal: N(W m + b, W S W' + R). That the
      likelihood is so is found by trying: at 64 places, from the prior's centre to 30 standard
      deviations away, its mean is that affine function of z, slopes included, and R is the same.
    """
    if isinstance(joint, LogJoint):
        return None
    states = _states(joint.prior)
    if states is not None:
        return Exact(
            lambda x: jax.nn.logsumexp(jax.vmap(lambda z: joint.log_prob(x, z))(states)),
            f"a sum over all {len(states)} values of z",
        )
    if isinstance(joint.prior, DiagonalGaussian) and joint.prior.loc.ndim == 1:
        return _linear_gaussian(joint)
    return None


def _states(prior) -> Array | None:
    if isinstance(prior, Categorical) and prior.batch_shape == ():
        return jnp.arange(prior.num_categories) if prior.num_categories <= MAX_STATES else None
    if isinstance(prior, Bernoulli):
        size = prior.logits.size
        if size <= np.log2(MAX_STATES):
            bits = np.array(list(itertools.product((0.0, 1.0), repeat=size)), np.float32)
            return jnp.asarray(bits.reshape(-1, *prior.logits.shape))
    return None


def _linear_gaussian(joint: Joint) -> Exact | None:
    prior = joint.prior
    assert isinstance(prior, DiagonalGaussian)
    kind = []

    def parameters(z):
        likelihood = joint.likelihood(z)
        kind.append(isinstance(likelihood, DiagonalGaussian))
        if not kind[-1]:
            return jnp.zeros(1), jnp.zeros(1)
        return likelihood.loc.reshape(-1), likelihood.log_scale.reshape(-1)

    jax.eval_shape(parameters, prior.loc)
    if not kind[-1]:
        return None
    random = np.random.RandomState(0)
    reach = np.concatenate([[0.0], np.geomspace(0.03, 30.0, 63)])[:, None]
    offsets = reach * random.randn(64, prior.loc.shape[0])
    places = prior.loc + jnp.exp(prior.log_scale) * jnp.asarray(offsets, prior.loc.dtype)
    with jax.default_matmul_precision("highest"):
        slopes, scale_slopes = jax.jit(jax.vmap(jax.jacfwd(parameters)))(places)
        means, log_scales = jax.jit(jax.vmap(parameters))(places)
    mean, log_scale = means[0], log_scales[0]
    slopes = np.asarray(slopes, np.float64)
    tolerance = 1e-5 * (1e-6 + np.abs(slopes).max())
    steps = np.asarray(places - places[0], np.float64)
    affine = np.asarray(mean, np.float64) + steps @ slopes[0].T
    rounding = 1e-5 * (np.abs(affine) + np.abs(steps) @ np.abs(slopes[0]).T + 1e-3)
    if (
        np.abs(slopes - slopes[0]).max() > tolerance
        or np.any(np.abs(affine - np.asarray(means, np.float64)) > rounding)
        or np.abs(np.asarray(scale_slopes)).max() > 0
        or np.any(log_scales != log_scale)
    ):
        return None
    weights = slopes[0] * np.exp(np.asarray(prior.log_scale, np.float64))
    noise = np.exp(2 * np.asarray(log_scale, np.float64))
    covariance = weights @ weights.T + np.diag(noise)
    factor = np.linalg.cholesky(covariance)
    whiten = jnp.asarray(np.linalg.inv(factor), jnp.result_type(float))
    constant = -np.log(np.diag(factor)).sum() - 0.5 * len(factor) * np.log(2 * np.pi)

    def log_marginal(x):
        with jax.default_matmul_precision("highest"):
            return constant - 0.5 * jnp.sum((whiten @ (x.reshape(-1) - mean)) ** 2)

    return Exact(log_marginal, "linear-Gaussian: log N(x; W m + b, W S W' + R)")
