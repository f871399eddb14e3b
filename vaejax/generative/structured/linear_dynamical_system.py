"""A linear dynamical system as p(z) of a sequence."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions import LinearChain
from vaejax.distributions.factors import factor_of, factor_parameters
from vaejax.generative.structured.sequence_model import SequencePrior


def rotations(key, size: float, d: int, *leading: int) -> Float[Array, "... d d"]:
    """exp of antisymmetric matrices of entries drawn from N(0, size^2)."""
    turn = jnp.tril(size * jax.random.normal(key, (*leading, d, d)), -1)
    return jax.scipy.linalg.expm(turn - jnp.swapaxes(turn, -1, -2))


def slow_rotations(key, d: int, *leading: int) -> Float[Array, "... d d"]:
    """0.99 times rotations, of size 0.1. A start that forgets slowly and does not grow."""
    return 0.99 * rotations(key, 0.1, d, *leading)


def linear_dynamical_system(
    latent_dim: int, *, num_actions: int = 0, parallel: bool = False
) -> SequencePrior:
    """A linear dynamical system as the prior of a sequence.

    z_0 ~ N(m, P), z_t = A z_{t-1} + B u_t + b + N(0, Q), all learned, P and Q full.

    It starts at m = 0, P = I, A a slow rotation, b = 0, Q = 0.1^2 I; B is drawn from N(0, 0.1^2).

    Args:
      latent_dim: numbers in z_t.
      num_actions: numbers in u_t; with none there is no B.
      parallel: whether passes along time are an associative scan.

    Example:
      At the start of training z_0 is N(0, I), and the means of the other steps are 0 too.

      >>> import jax, vaejax
      >>> prior = vaejax.generative.linear_dynamical_system(2)
      >>> given = vaejax.Conditions(exists=jax.numpy.ones(4, bool))
      >>> p = prior.distribution(prior.init(jax.random.key(0)), given)
      >>> p.stddev()[0].tolist(), float(abs(p.mean()).max())
      ([1.0, 1.0], 0.0)
    """
    d = latent_dim

    def init(key):
        turn_key, action_key = jax.random.split(key)
        return {
            "mean": jnp.zeros(d),
            "initial": factor_parameters(1.0, d),
            "A": slow_rotations(turn_key, d),
            "b": jnp.zeros(d),
            "B": 0.1 * jax.random.normal(action_key, (d, num_actions)),
            "noise": factor_parameters(0.1, d),
        }

    def distribution(parameters, given):
        num_steps = given.exists.shape[0]
        A = jnp.broadcast_to(parameters["A"], (num_steps, d, d))
        b = jnp.broadcast_to(parameters["b"], (num_steps, d))
        if num_actions:
            b = b + given.actions @ parameters["B"].T
        G = jnp.broadcast_to(factor_of(parameters["noise"]), (num_steps, d, d))
        b = b.at[0].set(parameters["mean"])
        G = G.at[0].set(factor_of(parameters["initial"]))
        return LinearChain(A, b, G, given.length, parallel=parallel)

    return SequencePrior(init, distribution, num_actions=num_actions)
