"""log p(x) of a linear-Gaussian state-space model: the Kalman filter, in float64 on the host."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Float

from vaejax.distributions import (
    as_gaussian,
    check_frames,
    state_space_of,
    structure_of,
)
from vaejax.marginal_likelihood.compiled import Structure, in_float, in_float64, separate
from vaejax.types import Joint, missing_frames

_PLACES = 16
_REACH = 30.0  # of the places, in standard deviations of p(z_0)
_TOLERANCE = 1e-5  # relative: what a float32 product may lose
_PERTURBATIONS = 4

Values = Float[np.ndarray, " examples"]
Moments = tuple[Float[np.ndarray, "length d"], Float[np.ndarray, "length d d"]]


class LinearStateSpace(NamedTuple):
    """z_0 ~ N(m, P), z_t = F_t z_{t-1} + b_t + N(0, Q_t), x_t = C_t z_t + d_t + N(0, R_t).

    Attributes:
      mean, factor: m, and P = factor factor'; Q_t and R_t have such factors too.
      F, b, q_factor: of the step into t, along time; those of t = 0 are not used.
      length: how many frames count.
      rounding: of every number, relative.
    """

    mean: Float[np.ndarray, " d"]
    factor: Float[np.ndarray, "d d"]
    F: Float[np.ndarray, "time d d"]
    b: Float[np.ndarray, "time d"]
    q_factor: Float[np.ndarray, "time d d"]
    C: Float[np.ndarray, "time n d"]
    d: Float[np.ndarray, "time n"]
    r_factor: Float[np.ndarray, "time n n"]
    length: int
    rounding: float

    def log_marginal(self, xs: Any) -> tuple[Values, Values]:
        """(log p(x), standard error) of each x, in nats. The error is the root mean square change
        when every number of the model is off by its rounding: four times, at random. Missing
        frames are integrated over."""
        for x in np.asarray(xs):
            check_frames("exact", x, self.length)
        frames = np.asarray(xs, np.float64).reshape(len(xs), len(self.F), -1)
        missing = missing_frames(np.asarray(xs), axes=2)
        value = self._filtered(frames, missing)
        random = np.random.RandomState(0)

        def off(values):
            return values * (1.0 + self.rounding * random.randn(*values.shape))

        changes = [
            self._replace(**{name: off(getattr(self, name)) for name in _NUMBERS})._filtered(
                frames, missing
            )
            - value
            for _ in range(_PERTURBATIONS)
        ]
        return value, np.sqrt(np.mean(np.square(changes), axis=0)) + 1e-12 * np.abs(value)

    def _filtered(self, xs, missing):
        """sum_t log N(x_t; C_t m_t + d_t, C_t P_t C_t' + R_t), m_t and P_t those of z_t given the
        frames before (Kalman 1960; Särkkä 2013, sec. 4.3). Factors are kept in place of
        covariances, so that none loses its positive eigenvalues."""
        pairs = zip(xs, missing, strict=True)
        return np.array([sum(part for part, *_ in self._forward(*pair)) for pair in pairs])

    def _forward(self, x, missing):
        """(log p(x_t | x_0..x_{t-1}), mean and factor of z_t given x_0..x_t) of each t."""
        mean, factor = self.mean, self.factor
        states = len(mean)
        for t in range(self.length):
            if t > 0:
                mean = self.F[t] @ mean + self.b[t]
                factor = _triangle(self.F[t] @ factor, self.q_factor[t])
            if missing[t]:
                yield 0.0, mean, factor
                continue
            C, n = self.C[t], len(self.d[t])
            # [R, C L; 0, L] = T Q' with T lower triangular: T holds the factor of x_t's covariance,
            # the gain times it, and the factor of z_t's covariance given x_t.
            block = np.block([[self.r_factor[t], C @ factor], [np.zeros((states, n)), factor]])
            triangle = _triangle(block)
            root, cross = triangle[:n, :n], triangle[n:, :n]
            away = scipy.linalg.solve_triangular(root, x[t] - C @ mean - self.d[t], lower=True)
            scales = np.abs(np.diag(root))
            part = -0.5 * (away @ away + n * np.log(2 * np.pi)) - np.log(scales).sum()
            mean, factor = mean + cross @ away, triangle[n:, n:]
            yield part, mean, factor

    def states(self, x: Any) -> tuple[Moments, Moments]:
        """(filtered, smoothed) of one x: means and covariances of each z_t that counts, given the
        frames up to t and given all of them (Rauch, Tung & Striebel 1965; Särkkä 2013, sec. 8.2).
        Missing frames are integrated over."""
        frames = np.asarray(x, np.float64).reshape(len(self.F), -1)
        steps = self._forward(frames, missing_frames(np.asarray(x)))
        filtered = [(mean, factor @ factor.T) for _, mean, factor in steps]
        smoothed = filtered[-1:]
        for t in reversed(range(self.length - 1)):
            (mean, P), F, q_factor = filtered[t], self.F[t + 1], self.q_factor[t + 1]
            ahead = F @ P @ F.T + q_factor @ q_factor.T
            gain = P @ F.T @ np.linalg.pinv(ahead, hermitian=True)
            later_mean, later_P = smoothed[-1]
            away = later_mean - F @ mean - self.b[t + 1]
            smoothed.append((mean + gain @ away, P + gain @ (later_P - ahead) @ gain.T))
        return _stacked(filtered), _stacked(smoothed[::-1])


def _stacked(pairs) -> Moments:
    means, covariances = zip(*pairs, strict=True)
    return np.stack(means), np.stack(covariances)


_NUMBERS = ("mean", "factor", "F", "b", "q_factor", "C", "d", "r_factor")


def _triangle(*blocks):
    """The lower triangular L with L L' = A A', A the blocks side by side."""
    return np.linalg.qr(np.concatenate(blocks, axis=1).T, mode="r").T


def linear_state_space(joint: Joint) -> LinearStateSpace | None:
    """The matrices of a model whose every step is linear-Gaussian, else None.

    That is found by trying: at 16 places, up to 30 standard deviations of p(z_0) away, the mean of
    each step and frame is one affine function of the state, and its covariance the same. Computed
    in float64 where the model's code allows.
    """
    found = state_space_of(joint)
    if found is None or as_gaussian(found[0].initial) is None:
        return None
    _, num_steps, length = found
    latent = structure_of(found[0].initial)
    if len(jax.tree.leaves(latent)) != 1:
        return None
    structure, arrays = separate(joint)

    def look(dtype):
        with jax.default_matmul_precision("highest"):
            return _looked(structure, in_float(arrays, dtype), num_steps, latent.shape)

    try:
        looked = jax.tree.map(np.asarray, in_float64(look))
    except (_NotGaussian, TypeError, ValueError):  # of another kind, or no code for arrays
        return None
    return _checked(looked, num_steps if length is None else int(length))


class _NotGaussian(Exception):
    """A step's distribution is of another kind."""


@partial(jax.jit, static_argnums=(0, 2, 3))
def _looked(structure: Structure, arrays: list[Any], num_steps: int, shape: tuple[int, ...]):
    """(p(z_0), transitions, emissions, places): of the two in the middle (means (time, places, n),
    factors at the first place, whether they are the same at all, Jacobians at the first place)."""
    found = state_space_of(structure.rebuild(arrays))
    assert found is not None
    model = found[0]

    def gaussian(p):
        both = as_gaussian(p)
        if both is None:
            raise _NotGaussian
        return both

    centre, factor = gaussian(model.initial)
    random = np.random.RandomState(0)
    reach = np.concatenate([[0.0], np.geomspace(0.03, _REACH, _PLACES - 1)])[:, None]
    scale = jnp.linalg.norm(factor, axis=1)
    places = (centre + scale * reach * random.randn(_PLACES, len(centre))).astype(centre.dtype)

    def along_time(step):
        def at(t, z):
            return gaussian(step(t, z.reshape(shape)))

        def one(t):
            means, factors = jax.vmap(partial(at, t))(places)
            slopes = jax.jacfwd(lambda z: at(t, z)[0])(places[0])
            return means, factors[0], jnp.all(factors == factors[0]), slopes

        return jax.lax.map(one, jnp.arange(num_steps))

    return (centre, factor), along_time(model.transition), along_time(model.emission), places


def _checked(looked, length: int) -> LinearStateSpace | None:
    (mean, factor), transitions, emissions, places = looked
    rounding, parts = 0.0, []
    steps = (places - places[0]).astype(np.float64)
    for k, (means, factor_t, same, slopes) in enumerate((transitions, emissions)):
        used = slice(1 if k == 0 else 0, length)
        single = 2.0**-24 if means.dtype != np.float64 else 2.0**-52
        means, slopes = np.asarray(means, np.float64), np.asarray(slopes, np.float64)
        offsets = np.einsum("pd,tnd->tpn", steps, slopes)
        sums = np.abs(means[:, :1]) + np.einsum("pd,tnd->tpn", np.abs(steps), np.abs(slopes))
        deviation = np.abs(means[:, :1] + offsets - means)
        straight = deviation <= _TOLERANCE * (sums + 1e-3)
        if not (straight[used].all() and same[used].all()):
            return None
        off = np.max((deviation / np.maximum(sums, 1e-300))[used], initial=single)
        rounding = max(rounding, float(off))
        constant = means[:, 0] - np.einsum("d,tnd->tn", places[0].astype(np.float64), slopes)
        parts.append((slopes, constant, factor_t.astype(np.float64)))
    first = mean.astype(np.float64), factor.astype(np.float64)
    return LinearStateSpace(*first, *parts[0], *parts[1], length, rounding)
