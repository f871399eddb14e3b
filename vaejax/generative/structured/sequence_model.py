"""p(x, z) of a sequence: a chain with structure as p(z), a network from z_t to x_t."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vaejax.distributions import Frames, Markov, structure_of
from vaejax.generative.conditions import check_conditions
from vaejax.types import Conditions, Distribution, GenerativeModel, Joint, Key, Parameters


class SequencePrior(NamedTuple):
    """A prior of a sequence, with parameters and structure: parameters, given -> p(z).

    Attributes:
      init: key -> the part of theta that is the prior's.
      distribution: (parameters, given) -> p(z), `Markov`; what is given is a `Conditions`.
      seen: of one step's z, what the emission sees.
      num_actions: numbers in u_t.
    """

    init: Callable[[Key], Parameters]
    distribution: Callable[[Parameters, Conditions], Markov]
    seen: Callable[[Any], Any] = lambda z: z
    num_actions: int = 0


def sequence_model(
    prior: SequencePrior, emission: Any, likelihood: Callable[[Any], Distribution]
) -> GenerativeModel:
    """A model of sequences, with a structured prior and a network from each z_t to x_t.

    p(z) = prior, p(x_t | z_t) = likelihood(emission(z_t)). What is given is a `Conditions`.

    Args:
      prior: such as `linear_dynamical_system`, `hidden_markov`.
      emission: anything with `init(key, z)` and `apply(theta, z) -> outputs`, for one frame. Of a
        switching system z is its continuous part.
      likelihood: outputs -> p(x_t | z_t).

    Its joint raises ValueError where what is given is no `Conditions`, or has other actions.

    Example:
      >>> import jax, vaejax
      >>> model = vaejax.generative.sequence_model(
      ...     vaejax.generative.hidden_markov(3),
      ...     vaejax.networks.MLP((), (4,)),
      ...     vaejax.distributions.Bernoulli,
      ... )
      >>> given = vaejax.Conditions(exists=jax.numpy.ones(5, bool))
      >>> s, x = model.joint(model.init(jax.random.key(0)), given).sample(jax.random.key(1))
      >>> s.shape, x.shape  # a state and a frame at each step
      ((5,), (5, 4))
    """

    def init(key):
        prior_key, emission_key = jax.random.split(key)
        parameters = prior.init(prior_key)
        actions = jnp.zeros((1, prior.num_actions)) if prior.num_actions else ()
        first = prior.distribution(parameters, Conditions(jnp.ones(1, bool), actions)).initial
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), structure_of(first))
        emission_parameters = emission.init(emission_key, prior.seen(zeros))
        return {"prior": parameters, "emission": emission_parameters}

    def emit(parameters, t, z):
        del t
        return likelihood(emission.apply(parameters, prior.seen(z)))

    def joint(theta, given=()):
        check_conditions(given, prior.num_actions)
        p = prior.distribution(theta["prior"], given)
        return Joint(p, Partial(Frames, Partial(emit, theta["emission"]), length=given.length))

    return GenerativeModel(init, joint)
