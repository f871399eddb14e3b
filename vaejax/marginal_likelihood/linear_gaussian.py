"""log p(x) where p(z) is a Gaussian or a mixture of some, p(x | z) = N(W z + b, R), in float64 on
the host."""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import scipy.special
from jaxtyping import Float

from vaejax.distributions import as_diagonal_gaussian, as_gaussian_mixture
from vaejax.marginal_likelihood.compiled import in_float, in_float64
from vaejax.types import Joint

_PLACES = 64
_REACH = 30.0  # of the places from the prior's centre, in standard deviations
_TOLERANCE = 1e-5  # relative: what a float32 product may lose
_EPSILON = 2.0**-52
_PERTURBATIONS = 4

Values = Float[np.ndarray, " examples"]


class LinearGaussian(NamedTuple):
    """p(x) = sum_k w_k N(W m_k + b, W S_k W' + R), with R diagonal; w, m, S those of p(z).

    Attributes:
      log_weights: log w.
      means: W m_k + b.
      slopes: W.
      factors: L_k, S_k = L_k L_k'.
      log_noise: logarithms of the square roots of R's diagonal.
      rounding: of `means` and `slopes`, relative to the sums that they are made of.
      noise_rounding: of `log_noise`, relative.
    """

    log_weights: Float[np.ndarray, " k"]
    means: Float[np.ndarray, "k n"]
    slopes: Float[np.ndarray, "n d"]
    factors: Float[np.ndarray, "k d d"]
    log_noise: Float[np.ndarray, " n"]
    rounding: float
    noise_rounding: float

    def log_marginal(self, xs: Float[np.ndarray, "examples n"]) -> tuple[Values, Values]:
        """(log p(x), standard error), in nats. The error is the root mean square change when
        every number of the model, and of the decomposition, is off by its rounding: four times,
        at random."""
        xs = np.asarray(xs, np.float64)
        value = self._log_density(xs)
        random = np.random.RandomState(0)
        scales = np.linalg.norm(self.factors, axis=2)
        reach = np.abs(self.means) + scales @ np.abs(self.slopes).T

        def off(values, by):
            return values + by * random.randn(*values.shape)

        changes = [
            self._replace(
                means=off(self.means, self.rounding * reach),
                slopes=off(self.slopes, self.rounding * np.abs(self.slopes)),
                log_noise=off(self.log_noise, self.noise_rounding * np.abs(self.log_noise)),
            )._log_density(xs)
            - value
            for _ in range(_PERTURBATIONS)
        ]
        own = _EPSILON * np.sqrt(len(self.slopes)) * np.abs(value)
        return value, np.sqrt(np.mean(np.square(changes), axis=0)) + own

    def _log_density(self, xs):
        each = map(self._log_component, self.means, self.factors)
        components = np.stack([log_p(xs) for log_p in each], axis=1)
        return scipy.special.logsumexp(components + self.log_weights, axis=1)

    def _log_component(self, mean, factor):
        """xs -> log N(xs; mean, W L L' W' + R).

        In units of the noise, x - mean = r and W L = U s V': log |I + A A'| =
        sum log(1 + s^2), r' (I + A A')^-1 r = |r - U U' r|^2 + sum (U' r)^2 / (1 + s^2). A is
        never squared: its largest value may be 1e8, and float64 keeps its digits."""
        noise = np.exp(self.log_noise)
        u, s, _ = np.linalg.svd(self.slopes @ factor / noise[:, None], False)
        constant = -self.log_noise.sum() - 0.5 * np.log1p(s**2).sum()
        constant -= 0.5 * len(noise) * np.log(2 * np.pi)

        def log_p(xs):
            r = (xs - mean) / noise
            along = r @ u
            across = r - along @ u.T
            squares = np.sum(across**2, axis=1) + np.sum(along**2 / (1.0 + s**2), axis=1)
            return constant - 0.5 * squares

        return log_p


def linear_gaussian(joint: Joint) -> LinearGaussian | None:
    """The model's w, m, S, W, b, R, where it is linear-Gaussian, else None.

    That is found by trying: at 64 places, from the prior's centre to 30 standard deviations away,
    and at the means of its components, the likelihood's mean is one affine function of z, and R is
    the same. z is float64 there, so that float32 parameters, which are exact numbers, are
    multiplied in float64 wherever the model's code does not ask for float32.
    """
    with jax.enable_x64(True):
        mixture = as_gaussian_mixture(in_float(joint.prior, np.float64))
    if mixture is None or mixture[1].ndim != 2:
        return None
    log_weights, centres, factors = (np.asarray(part, np.float64) for part in mixture)
    return in_float64(partial(_tried, joint, log_weights, centres, factors))


def _tried(joint: Joint, log_weights, centres, factors, dtype: type) -> LinearGaussian | None:
    gaussian = []

    def parameters(z):
        likelihood = as_diagonal_gaussian(joint.likelihood(z))
        gaussian.append(likelihood is not None)
        if likelihood is None:
            return z, z
        return likelihood.loc.reshape(-1), likelihood.log_scale.reshape(-1)

    k = len(centres)
    centre = (np.exp(log_weights) @ centres).astype(dtype)
    away = np.linalg.norm(factors, axis=2) + np.abs(centres - centre)
    shapes = jax.eval_shape(parameters, centre)
    if not gaussian[-1]:
        return None
    random = np.random.RandomState(0)
    reach = np.concatenate([[0.0], np.geomspace(0.03, _REACH, _PLACES - 1)])[:, None]
    offsets = reach * random.randn(_PLACES, len(centre))
    places: np.ndarray = (centre + away.max(axis=0) * offsets).astype(dtype)
    places = np.concatenate([places, centres.astype(dtype)])
    with jax.default_matmul_precision("highest"):
        found = jax.jit(jax.vmap(parameters))(places)
        slopes = jax.jit(jax.jacfwd(lambda z: parameters(z)[0]))(centre)
    means, log_noise, slopes = (np.asarray(a, np.float64) for a in (*found, slopes))
    steps = (places - places[0]).astype(np.float64)
    sums = np.abs(means[0]) + np.abs(steps) @ np.abs(slopes).T
    deviation = np.abs(means[0] + steps @ slopes.T - means)
    if np.any(~(deviation <= _TOLERANCE * (sums + 1e-3))) or np.any(log_noise != log_noise[0]):
        return None
    single = 2.0**-24 if shapes[1].dtype != np.float64 else _EPSILON
    rounding = float(np.max(deviation / np.maximum(sums, 1e-300), initial=_EPSILON))
    return LinearGaussian(log_weights, means[-k:], slopes, factors, log_noise[0], rounding, single)
