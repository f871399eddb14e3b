"""log p(x) exactly, where it is: no latent, finite latents and chains of them summed over,
linear-Gaussian models and chains."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from vaejax.distributions import check_frames, has_latent, state_space_of, states_of
from vaejax.marginal_likelihood.compiled import Structure, in_float, in_float64, separate
from vaejax.marginal_likelihood.hidden_markov import log_sums_over_sequences, states_of_steps
from vaejax.marginal_likelihood.linear_gaussian import linear_gaussian
from vaejax.marginal_likelihood.linear_state_space import linear_state_space
from vaejax.types import Joint, LogJoint, Observation, num_rows, rows_of

_STATES, _EXAMPLES = 256, 100  # at a time
_ROUNDINGS = 8  # of its last place, that the sum of a log density may lose

Values = Float[np.ndarray, " examples"]


class Exact(NamedTuple):
    """How to compute log p(x) exactly, and why that can be done.

    Attributes:
      log_marginal: xs, along the first axis -> (log p(x), standard error from rounding) of each,
        in nats, float64.
      reason: why it is exact.
    """

    log_marginal: Callable[[Observation], tuple[Values, Values]]
    reason: str


def exact(joint: Joint | LogJoint) -> Exact | None:
    """The exact log p(x) of a model that has one, else None.

    - No latent variable: log p(x), in the precision that the model computes in.
    - A prior over at most 2^16 states (`distributions.states_of`): their sum, in float64 where
      the model's code allows.
    - A state-space model of the same few states at each step, at most 256, whatever p(x_t | z_t):
      the sum over all sequences of them, in float64 where the model's code allows
      (`hidden_markov`).
    - A state-space model whose every step is linear-Gaussian: the Kalman filter, in float64
      (`linear_state_space`).
    - z of one axis, p(z) = sum_k w_k N(m_k, S_k), p(x | z) = N(W z + b, R), R diagonal: the mixture
      of factor analyzers, sum_k w_k N(W m_k + b, W S_k W' + R), in float64 (`linear_gaussian`); of
      one component a Gaussian.

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> prior = vaejax.distributions.standard_normal(1)
      >>> joint = vaejax.Joint(prior, lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> found = vaejax.marginal_likelihood.exact(joint)
      >>> log_p, _ = found.log_marginal(jax.numpy.array([[0.0], [1.0]]))
      >>> [f"{value:.4f}" for value in log_p]  # log N(x; 0, 2)
      ['-1.2655', '-1.5155']
      >>> bent = vaejax.Joint(prior, lambda z: DiagonalGaussian(z**2, 0.0 * z))
      >>> vaejax.marginal_likelihood.exact(bent) is None
      True
    """
    if isinstance(joint, LogJoint):
        return None
    if not has_latent(joint.prior):
        return Exact(partial(_without_latent, joint), "no latent variable")
    states = states_of(joint.prior)
    if states is not None:
        reason = f"a sum over all {len(states)} values of z"
        return Exact(partial(_summed, _log_sums, joint, states), reason)
    if state_space_of(joint) is not None:
        return _of_sequences(joint)
    linear = linear_gaussian(joint)
    if linear is None:
        return None
    mixture = "a mixture of factor analyzers: log sum_k w_k N(x; W m_k + b, W S_k W' + R)"
    gaussian = "linear-Gaussian: log N(x; W m + b, W S W' + R)"
    return Exact(
        lambda xs: linear.log_marginal(np.reshape(xs, (len(xs), -1))),
        gaussian if len(linear.means) == 1 else mixture,
    )


def _of_sequences(joint: Joint) -> Exact | None:
    states = states_of_steps(joint)
    if states is None:
        linear = linear_state_space(joint)
        return linear and Exact(linear.log_marginal, "linear-Gaussian in time: the Kalman filter")
    summed = partial(_summed, log_sums_over_sequences, joint, states)
    found = state_space_of(joint)
    assert found is not None
    _, _, length = found

    def log_marginal(xs):
        for i in range(num_rows(xs)):
            check_frames("exact", rows_of(xs, i), length)
        return summed(xs)

    return Exact(log_marginal, f"a sum over all sequences of {len(states)} states: messages")


def _without_latent(joint: Joint, xs: Observation) -> tuple[Values, Values]:
    structure, arrays = separate(joint)
    with jax.default_matmul_precision("highest"):
        return _with_rounding(_log_probs(structure, arrays, xs))


def _summed(
    log_sums: Callable[..., Any], joint: Joint, states: np.ndarray, xs: Observation
) -> tuple[Values, Values]:
    """log_sums(structure, arrays, states, xs) with all numbers in float64."""
    structure, arrays = separate(joint)

    def total(dtype):
        inputs = in_float((arrays, states, xs), dtype)
        with jax.default_matmul_precision("highest"):
            return _with_rounding(log_sums(structure, *inputs))

    return in_float64(total)


@partial(jax.jit, static_argnums=0)
def _log_probs(structure: Structure, arrays: list[Any], xs: Observation):
    joint = structure.rebuild(arrays)
    return jax.lax.map(lambda x: joint.log_prob(x, ()), xs, batch_size=_EXAMPLES)


@partial(jax.jit, static_argnums=0)
def _log_sums(structure: Structure, arrays: list[Any], states: np.ndarray, xs: Observation):
    """log sum_z p(x, z) of each x, some states at a time."""
    joint = structure.rebuild(arrays)
    count = len(states)
    size = min(_STATES, count)

    def one(x):
        def add(total, start):
            index = start + jnp.arange(size)
            z = jnp.asarray(states)[jnp.minimum(index, count - 1)]
            log_p = jax.vmap(lambda z: joint.log_prob(x, z))(z)
            log_p = jnp.where(index < count, log_p, -jnp.inf)
            return jnp.logaddexp(total, jax.nn.logsumexp(log_p)), None

        dtype = jax.eval_shape(joint.log_prob, x, jnp.asarray(states)[0]).dtype
        starts = jnp.arange(0, count, size)
        return jax.lax.scan(add, jnp.full((), -jnp.inf, dtype), starts)[0]

    return jax.lax.map(one, xs, batch_size=_EXAMPLES)


def _with_rounding(values: Any) -> tuple[Values, Values]:
    """A log density is a sum over x, whose rounding follows its size."""
    values = np.asarray(values)
    exact = values.astype(np.float64)
    return exact, _ROUNDINGS * np.finfo(values.dtype).eps * np.abs(exact)
