"""A state-space model as its steps: objectives see its joint, filters see its steps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Int

from vaejax.distributions.capabilities import structure_of
from vaejax.distributions.frames import Frames
from vaejax.distributions.markov import Markov
from vaejax.types import Distribution, Joint

Step = Callable[[Int[Array, ""], Any], Distribution]


class StateSpace(NamedTuple):
    """p(z_0) prod_{t>0} p(z_t | z_{t-1}) prod_t p(x_t | z_t), parameters and conditions bound.

    Attributes:
      initial: p(z_0).
      transition: (t, z_{t-1}) -> p(z_t | z_{t-1}), t = 1, 2, ...; t is traced. Actions u_t are
        bound to it.
      emission: (t, z_t) -> p(x_t | z_t), t = 0, 1, ...

    A `jax.tree_util.Partial` of a function and its parameters keeps these visible.
    """

    initial: Distribution
    transition: Step
    emission: Step

    def joint(self, length: Int[Array, ""] | int, num_steps: int | None = None) -> Joint:
        """p(x, z) of sequences of this length; `num_steps` is the room that x has, the length
        unless given."""
        num_steps = int(length) if num_steps is None else num_steps
        prior = Markov(self.initial, self.transition, num_steps, length)
        return Joint(prior, Partial(Frames, self.emission, length=length))


def state_space_of(joint: Any) -> tuple[StateSpace, int, Any] | None:
    """(the steps, the room for them, how many count) of a joint p(x, z) with a `Markov` prior and
    `Frames` for x; None of any other."""
    prior = getattr(joint, "prior", None)
    if not isinstance(prior, Markov):
        return None
    latent = structure_of(prior)
    found = []

    def look(z):
        frames = joint.likelihood(z)
        found.append(frames)
        return ()

    jax.eval_shape(look, latent)
    if not isinstance(found[0], Frames):
        return None
    # Again with numbers in z's place: what was made above holds tracers.
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), latent)
    emission = joint.likelihood(zeros).emission
    return StateSpace(prior.initial, prior.step, emission), prior.num_steps, prior.length
