"""A network that predicts lambda for each x, in place of an optimization for each x."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from vaejax.types import InferenceNetwork, VariationalFamily


def parameter_count(family: VariationalFamily) -> int:
    """The number of elements of a family's lambda: what a network that predicts it must put out."""
    shapes = jax.eval_shape(lambda: family.init(jax.random.key(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def amortized(
    family: VariationalFamily, network: Any, observation_shape: tuple[int, ...]
) -> InferenceNetwork:
    """Amortized inference: a network that predicts lambda for each x.

    q(z | x) = family(lambda_0 + network(x)). lambda_0 is where the family starts: of a Gaussian it
    is 0, of a flow the weights that make it the identity. phi holds lambda_0, which is not trained,
    beside the network's parameters.

    Args:
      family: lambda -> q(z; lambda).
      network: anything with `init(key, x) -> phi` and `apply(phi, x) -> lambda laid out flat`.
      observation_shape: shape of one x.

    Raises:
      ValueError: when the network's output is not as long as lambda; at the first prediction.

    Example:
      >>> import jax, vaejax
      >>> from vaejax import inference, networks
      >>> encoder = networks.MLP((16,), (4,))  # x -> mean and log scale of two elements
      >>> q = inference.amortized(inference.diagonal_gaussian(2), encoder, (8, 8))
      >>> phi = q.init(jax.random.key(0))
      >>> q.posterior(phi, jax.numpy.ones((8, 8)), joint=None).event_shape
      (2,)
    """
    size = parameter_count(family)

    def init(key):
        start_key, network_key = jax.random.split(key)
        network_parameters = network.init(network_key, jnp.zeros(observation_shape))
        return {"start": family.init(start_key), "network": network_parameters}

    def variational(phi, x, given=()):
        del given
        flat = network.apply(phi["network"], x)
        if flat.shape != (size,):
            raise ValueError(
                f"the inference network puts out {flat.shape}; this family's lambda has {size} "
                f"numbers: give the network output shape ({size},)"
            )
        start, unravel = ravel_pytree(jax.lax.stop_gradient(phi["start"]))
        return unravel(start + flat)

    def posterior(phi, x, joint, given=()):
        del joint
        return family.distribution(variational(phi, x, given))

    return InferenceNetwork(init, posterior, family, variational)
