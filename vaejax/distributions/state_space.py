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
    """A state-space model by its steps, with parameters and conditions bound: p(x, z) =
    p(z_0) prod_{t>0} p(z_t | z_{t-1}) prod_t p(x_t | z_t).

    Attributes:
      initial: p(z_0).
      transition: (t, z_{t-1}) -> p(z_t | z_{t-1}), t = 1, 2, ...; t is traced. Actions u_t are
        bound to it.
      emission: (t, z_t) -> p(x_t | z_t), t = 0, 1, ...
      num_steps: how many steps the conditions, such as actions, are known for; any number unless
        given.

    A `jax.tree_util.Partial` of a function and its parameters keeps these visible.

    Example:
      A random walk seen with noise; the variance of x_t is t + 2.

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian, StateSpace
      >>> step = lambda t, z: DiagonalGaussian(z, 0.0 * z)
      >>> joint = StateSpace(DiagonalGaussian(0.0, 0.0), step, step).joint(length=3)
      >>> _, x = jax.jit(jax.vmap(joint.sample))(jax.random.split(jax.random.key(0), 10_000))
      >>> [f"{variance:.0f}" for variance in x.var(axis=0)]
      ['2', '3', '4']
    """

    initial: Distribution
    transition: Step
    emission: Step
    num_steps: int | None = None

    def joint(self, length: Int[Array, ""] | int, num_steps: int | None = None) -> Joint:
        """p(x, z) of sequences of this length: a `Markov` prior, and `Frames` for x.

        Args:
          length: how many frames count; may be traced.
          num_steps: the room that x has, the length unless given.

        Raises:
          ValueError: a known length is not 1 to `num_steps`, or above the number of steps that the
            model's conditions are known for.
        """
        num_steps = int(length) if num_steps is None else num_steps
        check_length("StateSpace.joint", length, num_steps)
        check_room("StateSpace.joint", self, length)
        prior = Markov(self.initial, self.transition, num_steps, length)
        return Joint(prior, Partial(Frames, self.emission, length=length))


def check_length(function: str, length: Any, num_steps: int) -> None:
    """Checks that a length, where it is known, is a whole number from 1 to `num_steps`.

    Raises:
      ValueError: it is not.
    """
    if length is None or isinstance(length, jax.core.Tracer):
        return
    if not (float(length).is_integer() and 1 <= length <= num_steps):
        raise ValueError(
            f"{function}: length must be a whole number from 1 to the {num_steps} frames there is "
            f"room for; got {length}"
        )


def check_room(function: str, model: StateSpace, count: Any) -> None:
    """Raises ValueError where the model's conditions are known to end before `count` steps."""
    room = model.num_steps
    if room is None or isinstance(count, jax.core.Tracer) or count <= room:
        return
    raise ValueError(
        f"{function}: expected a model whose conditions, such as actions, are known for {count} "
        f"steps; they are known for {room}: bind it to those of all steps"
    )


def check_steps(function: str, model: StateSpace, x: Any, q: Any = None) -> None:
    """Checks, from shapes alone, that x has frames, and q steps, of the model's shapes.

    Raises:
      TypeError: q is no `Markov` chain.
      ValueError: x or q is of another shape than the model's frames and states.
    """
    num_steps = jax.tree.leaves(x)[0].shape[0] if jax.tree.leaves(x)[0].ndim else 0
    z = structure_of(model.initial)
    time = jax.ShapeDtypeStruct((), jnp.int32)
    frame = jax.eval_shape(lambda t, z: _draw(model.emission(t, z)), time, z)
    expected = jax.tree.map(lambda leaf: (num_steps, *leaf.shape), frame)
    found = jax.tree.map(lambda leaf: tuple(leaf.shape), x)
    if num_steps < 1 or found != expected:
        frames = jax.tree.map(lambda leaf: tuple(leaf.shape), frame)
        raise ValueError(
            f"{function}: expected x of one sequence, time first, with frames of shape {frames}; "
            f"got x of shape {found}"
        )
    if q is None:
        return
    if not isinstance(q, Markov):
        raise TypeError(
            f"{function}: q proposes step by step, as a Markov distribution does; got "
            f"{type(q).__name__}"
        )
    step = jax.eval_shape(lambda t, z: _draw(q.step(t, z)), time, z) if num_steps > 1 else z
    states = [jax.tree.map(lambda leaf: leaf.shape, s) for s in (z, structure_of(q.initial), step)]
    if not states[0] == states[1] == states[2] or q.num_steps != num_steps:
        raise ValueError(
            f"{function}: q proposes states of shape {states[1]}, then {states[2]}, at "
            f"{q.num_steps} steps; the model has {states[0]} and x {num_steps}: they must agree"
        )


def _draw(p: Distribution) -> Any:
    return p.sample(seed=jax.random.key(0))


def state_space_of(joint: Any) -> tuple[StateSpace, int, Any] | None:
    """The steps of a joint p(x, z) with a `Markov` prior and `Frames` for x.

    Returns:
      (the steps, the room for them, how many count); None of any other joint.
    """
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
    steps = StateSpace(prior.initial, prior.step, emission, prior.num_steps)
    return steps, prior.num_steps, prior.length
