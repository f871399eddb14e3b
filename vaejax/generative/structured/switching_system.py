"""A switching linear dynamical system as p(z) of a sequence."""

import jax
import jax.numpy as jnp

from vaejax.distributions import SwitchingChain
from vaejax.distributions.factors import factor_of, factor_parameters
from vaejax.generative.structured.hidden_markov import chain_of, sticky_logits
from vaejax.generative.structured.linear_dynamical_system import rotations, slow_rotations
from vaejax.generative.structured.sequence_model import SequencePrior
from vaejax.types import Key, Parameters


def switching_linear_dynamical_system(
    num_states: int,
    latent_dim: int,
    *,
    num_actions: int = 0,
    stay: float = 0.9,
    parallel: bool = False,
) -> SequencePrior:
    """A switching linear dynamical system as the prior of a sequence.

    s is a chain as in `hidden_markov`; all is learned:

    z_0 ~ N(m_k, P_k), z_t = A_k z_{t-1} + B_k u_t + b_k + N(0, Q_k) where s_t = k.

    Each state starts as `linear_dynamical_system` does, with its own rotation. The emission sees
    z_t alone.

    Args:
      num_states: how many states s_t has.
      latent_dim: numbers in z_t.
      num_actions: numbers in u_t; with none there is no B.
      stay: the probability of staying in a state, at the start.
      parallel: whether passes along time are an associative scan.

    Example:
      >>> import jax, vaejax
      >>> prior = vaejax.generative.switching_linear_dynamical_system(3, 2)
      >>> given = vaejax.Conditions(exists=jax.numpy.ones(4, bool))
      >>> p = prior.distribution(jax.jit(prior.init)(jax.random.key(0)), given)
      >>> p.event_shape  # of (s, z)
      ((4,), (4, 2))
    """
    k, d = num_states, latent_dim

    def init(key):
        switch_key, turn_key, action_key = jax.random.split(key, 3)
        return {
            "initial": jnp.zeros(k),
            "transition": sticky_logits(switch_key, k, stay),
            "mean": jnp.zeros((k, d)),
            "first": factor_parameters(1.0, d, k),
            "A": slow_rotations(turn_key, d, k),
            "b": jnp.zeros((k, d)),
            "B": 0.1 * jax.random.normal(action_key, (k, d, num_actions)),
            "noise": factor_parameters(0.1, d, k),
        }

    def distribution(parameters, given):
        num_steps = given.exists.shape[0]
        A = jnp.broadcast_to(parameters["A"], (num_steps, k, d, d))
        b = jnp.broadcast_to(parameters["b"], (num_steps, k, d))
        if num_actions:
            b = b + jnp.einsum("kda,ta->tkd", parameters["B"], given.actions)
        G = jnp.broadcast_to(factor_of(parameters["noise"]), (num_steps, k, d, d))
        b = b.at[0].set(parameters["mean"])
        G = G.at[0].set(factor_of(parameters["first"]))
        return SwitchingChain(chain_of(parameters, given, parallel), A, b, G)

    return SequencePrior(init, distribution, lambda z: z[1], num_actions)


def alike(parameters: Parameters) -> Parameters:
    """Each state with the means over states of `switching_linear_dynamical_system`'s parameters:
    one linear system, whatever s is. s starts and switches to each of the others alike."""

    def mean(leaf):
        return jnp.broadcast_to(jnp.mean(leaf, axis=0), leaf.shape)

    k = len(parameters["initial"])
    own = jnp.eye(k, dtype=bool)
    transition = parameters["transition"]
    stays = jnp.mean(jnp.diagonal(transition))
    moves = jnp.sum(jnp.where(own, 0.0, transition)) / max(k * (k - 1), 1)
    same = jax.tree.map(mean, parameters)
    return same | {"transition": jnp.where(own, stays, moves)}


def turned_apart(key: Key, parameters: Parameters) -> Parameters:
    """Each state's A_k turned by a rotation of its own, exp of an antisymmetric matrix of entries
    drawn from N(0, 0.3^2), and b_k moved by a draw of half its noise."""
    turn_key, move_key = jax.random.split(key)
    A, b = parameters["A"], parameters["b"]
    moves = 0.5 * jax.random.normal(move_key, b.shape)
    return parameters | {
        "A": rotations(turn_key, 0.3, *A.shape[1:2], len(A)) @ A,
        "b": b + jnp.einsum("kij,kj->ki", factor_of(parameters["noise"]), moves),
    }
