"""A discrete chain as p(z) of a sequence."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vaejax.distributions import DiscreteChain
from vaejax.generative.structured.sequence_model import SequencePrior


def sticky_logits(key, num_states: int, stay: float) -> Float[Array, "k k"]:
    """Of transitions that stay with about that probability; the rest is near equal."""
    noise = 0.1 * jax.random.normal(key, (num_states, num_states))
    odds = stay / (1 - stay) * max(num_states - 1, 1)
    return noise + jnp.log(odds) * jnp.eye(num_states)


def chain_of(parameters, given, parallel: bool) -> DiscreteChain:
    """p(s) of the length that is given, from `initial` (k,) and `transition` (k, k)."""
    transition = parameters["transition"]
    num_steps, k = given.exists.shape[0], len(transition)
    logits = jnp.broadcast_to(transition, (num_steps, k, k)).at[0].set(parameters["initial"])
    return DiscreteChain(logits, given.length, parallel=parallel)


def hidden_markov(num_states: int, *, stay: float = 0.9, parallel: bool = False) -> SequencePrior:
    """A Markov chain of K discrete states as the prior of a sequence.

    s_0 ~ pi, s_t ~ P(s_{t-1}, .), pi and P learned. It starts at equal probabilities, and stays
    with a probability of about `stay`. The emission sees s_t as one of K: zeros and a one.

    Args:
      num_states: K.
      stay: the probability of staying in a state, at the start.
      parallel: whether passes along time are an associative scan.

    Example:
      >>> import jax, vaejax
      >>> prior = vaejax.generative.hidden_markov(3, stay=0.8)
      >>> given = vaejax.Conditions(exists=jax.numpy.ones(4, bool))
      >>> p = prior.distribution(prior.init(jax.random.key(0)), given)
      >>> stays = jax.numpy.diagonal(jax.nn.softmax(p.logits[1]))
      >>> bool((abs(stays - 0.8) < 0.05).all())
      True
    """

    def init(key):
        transition = sticky_logits(key, num_states, stay)
        return {"initial": jnp.zeros(num_states), "transition": transition}

    return SequencePrior(
        init,
        lambda parameters, given: chain_of(parameters, given, parallel),
        lambda s: jax.nn.one_hot(s, num_states),
    )
