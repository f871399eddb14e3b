"""q(z | x) of a prior with structure: the prior times a recognition network's potentials."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax.distributions import Potential, filled
from vaejax.distributions.factors import factor_of
from vaejax.types import Conditions, InferenceNetwork, Key, Parameters, missing_frames


class Recognition(NamedTuple):
    """A recognition network: from x to what it says about z, in the form that a prior's `posterior`
    takes.

    Attributes:
      init: key -> phi.
      potentials: (phi, x, given=()) -> potentials.
    """

    init: Callable[[Key], Parameters]
    potentials: Callable[..., Any]


def structured(recognition: Recognition) -> InferenceNetwork:
    """Inference by message passing in a structured prior (Johnson et al. 2016).

    q(z | x) is in proportion to p(z) exp(psi(z; x)), psi a recognition network's potentials: it is
    `joint.prior.posterior(potentials)`. Any prior that has this method will do; the q that it gives
    knows its KL from the prior (`KnownKL`) where there is a closed form.

    Raises:
      TypeError: the prior has no `posterior`; when q is made.

    Example:
      >>> import jax, vaejax
      >>> from vaejax import generative, inference, networks
      >>> recognition = inference.gaussian_recognition(2, networks.MLP((8,), (4,)), (3,))
      >>> q = inference.structured(inference.along_time(recognition))
      >>> given = vaejax.Conditions(exists=jax.numpy.ones(5, bool))
      >>> prior = generative.linear_dynamical_system(2)
      >>> @jax.jit
      ... def mean(key, x):
      ...     p = prior.distribution(prior.init(key), given)
      ...     return q.posterior(q.init(key), x, vaejax.Joint(p, None), given).mean()
      >>> mean(jax.random.key(0), jax.numpy.ones((5, 3))).shape
      (5, 2)
    """

    def posterior(phi, x, joint, given=()):
        if not hasattr(joint.prior, "posterior"):
            raise TypeError(
                "structured: expected a prior with a method posterior(potentials) -> q, as "
                "LinearChain, DiscreteChain, SwitchingChain and FullGaussianMixture have; "
                f"{type(joint.prior).__name__} has none: give it one, or use inference.amortized"
            )
        return joint.prior.posterior(recognition.potentials(phi, x, given))

    return InferenceNetwork(recognition.init, posterior)


def gaussian_recognition(
    latent_dim: int, network: Any, observation_shape: tuple[int, ...], *, full: bool = False
) -> Recognition:
    """A recognition network for a Gaussian z.

    Of one x it makes a `Potential` by its peak m and a factor of its precision: network(x) = (m, a,
    lower), h = J m, J = L L', L = diag(exp(a)) (I + lower).

    Peaks and logarithms are of order 1. A network that puts out h and J themselves has to reach
    hundreds where x is precise about z, and does so slowly.

    Args:
      latent_dim: d, numbers in z.
      network: anything with `init(key, x) -> phi` and `apply(phi, x) -> outputs`, of length 2 d
        (m and a: a diagonal J), or d (d + 3) / 2 with `full`.
      observation_shape: shape of one x.

    Raises:
      ValueError: outputs of another shape.
    """
    d = latent_dim
    size = d * (d + 3) // 2 if full else 2 * d

    def init(key):
        return network.init(key, jnp.zeros(observation_shape))

    def potentials(phi, x, given=()):
        del given
        outputs = network.apply(phi, x)
        if outputs.shape != (size,):
            raise ValueError(
                f"the recognition network puts out {outputs.shape}; peak and precision of a z of "
                f"{d} dimensions are made of {size} numbers: give the network output shape "
                f"({size},)"
            )
        m, a, lower = jnp.split(outputs, (d, 2 * d))
        if not full:
            return Potential(jnp.exp(2 * a) * m, jnp.exp(2 * a))
        L = factor_of({"log_scale": a, "lower": lower})
        return Potential(L @ (L.T @ m), L @ L.T)

    return Recognition(init, potentials)


def discrete_recognition(
    num_states: int, network: Any, observation_shape: tuple[int, ...]
) -> Recognition:
    """A recognition network for a discrete z.

    Of one x it gives the log-likelihoods of the states: network(x), of shape (num_states,).

    Raises:
      ValueError: outputs of another shape.
    """

    def init(key):
        return network.init(key, jnp.zeros(observation_shape))

    def potentials(phi, x, given=()):
        del given
        outputs = network.apply(phi, x)
        if outputs.shape != (num_states,):
            raise ValueError(
                f"the recognition network puts out {outputs.shape}; expected a number for each of "
                f"the {num_states} states"
            )
        return outputs

    return Recognition(init, potentials)


def along_time(recognition: Recognition) -> Recognition:
    """The same recognition network for each frame of a sequence. What is given is a `Conditions`.

    A missing frame, or one beyond the length, has a potential of 0: it says nothing.
    """

    def potentials(phi, x, given: Conditions):
        silent = missing_frames(x) | ~given.exists
        found = jax.vmap(lambda frame: recognition.potentials(phi, frame))(filled(x, silent))
        return filled(found, silent)

    return Recognition(recognition.init, potentials)
