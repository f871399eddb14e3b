"""Structured mean field of a switching linear-Gaussian chain, as functions of arrays.

p(s) is a discrete chain, z_t = A_tk z_{t-1} + b_tk + G_tk e_t where s_t = k, with z_{-1} = 0; each
z_t has a potential. Of all q(s) q(z), the best q(z) given q(s) is a linear-Gaussian chain, and
the best q(s) given q(z) a discrete one (Ghahramani & Hinton 2000; Johnson et al. 2016, sec. 4): one
pass each. Taken in turn they raise the bound, and end at a fixed point r = F(r) of r_tk = q(s_t =
k). Derivatives go through it by the implicit function theorem, dr = (I - F')^-1 dF: the term that
published code leaves out.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vaejax.distributions import discrete_messages, linear_messages
from vaejax.distributions.linear_messages import Steps
from vaejax.distributions.precision import highest_precision

MAX_SWEEPS = 100
_HALF_LOG_2PI = 0.9189385332046727


class Switching(NamedTuple):
    """Attributes:
    log_p: of the transitions of s, as `discrete_messages` has them.
    A, b, G: of the steps of z, for each state.
    inverse: G^-1.
    counts: which steps there are. The others have no potential, and none of z's steps weighs.
    """

    log_p: Float[Array, "time k k"]
    A: Float[Array, "time k d d"]
    b: Float[Array, "time k d"]
    G: Float[Array, "time k d d"]
    inverse: Float[Array, "time k d d"]
    counts: Bool[Array, " time"]


class Found(NamedTuple):
    """Attributes:
    s, z: q(s) and q(z).
    kl: KL(q(s) q(z) || p(s, z)) of each step, in nats.
    converged: whether the last sweep moved no q(s_t = k) by more than the tolerance; false too
      where it is NaN.
    """

    s: discrete_messages.Smoothed
    z: linear_messages.Smoothed
    kl: Float[Array, " time"]
    converged: Bool[Array, ""]


@highest_precision
def expected_step(r: Float[Array, " k"], A, b, inverse) -> tuple[Steps, Array, Array]:
    """sum_k r_k log N(z; A_k y + b_k, G_k G_k') as (the step N(z; A y + b, G G'), and the h and J
    of a potential on y), but for a constant.

    (G G')^-1 = sum_k r_k (G_k G_k')^-1, A and b are means weighted alike, and what is left is
    -1/2 sum_k r_k |G_k^-1 ((A_k - A) y + b_k - b)|^2. With one state nothing is left.
    """
    precisions = r[:, None, None] * jnp.swapaxes(inverse, 1, 2) @ inverse
    precision = jnp.sum(precisions, axis=0)
    G = linear_messages.root_of_inverse(precision)
    both = jnp.concatenate([A, b[:, :, None]], axis=2)
    centre = jnp.tensordot(r, both, 1) / jnp.sum(r)
    mean = centre + G @ (G.T @ jnp.sum(precisions @ (both - centre), axis=0))
    away = inverse @ (both - mean)
    slopes, offsets = away[:, :, :-1], away[:, :, -1]
    h = -jnp.einsum("k,kij,ki->j", r, slopes, offsets)
    J = jnp.einsum("k,kij,kil->jl", r, slopes, slopes)
    return Steps(mean[:, :-1], mean[:, -1], G), h, J


@highest_precision
def smoothed_states(r: Float[Array, "time k"], p: Switching, h, J, *, parallel: bool):
    """The best q(z) given q(s)."""
    steps, h_before, J_before = jax.vmap(expected_step)(r, p.A, p.b, p.inverse)
    own = p.counts[1:]
    h = h.at[:-1].add(jnp.where(own[:, None], h_before[1:], 0.0))
    J = J.at[:-1].add(jnp.where(own[:, None, None], J_before[1:], 0.0))
    return linear_messages.smooth(steps, h, J, parallel=parallel)


@highest_precision
def expected_log_steps(z: linear_messages.Smoothed, p: Switching) -> Float[Array, "time k"]:
    """E_q[log N(z_t; A_k z_{t-1} + b_k, G_k G_k')] in nats; 0 of steps that there are not.

    Under q, z_t - A_k z_{t-1} - b_k has the covariance (A_q - A_k) P (A_q - A_k)' + G_q G_q', a
    sum.
    """
    before = [jnp.concatenate([jnp.zeros_like(a[:1]), a[:-1]]) for a in z.moments[:2]]

    def one(q, p, mean, covariance):
        slope = p.inverse @ (q.A - p.A)
        centre = slope @ mean + jnp.einsum("kij,kj->ki", p.inverse, q.b - p.b)
        squares = jnp.sum(centre**2, axis=1) + jnp.sum((p.inverse @ q.G) ** 2, axis=(1, 2))
        squares += jnp.sum((slope @ covariance) * slope, axis=(1, 2))
        log_det = jnp.sum(jnp.log(jnp.diagonal(p.G, axis1=1, axis2=2)), axis=1)
        return jnp.where(p.counts, -0.5 * squares - log_det - len(mean) * _HALF_LOG_2PI, 0.0)

    return jax.vmap(one)(z.steps, p, *before)


def sweep(
    r: Float[Array, "time k"], p: Switching, h, J, *, parallel: bool
) -> tuple[linear_messages.Smoothed, Float[Array, "time k"], discrete_messages.Smoothed]:
    """(the best q(z) given r, E_q of each step's log density, the best q(s) given that q(z))."""
    z = smoothed_states(r, p, h, J, parallel=parallel)
    psi = expected_log_steps(z, p)
    return z, psi, discrete_messages.smooth(p.log_p, psi, parallel=parallel)


@partial(jax.jit, static_argnames="parallel")
def mean_field(
    p: Switching, h: Float[Array, "time d"], J: Float[Array, "time d d"], *, parallel: bool
) -> Found:
    """The q(s) q(z) that sweeps from r = p(s_t) end at: until no r_tk moves by more than
    eps^(2/3), 2e-5 in float32, or after 100. A q that has not converged is one all the same, with
    its own KL: the bound holds; its gradient lacks the last part of the fixed point's."""

    def to_next(r):
        return sweep(r, p, h, J, parallel=parallel)[2].marginals

    prior = jax.nn.softmax(jnp.maximum(p.log_p, discrete_messages.NEVER))
    start = jax.lax.stop_gradient(discrete_messages.marginals(prior, parallel=parallel))
    r, converged = fixed_point(to_next, start)
    z, psi, s = sweep(r, p, h, J, parallel=parallel)
    log_det = jnp.sum(jnp.log(jnp.diagonal(z.steps.G, axis1=1, axis2=2)), axis=1)
    entropy = log_det + h.shape[1] * (_HALF_LOG_2PI + 0.5)
    kl = jnp.where(p.counts, s.kl - entropy - jnp.sum(s.marginals * psi, axis=1), 0.0)
    return Found(s, z, kl, converged)


def fixed_point(function: Any, start: Array) -> tuple[Array, Bool[Array, ""]]:
    """(r = F(r), whether it was reached in 100 steps), by r, F(r), F(F(r)), ...

    Its gradient is that of the fixed point: of a cotangent v, with D the Jacobian of F at r, that
    of F's parameters at the fixed point of w = v + D' w (Christianson 1994). `start` has none.
    """
    r, converged = jax.lax.stop_gradient(_iterated(function, start))
    pull = jax.lax.stop_gradient(jax.vjp(function, r)[1])
    return _as_fixed_point(pull, function(r)), converged


def _iterated(function: Any, start: Array) -> tuple[Array, Bool[Array, ""]]:
    """(the fixed point, whether it was reached)."""
    tolerance = float(jnp.finfo(start.dtype).eps) ** (2 / 3)

    def allowed(r):
        return tolerance * jnp.maximum(1.0, jnp.max(jnp.abs(r)))

    def further(carry):
        r, steps, change = carry
        return (change > allowed(r)) & (steps < MAX_SWEEPS)

    def step(carry):
        r, steps, _ = carry
        after = function(r)
        return after, steps + 1, jnp.max(jnp.abs(after - r))

    first = start, jnp.zeros((), jnp.int32), jnp.full((), jnp.inf, start.dtype)
    r, _, change = jax.lax.while_loop(further, step, first)
    return r, change <= allowed(r)  # false of NaN


@jax.custom_vjp
def _as_fixed_point(pull: Any, r: Array) -> Array:
    """r = F(r, parameters), where F(., parameters) has been differentiated by its parameters
    alone; `pull` is v -> F'(r)' v."""
    return r


def _forward(pull, r):
    return r, pull


def _backward(pull, v):
    size = jnp.max(jnp.abs(v))  # of v, whose unit is the loss's: the tolerance is relative to it
    v = v / jnp.where(size > 0, size, 1.0)
    return None, size * _iterated(lambda w: v + pull(w)[0], v)[0]


_as_fixed_point.defvjp(_forward, _backward)
