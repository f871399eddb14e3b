"""Exact message passing in a chain of discrete states, as functions of arrays.

The chain is s_0 ~ initial, s_t ~ transition_t(s_{t-1}, .), t = 1..T-1, by logarithms of
probabilities; each s_t has a potential exp(psi_t(s_t)), such as p(x_t | s_t). In the transitions
that are `log_p` along time, the first is that of s_0, the same row for every s_{-1}.

Every logarithm is kept finite, at -1e30 or more: what is impossible gives no NaN, nor a gradient.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions.precision import highest_precision

NEVER = -1e30  # log of a probability of 0


class Smoothed(NamedTuple):
    """Attributes:
    log_q: log q(s_t | s_{t-1}); at t = 0 each row is q(s_0).
    marginals: q(s_t).
    kl: E over q's s_{t-1} of KL(q(s_t | s_{t-1}) || p(s_t | s_{t-1})), in nats, of each step.
    """

    log_q: Float[Array, "time k k"]
    marginals: Float[Array, "time k"]
    kl: Float[Array, " time"]


def messages(
    log_p: Float[Array, "time k k"], psi: Float[Array, "time k"], *, parallel: bool
) -> Float[Array, "time k"]:
    """log of the sum over s_{t+1}.. of all that depends on s_t given s_{t-1}: its own potential,
    and what comes after. Each step's is less its largest, so that nothing grows with T."""
    return (_in_parallel if parallel else _in_sequence)(log_p, psi)


def _in_sequence(log_p, psi):
    def back(message, inputs):
        after, psi = inputs
        total = _less_largest(psi + jax.nn.logsumexp(after + message, axis=1))
        return total, total

    # After the last step there is nothing, and so a message of 0.
    after = jnp.concatenate([log_p[1:], jnp.full_like(log_p[:1], -jnp.log(psi.shape[1]))])
    return jax.lax.scan(back, jnp.zeros_like(psi[0]), (after, psi), reverse=True)[1]


def _in_parallel(log_p, psi):
    """The products of the matrices exp(psi_t(s) + log_p_{t+1}(s, s')), from the end, by an
    associative scan (Hassan et al. 2021)."""

    def chained(first, second):
        product = jax.nn.logsumexp(first[..., :, :, None] + second[..., None, :, :], axis=-2)
        return product - jnp.max(product, axis=(-2, -1), keepdims=True)

    after = jnp.concatenate([log_p[1:], jnp.full_like(log_p[:1], -jnp.log(psi.shape[1]))])
    factors = jnp.maximum(psi[:, :, None] + after, NEVER)
    products = jax.lax.associative_scan(lambda b, a: chained(a, b), factors, reverse=True)
    return _less_largest(jax.nn.logsumexp(products, axis=-1))


def _less_largest(values):
    return values - jax.lax.stop_gradient(jnp.max(values, axis=-1, keepdims=True))


@highest_precision
def marginals(P: Float[Array, "time k k"], *, parallel: bool) -> Float[Array, "time k"]:
    """Of s_t, from the probabilities of its transitions."""
    if parallel:
        return jax.lax.associative_scan(jnp.matmul, P)[:, 0]

    def forward(before, P):
        now = before @ P
        return now, now

    return jax.lax.scan(forward, jnp.eye(P.shape[-1], dtype=P.dtype)[0], P)[1]


def log_transitions(logits: Float[Array, "time k k"]) -> Float[Array, "time k k"]:
    """Normalized, and finite."""
    return jnp.maximum(jax.nn.log_softmax(jnp.maximum(logits, NEVER)), NEVER)


def _before(marginals: Float[Array, "time k"]) -> Float[Array, "time k"]:
    """The probabilities of s_{t-1}, from those of s_t; at t = 0 any will do."""
    first = jnp.eye(marginals.shape[-1], dtype=marginals.dtype)[:1]
    return jnp.concatenate([first, marginals[:-1]])


@highest_precision
def entropies(logits: Float[Array, "time k k"], *, parallel: bool) -> Float[Array, " time"]:
    """Of s_t given s_{t-1}, the mean over s_{t-1}, in nats."""
    log_p = log_transitions(logits)
    p = jnp.exp(log_p)
    return -jnp.einsum("ti,tij,tij->t", _before(marginals(p, parallel=parallel)), p, log_p)


@partial(jax.jit, static_argnames="parallel")
def smooth(
    log_p: Float[Array, "time k k"], psi: Float[Array, "time k"], *, parallel: bool
) -> Smoothed:
    """q(s) in proportion to p(s) exp(sum_t psi_t(s_t)): q(s_t | s_{t-1}) is in proportion to
    p(s_t | s_{t-1}) times the message of all that depends on s_t."""
    log_p = log_transitions(log_p)
    psi = jnp.maximum(psi, NEVER)
    to_come = messages(log_p, psi, parallel=parallel)
    log_q = log_transitions(log_p + to_come[:, None, :])
    q = jnp.exp(log_q)
    found = marginals(q, parallel=parallel)
    kl = jnp.einsum("ti,tij,tij->t", _before(found), q, log_q - log_p)
    return Smoothed(log_q, found, kl)
