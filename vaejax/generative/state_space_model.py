"""Deep state-space models: networks for the transition and the emission (Krishnan et al. 2015)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from vaejax.distributions import DiagonalGaussian, StateSpace
from vaejax.generative.conditions import check_conditions
from vaejax.types import Distribution, GenerativeModel


def state_space_model(
    latent_dim: int,
    transition: Any,
    emission: Any,
    likelihood: Callable[[Any], Distribution],
    *,
    num_actions: int = 0,
) -> GenerativeModel:
    """A deep state-space model: networks for the transition and the emission (Krishnan et al.
    2015).

    p(z_0) = N(m, diag(s)^2), m and s learned, p(z_t | z_{t-1}, u_t) = N(transition(z_{t-1}, u_t)),
    p(x_t | z_t) = likelihood(emission(z_t)). What is given is a `Conditions`.

    Args:
      latent_dim: numbers in z_t.
      transition: anything with `init(key, z, u) -> theta` and `apply(theta, z, u) -> (mean, log
        scale)`: `networks.GatedTransition` for example.
      emission: anything with `init(key, z)` and `apply(theta, z) -> outputs`, for one frame.
      likelihood: outputs -> p(x_t | z_t).
      num_actions: numbers in u_t.

    Its joint raises ValueError where what is given is no `Conditions`, or has other actions.

    Example:
      A sequence of 3 frames, with room for 5.

      >>> import jax, vaejax
      >>> from vaejax import networks
      >>> transition, emission = networks.GatedTransition(8), networks.MLP((8,), (4,))
      >>> likelihood = vaejax.distributions.Bernoulli
      >>> model = vaejax.generative.state_space_model(2, transition, emission, likelihood)
      >>> given = vaejax.Conditions(exists=jax.numpy.arange(5) < 3)
      >>> draw = jax.jit(lambda theta, key: model.joint(theta, given).sample(key))
      >>> z, x = draw(jax.jit(model.init)(jax.random.key(0)), jax.random.key(1))
      >>> z.shape, x.shape, bool((z[3:] == 0).all())
      ((5, 2), (5, 4), True)
    """

    def init(key):
        transition_key, emission_key = jax.random.split(key)
        zeros = jnp.zeros(latent_dim)
        return {
            "initial": {"mean": zeros, "log_scale": jnp.zeros(latent_dim)},
            "transition": transition.init(transition_key, zeros, jnp.zeros(num_actions)),
            "emission": emission.init(emission_key, zeros),
        }

    def step(parameters, actions, t, z):
        return DiagonalGaussian(*transition.apply(parameters, z, actions[t]))

    def emit(parameters, t, z):
        del t
        return likelihood(emission.apply(parameters, z))

    def joint(theta, given=()):
        num_steps, actions = _conditions(given, num_actions)
        initial = DiagonalGaussian(theta["initial"]["mean"], theta["initial"]["log_scale"])
        model = StateSpace(
            initial,
            Partial(step, theta["transition"], actions),
            Partial(emit, theta["emission"]),
            num_steps,
        )
        return model.joint(given.length, num_steps)

    return GenerativeModel(init, joint)


def _conditions(given: Any, num_actions: int) -> tuple[int, Float[Array, "time action"]]:
    """(how many steps there is room for, the actions; of none (time, 0))."""
    check_conditions(given, num_actions)
    num_steps = given.exists.shape[-1]
    return num_steps, jnp.asarray(given.actions) if num_actions else jnp.zeros((num_steps, 0))
