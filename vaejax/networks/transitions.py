"""Transitions of a state: (z_{t-1}, u_t) -> mean and log scale of z_t."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_SMALLEST = 1e-3  # of a scale


def log_scale_of(a: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(softplus(a) + 0.001)."""
    return jnp.log(jax.nn.softplus(a) + _SMALLEST)


def _together(z, u):
    return jnp.concatenate([z, u], axis=-1) if u.shape[-1] else z


def _near_identity(key, shape, dtype=jnp.float32):
    """The identity for z, Glorot's for the actions below it."""
    rows, columns = shape
    rest = nn.initializers.glorot_uniform()(key, shape, dtype)
    return jnp.where(jnp.arange(rows)[:, None] < columns, jnp.eye(rows, columns, dtype=dtype), rest)


class LinearTransition(nn.Module):
    """A linear transition: the mean and log scale of N(W [z, u] + b, diag(s)^2), s the same for
    every z.

    W starts at the identity. Called as (z, u) -> (mean, log scale), each of z's shape.
    """

    @nn.compact
    def __call__(self, z: Float[Array, "... d"], u: Float[Array, "... a"]):
        size = z.shape[-1]
        mean = nn.Dense(size, kernel_init=_near_identity)(_together(z, u))
        log_scale = self.param("log_scale", nn.initializers.constant(-1.0), (size,))
        return mean, jnp.broadcast_to(log_scale, mean.shape)


class MLPTransition(nn.Module):
    """A transition by a network: the mean and log scale of N(z + f(z, u), diag(softplus(g(z,
    u)))^2).

    f and g have one hidden layer in common. Called as (z, u) -> (mean, log scale), each of z's
    shape.

    Attributes:
      hidden: units of that layer.
    """

    hidden: int

    @nn.compact
    def __call__(self, z: Float[Array, "... d"], u: Float[Array, "... a"]):
        h = jnp.tanh(nn.Dense(self.hidden)(_together(z, u)))
        change, scale = jnp.split(nn.Dense(2 * z.shape[-1])(h), 2, axis=-1)
        return z + change, log_scale_of(scale)


class GatedTransition(nn.Module):
    """The gated transition of the deep Markov model (Krishnan et al. 2017, sec. 5): with y = [z,
    u],

    g = sigmoid(MLP(y)), h = MLP(y), mean = (1 - g) * (W y + b) + g * h,
    scale = softplus(V relu(h) + c). W starts at the identity.

    Called as (z, u) -> (mean, log scale), each of z's shape.

    Attributes:
      hidden: units of each MLP's hidden layer.
    """

    hidden: int

    @nn.compact
    def __call__(self, z: Float[Array, "... d"], u: Float[Array, "... a"]):
        size, y = z.shape[-1], _together(z, u)
        gate = jax.nn.sigmoid(nn.Dense(size)(jax.nn.relu(nn.Dense(self.hidden)(y))))
        proposed = nn.Dense(size)(jax.nn.relu(nn.Dense(self.hidden)(y)))
        linear = nn.Dense(size, kernel_init=_near_identity)(y)
        log_scale = log_scale_of(nn.Dense(size)(jax.nn.relu(proposed)))
        return (1.0 - gate) * linear + gate * proposed, log_scale


class Combiner(nn.Module):
    """What x says of z_t, and z_{t-1}, made into the mean and log scale of q(z_t | z_{t-1}, x)
    (Krishnan et al. 2017, eqs. 11 and 12):

    h = (tanh(W z_{t-1} + b) + sum of the summaries) / (1 + their number),
    mean = V h + c, scale = softplus(U h + d).

    Called as (z_{t-1}, summaries of shape (k, hidden)) -> (mean, log scale).

    Attributes:
      latent_dim: numbers in z_t.
      state: whether z_{t-1} enters. Without it q is independent from step to step.
    """

    latent_dim: int
    state: bool = True

    @nn.compact
    def __call__(self, z: Float[Array, "... d"], summaries: Float[Array, "... k hidden"]):
        parts = summaries.sum(axis=-2)
        count = summaries.shape[-2]
        if self.state:
            parts, count = parts + jnp.tanh(nn.Dense(parts.shape[-1])(z)), count + 1
        mean, scale = jnp.split(nn.Dense(2 * self.latent_dim)(parts / count), 2, axis=-1)
        return mean, log_scale_of(scale)
