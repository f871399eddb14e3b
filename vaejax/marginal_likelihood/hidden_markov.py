"""log p(x) of a state-space model of a few discrete states: the sum over all of their sequences."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vaejax.distributions import state_space_of, states_of
from vaejax.distributions.discrete_messages import NEVER, smooth
from vaejax.distributions.frames import frame_log_prob
from vaejax.marginal_likelihood.compiled import Structure
from vaejax.types import Joint, Observation

_MAX_STATES = 256  # K: every step has K^2 transitions


def states_of_steps(joint: Joint) -> np.ndarray | None:
    """Every value of z_t, along the first axis, of a state-space model whose p(z_t) are over the
    same values, 256 at most, such as a `DiscreteChain`; else None."""
    found = state_space_of(joint)
    if found is None:
        return None
    states = states_of(found[0].initial)
    if states is None or len(states) > _MAX_STATES:
        return None
    later = states_of(found[0].transition(jnp.asarray(1), jnp.asarray(states[0])))
    return states if later is not None and np.array_equal(states, later) else None


@partial(jax.jit, static_argnums=0)
def log_sums_over_sequences(
    structure: Structure, arrays: list[Any], states: Array, xs: Observation
) -> Float[Array, " examples"]:
    """log p(x) of each x = E_q[sum_t log p(x_t | z_t)] - KL(q || p), in nats, with q = p(z | x) by
    message passing. Missing frames, and those beyond the length, say nothing."""
    found = state_space_of(structure.rebuild(arrays))
    assert found is not None
    model, num_steps, length = found
    times = jnp.arange(num_steps)
    counts = times < (num_steps if length is None else length)

    def log_step(p):
        return jax.vmap(p.log_prob)(states)

    def log_steps(t):
        return jax.vmap(lambda z: log_step(model.transition(t, z)))(states)

    first = jnp.broadcast_to(log_step(model.initial), (1, len(states), len(states)))
    log_p = jnp.concatenate([first, jax.lax.map(log_steps, times[1:])])

    def one(x):
        def frame(t, x):
            return jax.vmap(lambda z: frame_log_prob(model.emission(t, z), x))(states)

        psi = jnp.maximum(jnp.where(counts[:, None], jax.vmap(frame)(times, x), 0.0), NEVER)
        q = smooth(log_p, psi, parallel=False)
        return jnp.sum(q.marginals * psi) - jnp.sum(q.kl)

    return jax.lax.map(one, xs)
