"""A linear state-space model with actions, its exact smoother as a Markov q, and the Kalman filter.

z_0 ~ N(m, P), z_t ~ N(F z_{t-1} + B a_t, Q), x_t ~ N(C z_t, R), t < length.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from vaejax import GenerativeModel, InferenceNetwork, Joint
from vaejax.distributions import Distribution, FullGaussian, Markov

F = np.array([[0.9, 0.3], [-0.2, 0.8]])
B = np.array([[0.5], [-1.0]])
Q = np.array([[0.3, 0.1], [0.1, 0.2]])
C = np.array([[1.0, 0.5], [0.0, 1.0], [-0.7, 0.4]])
R = 0.5**2  # times the identity
M, P = np.array([0.5, -0.3]), np.array([[1.0, -0.3], [-0.3, 0.7]])


def factored(covariance):
    """(logs of the scales, lower triangle) of a 2 x 2 covariance, as `FullGaussian` takes them."""
    first = jnp.sqrt(covariance[0, 0])
    lower = covariance[1, 0] / first
    second = jnp.sqrt(covariance[1, 1] - lower**2)
    return jnp.log(jnp.stack([first, second])), (lower / second)[None]


def inverse(m):
    """Of a 2 x 2 matrix."""
    adjugate = jnp.array([[m[1, 1], -m[0, 1]], [-m[1, 0], m[0, 0]]])
    return adjugate / (m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0])


def gaussian(mean, covariance):
    return FullGaussian(mean, *factored(covariance))


NOISE = factored(jnp.asarray(Q, jnp.float32))  # once: no program has its Cholesky factor


class Emissions(Distribution):
    """x_t ~ N(mean_t, R) for t < length; what is beyond is not looked at."""

    def __init__(self, mean, length):
        self.loc, self.length = mean, length

    @property
    def event_shape(self):
        return self.loc.shape

    def _sample_n(self, key, n):
        return self.loc + R**0.5 * jax.random.normal(key, (n, *self.loc.shape))

    def log_prob(self, value):
        terms = -0.5 * ((value - self.loc) ** 2 / R + jnp.log(2 * jnp.pi * R))
        return jnp.sum(jnp.where(jnp.arange(len(value))[:, None] < self.length, terms, 0.0))


def _transition(parts, t, before):
    return FullGaussian(parts["F"] @ before + parts["inputs"][t], *NOISE)


def _emit(C, length, z):
    return Emissions(z @ C.T, length)


def state_space(num_steps):
    """theta is F alone. What is given: `length` and `actions`."""

    def joint(theta, given):
        parts = {"F": theta, "inputs": given["actions"] @ jnp.asarray(B.T, jnp.float32)}
        first = gaussian(jnp.asarray(M, jnp.float32), jnp.asarray(P, jnp.float32))
        prior = Markov(first, Partial(_transition, parts), num_steps, given["length"])
        return Joint(prior, Partial(_emit, jnp.asarray(C, jnp.float32), given["length"]))

    return GenerativeModel(lambda key: jnp.asarray(F, jnp.float32), joint)


def _smoothed(parts, t, before):
    mean = parts["gain"][t] @ before + parts["offset"][t]
    return FullGaussian(mean, *(part[t] for part in parts["factor"]))


def smoother():
    """p(z_t | z_{t-1}, x_t, x_{t+1}, ...) for every t, of the prior that it is given. From the end:
    p(x_t, ... | z_t) is in proportion to exp(-z' J z / 2 + h' z)."""

    def posterior(phi, x, joint, given):
        del phi
        parts = joint.prior.step.args[0]
        precision = jnp.asarray(np.linalg.inv(Q), jnp.float32)
        observed = jnp.arange(len(x)) < given["length"]
        seen_J = observed[:, None, None] * jnp.asarray(C.T @ C / R, jnp.float32)
        seen_h = observed[:, None] * (x @ jnp.asarray(C / R, jnp.float32))

        def back(message, inputs):
            seen_J, seen_h, u = inputs
            J, h = message[0] + seen_J, message[1] + seen_h
            covariance = inverse(precision + J)
            K = precision - precision @ covariance @ precision
            message = (
                parts["F"].T @ K @ parts["F"],
                parts["F"].T @ (precision @ covariance @ h - K @ u),
            )
            gain = covariance @ precision @ parts["F"]
            offset = covariance @ (precision @ u + h)
            step = {"gain": gain, "offset": offset, "factor": factored(covariance)}
            return message, (step, J, h)

        start = jnp.zeros((2, 2)), jnp.zeros(2)
        _, (steps, J, h) = jax.lax.scan(
            back, start, (seen_J, seen_h, parts["inputs"]), reverse=True
        )
        first_precision = jnp.asarray(np.linalg.inv(P), jnp.float32)
        covariance = inverse(first_precision + J[0])
        first = gaussian(covariance @ (first_precision @ jnp.asarray(M) + h[0]), covariance)
        return Markov(first, Partial(_smoothed, steps), len(x), given["length"])

    return InferenceNetwork(lambda key: (), posterior)


def kalman_log_likelihood(x, actions):
    """sum_t log p(x_t | x_<t), filtered forwards in float64."""
    mean, covariance, total = M, P, 0.0
    for t in range(len(x)):
        if t > 0:
            mean, covariance = F @ mean + B @ actions[t], F @ covariance @ F.T + Q
        S = C @ covariance @ C.T + R * np.eye(len(C))
        away = x[t] - C @ mean
        total -= 0.5 * (np.linalg.slogdet(2 * np.pi * S)[1] + away @ np.linalg.solve(S, away))
        gain = covariance @ C.T @ np.linalg.inv(S)
        mean, covariance = mean + gain @ away, covariance - gain @ C @ covariance
    return total


def state_moments(actions):
    """Mean (2 T,) and covariance (2 T, 2 T) of all states together, before any x."""
    T = len(actions)
    means, covariance = [M], np.zeros((2 * T, 2 * T))
    covariance[:2, :2] = P
    for t in range(1, T):
        means.append(F @ means[-1] + B @ actions[t])
        now, before = slice(2 * t, 2 * t + 2), slice(2 * t - 2, 2 * t)
        covariance[now, : 2 * t] = F @ covariance[before, : 2 * t]
        covariance[: 2 * t, now] = covariance[now, : 2 * t].T
        covariance[now, now] = F @ covariance[before, before] @ F.T + Q
    return np.concatenate(means), covariance


def sequence(length, seed=0):
    """x and actions drawn from the model, in float64."""
    random = np.random.default_rng(seed)
    actions, x = random.normal(size=(length, 1)), []
    for t in range(length):
        if t == 0:
            z = random.multivariate_normal(M, P)
        else:
            z = random.multivariate_normal(F @ z + B @ actions[t], Q)
        x.append(C @ z + R**0.5 * random.normal(size=3))
    return np.array(x), actions


def padded(x, actions, num_steps):
    """(x, given) in float32 with room for `num_steps`; what is beyond the length is no zero."""
    room = ((0, num_steps - len(x)), (0, 0))
    x, actions = (np.pad(a, room, constant_values=3.0).astype(np.float32) for a in (x, actions))
    return x, {"length": np.int32(num_steps - room[0][1]), "actions": actions}
