"""Particles that follow a state-space model along x: what particle filters and FIVO are made of."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vaejax.distributions.frames import check_frames, frame_log_prob
from vaejax.distributions.state_space import (
    StateSpace,
    check_length,
    check_room,
    check_steps,
    state_space_of,
)
from vaejax.distributions.support import check_frame_support
from vaejax.types import Key, Observation, num_rows, rows_of

Resample = Callable[[Key, Float[Array, " n"]], Int[Array, " n"]]


def steps_of(
    function: str, model: Any, x: Observation, q: Any, length: Any = None
) -> tuple[StateSpace, Any]:
    """(the model's steps, how many frames count) of what a filter is given, once it is checked."""
    num_steps = num_rows(x)
    found = (model, num_steps, None) if isinstance(model, StateSpace) else state_space_of(model)
    if found is None:
        raise TypeError(
            f"{function} expects a StateSpace, or a joint with a Markov prior and Frames for x as "
            f"StateSpace.joint gives; got {type(model).__name__}"
        )
    steps, room, own_length = found
    if room != num_steps:
        raise ValueError(f"{function}: x has {num_steps} frames, the model {room}: they must agree")
    length = own_length if length is None else length
    check_length(function, length, num_steps)
    check_room(function, steps, num_steps if length is None else length)
    check_steps(function, steps, x, q)
    check_frames(function, x, length)
    check_frame_support(function, steps, x, length)
    return steps, length


class Filtered(NamedTuple):
    """What a particle filter of N particles found.

    Attributes:
      log_p: log of an unbiased estimate of p(x), in nats.
      increments: the part of log_p that each step adds; 0 beyond the length.
      ess: effective sample size of the weights at each step, before resampling; N beyond the
        length.
      log_ancestors: for each resampling, log of its probability where the ancestors are independent
        draws, times the part of log_p that came after it; summed. Its gradient is the
        score-function term of the gradient of E[log_p]; log_p's own leaves it out.
      z: particles at the last step, along the first axis; with log_weights, normalized.
      along: what was to be kept of each step, along time.
    """

    log_p: Float[Array, ""]
    increments: Float[Array, " time"]
    ess: Float[Array, " time"]
    log_ancestors: Float[Array, ""]
    z: Any
    log_weights: Float[Array, " n"]
    along: Any = ()


def filter_particles(
    key: Key,
    model: StateSpace,
    x: Observation,
    q: Any = None,
    *,
    num_particles: int,
    length: Int[Array, ""] | int | None = None,
    resample: Resample | None = None,
    threshold: float = 0.5,
    keep: Callable[[Any, Float[Array, " n"]], Any] | None = None,
) -> Filtered:
    """A particle filter by sequential importance resampling (Gordon et al. 1993; Doucet & Johansen
    2009).

    At step t

    z_t^i ~ q(z_t | z_{t-1}^i),
    w_t^i = w_{t-1}^i p(z_t^i | z_{t-1}^i) p(x_t | z_t^i) / q(z_t^i | z_{t-1}^i),

    and p(x) is estimated by the product over t of the mean weights. Below an effective sample size
    of `threshold` times N the particles are drawn anew in proportion to their weights, which are
    then equal. Step t uses fold_in(key, t): nothing depends on the room behind the length.

    Args:
      x: one sequence, time first. Missing frames have no weight.
      q: a `Markov` whose steps propose; the model's own steps unless given (a bootstrap filter).
      num_particles: N.
      length: how many frames count, all unless given.
      resample: (key, log weights) -> ancestors; systematic unless given.
      threshold: above 1 they are drawn anew at every step, at 0 never.
      keep: (particles, log weights) -> what is kept of a step, before resampling; beyond the length
        that of the last step again. Nothing unless given.
    """
    resample = systematic if resample is None else resample
    x = jax.tree.map(jnp.asarray, x)
    num_steps = num_rows(x)
    n = num_particles
    log_n = math.log(n)
    keep = (lambda z, log_w: ()) if keep is None else keep

    def moved(t, keys, p_of, q_of, x_t, *before):
        """(z, log of the incremental weight) of each particle."""

        def one(key, *before):
            p = p_of(*before)
            if q is None:
                z, ratio = p.sample(seed=key), 0.0
            else:
                z, log_q = q_of(*before).sample_and_log_prob(seed=key)
                ratio = p.log_prob(z) - log_q
            return z, ratio + frame_log_prob(model.emission(t, z), x_t)

        return jax.vmap(one)(keys, *before)

    def weighted(log_w, increment):
        """(log p(x_t | x_<t) estimated, normalized log weights, effective sample size)."""
        log_w = log_w + increment
        total = jax.nn.logsumexp(log_w)
        log_w = jnp.where(total > -jnp.inf, log_w - total, -log_n)
        return total, log_w, jnp.exp(-jax.nn.logsumexp(2 * log_w))

    equal = jnp.full(n, -log_n)
    first_keys = jax.random.split(jax.random.fold_in(key, 0), n)
    initial = None if q is None else q.initial
    z, increment = moved(
        jnp.zeros((), jnp.int32), first_keys, lambda: model.initial, lambda: initial, rows_of(x, 0)
    )
    log_p, log_w, ess = weighted(equal, increment)

    def step(carry, t):
        z, log_w, log_p, log_ancestors, chosen = carry
        resample_key, move_key = jax.random.split(jax.random.fold_in(key, t))
        ess = jnp.exp(-jax.nn.logsumexp(2 * log_w))
        few = ess < threshold * n
        ancestors = jnp.where(
            few, resample(resample_key, jax.lax.stop_gradient(log_w)), jnp.arange(n)
        )
        # Each later part of log p is in the score of every resampling before it.
        chosen = chosen + jnp.where(few, jnp.sum(log_w[ancestors]), 0.0)
        before = jax.tree.map(lambda leaf: leaf[ancestors], z)
        after, increment = moved(
            t,
            jax.random.split(move_key, n),
            lambda z: model.transition(t, z),
            lambda z: q.step(t, z),
            rows_of(x, t),
            before,
        )
        part, new_w, new_ess = weighted(jnp.where(few, equal, log_w), increment)
        score = jax.lax.stop_gradient(part) * chosen
        new = after, new_w, log_p + part, log_ancestors + score, chosen
        if length is not None:
            counts = t < length
            new = jax.tree.map(lambda a, b: jnp.where(counts, a, b), new, carry)
            part = jnp.where(counts, part, 0.0)
            new_ess = jnp.where(counts, new_ess, float(n))
        return new, (part, new_ess, keep(new[0], new[1]))

    zero = jnp.zeros_like(log_p)
    carry = (z, log_w, log_p, zero, zero)
    first = log_p, ess, keep(z, log_w)
    (z, log_w, log_p, log_ancestors, _), later = jax.lax.scan(step, carry, jnp.arange(1, num_steps))
    increments, ess, along = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, later)
    return Filtered(log_p, increments, ess, log_ancestors, z, log_w, along)


def systematic(key: Key, log_w: Float[Array, " n"]) -> Int[Array, " n"]:
    """The ancestors of systematic resampling: at evenly spaced places with one random offset, so
    that each particle's number of children is within one of n times its weight (Kitagawa 1996).
    """
    n = log_w.shape[0]
    places = (jnp.arange(n) + jax.random.uniform(key, dtype=log_w.dtype)) / n
    return _at_places(log_w, places)


def multinomial(key: Key, log_w: Float[Array, " n"]) -> Int[Array, " n"]:
    """Ancestors drawn independently in proportion to the weights."""
    return _at_places(log_w, jax.random.uniform(key, log_w.shape, log_w.dtype))


def _at_places(log_w, places):
    shares = jnp.cumsum(jnp.exp(log_w - jnp.max(log_w)))
    found = jnp.searchsorted(shares, places * shares[-1], side="right")
    return jnp.minimum(found, log_w.shape[0] - 1)
