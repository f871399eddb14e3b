"""Classical variational inference: lambda optimized for one x, with no network."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from vaejax.distributions import structure_of
from vaejax.objectives import Terms, elbo
from vaejax.types import (
    Distribution,
    Joint,
    Key,
    Observation,
    Variational,
    VariationalFamily,
    check_counts,
    check_key,
)

Method = Literal["adam", "lbfgs"]
Objective = Callable[[Key, Distribution, Joint, Observation], Terms]

WINDOW = 100  # steps between two looks at whether the bound still rises
RECORD = 20  # steps that one entry of `Trace.path` is the mean of
KNOWN = 1.0  # nats: of a rise less known than that nothing is said, least of all that it is none
HALVINGS = 6  # of Adam's learning rate; where a seventh is due, the fit has converged
QUIET = 3  # consecutive L-BFGS steps that gain less than GAIN: converged
GAIN = 1e-4  # nats


class Trace(NamedTuple):
    """How a fit of one x went.

    Attributes:
      bound: the ELBO of the fitted q, in nats, from `num_final_samples` fresh draws.
      bound_std_error: its Monte Carlo standard error.
      steps: how many were taken.
      converged: whether it stopped by itself, before `max_steps`.
      diverged: whether a value stopped being finite; q is then the last finite one.
      path: the bound along the way, the mean of each 20 Adam steps' own draws, or the frozen
        draws' bound at each L-BFGS step; NaN after the end.
    """

    bound: Float[Array, ""]
    bound_std_error: Float[Array, ""]
    steps: Int[Array, ""]
    converged: Bool[Array, ""]
    diverged: Bool[Array, ""]
    path: Float[Array, " records"]


def fit_variational(
    key: Key,
    family: VariationalFamily,
    joint: Joint,
    x: Observation,
    *,
    init: Variational | None = None,
    objective: Objective = elbo,
    method: Method = "adam",
    learning_rate: float | None = None,
    num_samples: int = 1,
    max_steps: int = 2000,
    num_final_samples: int = 1000,
) -> tuple[Variational, Trace]:
    """Classical variational inference: the lambda that maximizes the ELBO of one x, with no
    network.

    lambda* = argmax_lambda ELBO(q(z; lambda), x); `jit` and `vmap` it over many x.

    "adam" follows the gradient of `num_samples` draws a step. Where the mean bound of 100 steps
    is above that of the 100 before by less than its standard error (of one nat at most), the
    learning rate halves; where a seventh is due the fit has converged. Its own noise leaves it
    short by about (numbers in lambda) / (2 draws since the third halving) nats: a full covariance
    of 50 dimensions wants tens of draws a step. What comes out is the mean of lambda since the
    third (Polyak & Juditsky 1992). Under `vmap` each x stops by itself.

    "lbfgs", second order, maximizes the bound of `num_samples` draws frozen at the start (sample
    average approximation; Giordano et al. 2024): give it tens of them or more, since it fits
    their noise too. It stops where three steps on end gain less than 1e-4 nats.

    Args:
      init: where lambda starts; `family.init(key)` unless given. An encoder's lambda starts it
        from the amortized q.
      objective: what is maximized; a point mass has no ELBO and takes `maximum_a_posteriori`.
      learning_rate: of Adam, its first; the family's own unless given.
      num_samples: draws of z a step; of "lbfgs", in all.
      max_steps: of Adam, a multiple of 100.
      num_final_samples: draws that the bound at the end is the mean of.

    Returns:
      (lambda*, Trace). A bound is of fresh draws, which the fit has not seen.

    Raises:
      ValueError: counts below 1, or max_steps that 100 does not divide; a learning rate that is not
        above 0; an unknown method; a q of another event shape than the prior's.

    Example:
      The fitted q is the exact posterior, N(1 / 2, 1 / 2), and its ELBO log p(x).

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> from vaejax.inference import diagonal_gaussian, fit_variational
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> x = jax.numpy.array(1.0)
      >>> q, trace = fit_variational(jax.random.key(0), diagonal_gaussian(), joint, x)
      >>> log_p = jax.scipy.stats.norm.logpdf(1.0, scale=2**0.5)
      >>> bool(abs(q["mean"] - 0.5) < 0.05), bool(abs(trace.bound - log_p) < 0.1)
      (True, True)
    """
    check_key("fit_variational", key)
    check_counts(
        "fit_variational",
        num_samples=num_samples,
        max_steps=max_steps,
        num_final_samples=num_final_samples,
    )
    if method == "adam" and max_steps % WINDOW:
        raise ValueError(f"fit_variational: max_steps must be a multiple of 100; got {max_steps}")
    init_key, step_key, final_key = jax.random.split(key, 3)
    start = family.init(init_key) if init is None else init
    learning_rate = family.learning_rate if learning_rate is None else learning_rate
    if not learning_rate > 0:
        raise ValueError(f"fit_variational: learning_rate must be above 0; got {learning_rate}")
    if method not in get_args(Method):
        raise ValueError(f"fit_variational: method is one of {get_args(Method)}; got {method!r}")
    given, wanted = (
        jax.tree.map(lambda leaf: leaf.shape, structure_of(p))
        for p in (family.distribution(start), joint.prior)
    )
    if given != wanted:
        raise ValueError(
            f"fit_variational: the family's z has shape {given}, the model's prior {wanted}: give "
            "the family the latent's shape"
        )

    def bound(variational: Variational, key: Key) -> Float[Array, ""]:
        q = family.distribution(variational)
        keys = jax.random.split(key, num_samples)
        return jnp.mean(jax.vmap(lambda k: objective(k, q, joint, x).value)(keys))

    if method == "adam":
        variational, *rest = _adam(step_key, bound, family.move, start, learning_rate, max_steps)
    else:
        variational, *rest = _lbfgs(step_key, bound, start, max_steps)
    q = family.distribution(variational)
    draws = jax.lax.map(
        lambda k: objective(k, q, joint, x).value,
        jax.random.split(final_key, num_final_samples),
        batch_size=min(num_final_samples, 100),
    )
    error = jnp.full((), jnp.inf)  # of a single draw
    if num_final_samples > 1:
        error = jnp.std(draws) / jnp.sqrt(num_final_samples - 1)
    return variational, Trace(jnp.mean(draws), error, *rest)


class _Adam(NamedTuple):
    window: Int[Array, ""]
    variational: Any
    optimizer: Any
    mean: Any  # of lambda over the last window or, from the third halving on, over all: the result
    averaged: Int[Array, ""]  # windows since the third halving
    bound: Float[Array, ""]  # the last window's, and its variance
    variance: Float[Array, ""]
    halvings: Int[Array, ""]
    diverged: Bool[Array, ""]
    path: Float[Array, " records"]


def _adam(key: Key, bound, move, start: Variational, learning_rate: float, max_steps: int):
    """(lambda, steps, converged, diverged, path)."""
    # Second moments remember one window: over a narrow posterior the first gradients are a
    # thousand times the last, and the usual thousand steps would keep the last steps that small.
    adam = optax.scale_by_adam(b2=1 - 1 / WINDOW)

    def window(state: _Adam) -> _Adam:
        rate = learning_rate * 0.5**state.halvings

        def step(carry, index):
            variational, optimizer, total = carry
            step_key = jax.random.fold_in(key, state.window * WINDOW + index)
            value, gradient = jax.value_and_grad(
                lambda step: bound(move(variational, step), step_key)
            )(zeros)
            ascent, optimizer = adam.update(gradient, optimizer)
            variational = move(variational, jax.tree.map(lambda a: rate * a, ascent))
            return (variational, optimizer, jax.tree.map(jnp.add, total, variational)), value

        zeros = jax.tree.map(jnp.zeros_like, state.variational)
        (variational, optimizer, total), values = jax.lax.scan(
            step, (state.variational, state.optimizer, zeros), jnp.arange(WINDOW)
        )
        averaged = jnp.where(state.halvings >= HALVINGS // 2, state.averaged + 1, 0)
        share = 1 / jnp.maximum(averaged, 1)
        finite = (
            jnp.isfinite(values).all()
            & jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(variational)]).all()
        )
        level, variance = jnp.mean(values), jnp.var(values) / WINDOW
        noise = jnp.sqrt(variance + state.variance)
        flat = (level - state.bound < noise) & (noise < KNOWN)
        records = WINDOW // RECORD
        recorded = jnp.where(finite, values.reshape(records, RECORD).mean(axis=1), jnp.nan)
        return _Adam(
            state.window + 1,
            variational,
            optimizer,
            jax.tree.map(
                lambda old, sum: jnp.where(finite, old + (sum / WINDOW - old) * share, old),
                state.mean,
                total,
            ),
            averaged,
            level,
            variance,
            state.halvings + flat,
            ~finite,
            jax.lax.dynamic_update_slice(state.path, recorded, (state.window * records,)),
        )

    def goes_on(state: _Adam):
        return (state.window < max_steps // WINDOW) & (state.halvings <= HALVINGS) & ~state.diverged

    state = jax.lax.while_loop(
        goes_on,
        window,
        _Adam(
            window=jnp.zeros((), jnp.int32),
            variational=start,
            optimizer=adam.init(start),
            mean=start,
            averaged=jnp.zeros((), jnp.int32),
            bound=jnp.full((), -jnp.inf),
            variance=jnp.zeros(()),
            halvings=jnp.zeros((), jnp.int32),
            diverged=jnp.zeros((), bool),
            path=jnp.full(max_steps // RECORD, jnp.nan),
        ),
    )
    return (
        state.mean,
        state.window * WINDOW,
        (state.halvings > HALVINGS) & ~state.diverged,
        state.diverged,
        state.path,
    )


class _Lbfgs(NamedTuple):
    step: Int[Array, ""]
    variational: Any
    optimizer: Any
    quiet: Int[Array, ""]
    diverged: Bool[Array, ""]
    path: Float[Array, " records"]


def _lbfgs(key: Key, bound, start: Variational, max_steps: int):
    """(lambda, steps, converged, diverged, path)."""

    def loss(variational):
        return -bound(variational, key)

    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(state: _Lbfgs) -> _Lbfgs:
        value, gradient = value_and_grad(state.variational, state=state.optimizer)
        updates, optimizer = solver.update(
            gradient,
            state.optimizer,
            state.variational,
            value=value,
            grad=gradient,
            value_fn=loss,
        )
        variational = optax.apply_updates(state.variational, updates)
        new = optax.tree.get(optimizer, "value")
        finite = jnp.isfinite(new)
        return _Lbfgs(
            state.step + 1,
            jax.tree.map(lambda a, b: jnp.where(finite, a, b), variational, state.variational),
            optimizer,
            jnp.where(value - new < GAIN, state.quiet + 1, 0),
            ~finite,
            state.path.at[state.step].set(jnp.where(finite, -new, jnp.nan)),
        )

    def goes_on(state: _Lbfgs):
        return (state.step < max_steps) & (state.quiet < QUIET) & ~state.diverged

    state = jax.lax.while_loop(
        goes_on,
        step,
        _Lbfgs(
            step=jnp.zeros((), jnp.int32),
            variational=start,
            optimizer=solver.init(start),
            quiet=jnp.zeros((), jnp.int32),
            diverged=jnp.zeros((), bool),
            path=jnp.full(max_steps, jnp.nan),
        ),
    )
    converged = (state.quiet >= QUIET) & ~state.diverged
    return state.variational, state.step, converged, state.diverged, state.path
