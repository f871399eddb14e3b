"""Exact message passing in a linear-Gaussian chain, as functions of arrays.

The chain is z_t = A_t z_{t-1} + b_t + G_t e_t, e_t ~ N(0, I), t = 0..T-1, with z_{-1} = 0: b_0 and
G_0 are those of z_0, and A_0 is not used. Each z_t has a potential exp(h_t' z_t - z_t' J_t z_t/2).

Backwards go messages, again potentials: the integral over z_t.. of all that comes after z_{t-1}.
With them every q(z_t | z_{t-1}) is known at once. Nothing inverts J, A or G: each may be 0 or of
low rank. What is inverted is I + G' J G, whose eigenvalues are 1 or more. Where a difference of
positive semi-definite matrices would lose digits, it is written as a sum of squares (Joseph's
form), so that float32 suffices.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions.factors import inverse_of_factor
from vaejax.distributions.precision import highest_precision


class Steps(NamedTuple):
    """z_t = A_t z_{t-1} + b_t + G_t e_t."""

    A: Float[Array, "time d d"]
    b: Float[Array, "time d"]
    G: Float[Array, "time d d"]


class Moments(NamedTuple):
    """Attributes:
    mean, covariance: of z_t.
    cross: Cov(z_t, z_{t-1}); 0 at t = 0.
    """

    mean: Float[Array, "time d"]
    covariance: Float[Array, "time d d"]
    cross: Float[Array, "time d d"]


class Tilted(NamedTuple):
    """N(z; A y + b, G G') exp(h' z - z' J z / 2), as q(z | y) times a message to y.

    Attributes:
      A, b, G: q(z | y) = N(z; A y + b, G G'); G is lower triangular where the prior's is.
      h, J: the message exp(h' y - y' J y / 2), but for a constant.
      noise_slope, noise_offset: where the prior has z = A_p y + b_p + G_p e, e ~ N(0, I), q has an
        e of mean noise_slope y + noise_offset,
      noise_root: and covariance noise_root noise_root'.
    """

    A: Float[Array, "d d"]
    b: Float[Array, " d"]
    G: Float[Array, "d d"]
    h: Float[Array, " d"]
    J: Float[Array, "d d"]
    noise_slope: Float[Array, "d d"]
    noise_offset: Float[Array, " d"]
    noise_root: Float[Array, "d d"]


def root_of_inverse(S: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """U^-T of S = U U', U upper triangular: lower triangular, R R' = S^-1."""
    L = jnp.linalg.cholesky(S[::-1, ::-1], symmetrize_input=False)
    return inverse_of_factor(L)[::-1, ::-1].T


@highest_precision
def tilt(
    A: Float[Array, "d d"],
    b: Float[Array, " d"],
    G: Float[Array, "d d"],
    h: Float[Array, " d"],
    J: Float[Array, "d d"],
) -> Tilted:
    """With S = I + G' J G = U U', U upper triangular: e | y ~ N(S^-1 G' (h - J (A y + b)), S^-1).

    So z | y has the factor G U^-T, lower triangular as G is. With M = I - G S^-1 G' J and
    N = S^-1 G' J, the message has J = A' (M' J M + N' N) A, which is A' (J - J G S^-1 G' J) A, and
    h = A' M' (h - J b).
    """
    identity = jnp.eye(len(b), dtype=G.dtype)
    S = identity + G.T @ J @ G
    root = root_of_inverse(S)
    G_q = G @ root
    shrink = identity - G_q @ (G_q.T @ J)
    slope = root @ (G_q.T @ J)
    residual = h - J @ b
    JA, NA = shrink @ A, slope @ A
    return Tilted(
        A=JA,
        b=b + G_q @ (G_q.T @ residual),
        G=G_q,
        h=JA.T @ residual,
        J=JA.T @ J @ JA + NA.T @ NA,
        noise_slope=-NA,
        noise_offset=root @ (G_q.T @ residual),
        noise_root=root,
    )


def potentials_to_come(
    steps: Steps, h: Float[Array, "time d"], J: Float[Array, "time d d"], *, parallel: bool
) -> tuple[Float[Array, "time d"], Float[Array, "time d d"]]:
    """(h, J) along time of all that depends on z_t given z_{t-1}: its own potential, and the
    message from what comes after. One step after another, or in parallel in time."""
    return (_messages_in_parallel if parallel else _messages_in_sequence)(steps, h, J)


def _messages_in_sequence(steps, h, J):
    def back(message, inputs):
        step, h, J = inputs
        total = h + message[0], J + message[1]
        tilted = tilt(*step, *total)
        return (tilted.h, tilted.J), total

    nothing = jnp.zeros_like(h[0]), jnp.zeros_like(J[0])
    return jax.lax.scan(back, nothing, (steps, h, J), reverse=True)[1]


class _Element(NamedTuple):
    """exp(h' y - y' J y / 2) N(z; A y + b, C), from an earlier state y to a later one z."""

    A: Array
    b: Array
    C: Array
    h: Array
    J: Array


@highest_precision
def _chained(first: _Element, second: _Element) -> _Element:
    """The integral over the state between (Särkkä & García-Fernández 2021, lemma 8), with
    M = (I + C_1 J_2)^-1, (I + C J)^-1 C = M C M' + (M C) J (M C)', and J (I + C J)^-1 alike."""
    M = jnp.linalg.inv(jnp.eye(len(first.b), dtype=first.b.dtype) + first.C @ second.J)
    slope = second.A @ M
    slope_C = slope @ first.C
    back = first.A.T @ M.T
    back_J = back @ second.J
    return _Element(
        A=slope @ first.A,
        b=slope @ (first.b + first.C @ second.h) + second.b,
        C=slope_C @ slope.T + slope_C @ second.J @ slope_C.T + second.C,
        h=back @ (second.h - second.J @ first.b) + first.h,
        J=back_J @ back.T + back_J @ first.C @ back_J.T + first.J,
    )


def _messages_in_parallel(steps, h, J):
    covariances = _squared(steps.G)
    after = [jnp.concatenate([a[1:], jnp.zeros_like(a[:1])]) for a in (*steps[:2], covariances)]
    elements = _Element(*after, h, J)
    # Of a reversed scan the first argument is the later in time.
    scan = jax.lax.associative_scan(jax.vmap(lambda b, a: _chained(a, b)), elements, reverse=True)
    return scan.h, scan.J


@highest_precision
def moments(steps: Steps, *, parallel: bool) -> Moments:
    """Of z_t = A_t z_{t-1} + b_t + G_t e_t: sums of positive semi-definite matrices alone."""
    if parallel:
        mean, covariance = _moments_in_parallel(steps)
    else:
        mean, covariance = _moments_in_sequence(steps)
    before = jnp.concatenate([jnp.zeros_like(covariance[:1]), covariance[:-1]])
    return Moments(mean, covariance, steps.A @ before)


def _moments_in_sequence(steps):
    def forward(before, step):
        A, b, G = step
        now = A @ before[0] + b, A @ before[1] @ A.T + G @ G.T
        return now, now

    start = jnp.zeros_like(steps.b[0]), jnp.zeros_like(steps.G[0])
    return jax.lax.scan(forward, start, steps)[1]


def _moments_in_parallel(steps):
    def chained(first, second):
        A, b, C = second
        moved = jnp.einsum("...ij,...j->...i", A, first[1]) + b
        return A @ first[0], moved, A @ first[2] @ jnp.swapaxes(A, -1, -2) + C

    elements = steps.A, steps.b, _squared(steps.G)
    return jax.lax.associative_scan(chained, elements)[1:]


@highest_precision
def trajectory(
    A: Float[Array, "time d d"], b: Float[Array, "time d"], *, parallel: bool
) -> Float[Array, "time d"]:
    """z_t = A_t z_{t-1} + b_t, from z_{-1} = 0."""
    if parallel:

        def chained(first, second):
            moved = jnp.einsum("...ij,...j->...i", second[0], first[1]) + second[1]
            return second[0] @ first[0], moved

        return jax.lax.associative_scan(chained, (A, b))[1]

    def forward(before, step):
        now = step[0] @ before + step[1]
        return now, now

    return jax.lax.scan(forward, jnp.zeros_like(b[0]), (A, b))[1]


def _squared(G):
    return G @ jnp.swapaxes(G, -1, -2)


class Smoothed(NamedTuple):
    """Attributes:
    steps: of q, q(z_t | z_{t-1}) = N(A_t z_{t-1} + b_t, G_t G_t').
    moments: of q.
    kl: E over q's z_{t-1} of KL(q(z_t | z_{t-1}) || p(z_t | z_{t-1})), in nats, of each step.
    """

    steps: Steps
    moments: Moments
    kl: Float[Array, " time"]


@partial(jax.jit, static_argnames="parallel")
@highest_precision
def smooth(
    steps: Steps, h: Float[Array, "time d"], J: Float[Array, "time d d"], *, parallel: bool
) -> Smoothed:
    """q(z) in proportion to the chain's density times its potentials.

    With e of mean m + K z and covariance S^-1 under q, the KL of a step given z_{t-1} = z is
    (|m + K z|^2 + tr S^-1 - d + log |S|) / 2: a sum without terms that cancel, where
    E_q[psi] - log Z is a small difference of large numbers.
    """
    tilted = jax.vmap(tilt)(*steps, *potentials_to_come(steps, h, J, parallel=parallel))
    found = moments(Steps(tilted.A, tilted.b, tilted.G), parallel=parallel)
    before = [jnp.concatenate([jnp.zeros_like(a[:1]), a[:-1]]) for a in found[:2]]
    kl = jax.vmap(_kl_of_step)(tilted, *before)
    return Smoothed(Steps(tilted.A, tilted.b, tilted.G), found, kl)


def _kl_of_step(tilted: Tilted, mean, covariance) -> Float[Array, ""]:
    centre = tilted.noise_offset + tilted.noise_slope @ mean
    spread = jnp.sum((tilted.noise_slope @ covariance) * tilted.noise_slope)
    return 0.5 * (centre @ centre + spread) + kl_of_noise(tilted.noise_root)


def kl_of_noise(root: Float[Array, "d d"]) -> Float[Array, ""]:
    """KL(N(0, R R') || N(0, I)) of a triangular R, in nats."""
    log_det = jnp.sum(jnp.log(jnp.diagonal(root)))
    return 0.5 * (jnp.sum(root**2) - root.shape[0]) - log_det
