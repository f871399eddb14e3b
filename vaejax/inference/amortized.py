"""A network that predicts lambda for each x, in place of an optimization for each x."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from vaejax.types import InferenceNetwork, VariationalFamily


def parameter_count(family: VariationalFamily) -> int:
    """Length of lambda laid out flat: what a network that predicts it must put out."""
    shapes = jax.eval_shape(family.init, jax.random.key(0))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def amortized(
    family: VariationalFamily, network: Any, observation_shape: tuple[int, ...]
) -> InferenceNetwork:
    """q(z | x) = family(lambda = lambda_0 + network(x)), with lambda_0 where the family starts: of
    a Gaussian it is 0, of a flow the weights that make it the identity.

    Args:
      family: lambda -> q(z; lambda).
      network: anything with `init(key, x) -> phi` and `apply(phi, x) -> lambda laid out flat`.
      observation_shape: shape of one x.

    Raises:
      ValueError: when the network's output is not as long as lambda.
    """
    template, unravel = ravel_pytree(family.init(jax.random.key(0)))

    def variational(phi, x):
        flat = network.apply(phi, x)
        if flat.shape != template.shape:
            raise ValueError(
                f"the inference network puts out {flat.shape}; this family's lambda has "
                f"{template.size} numbers: give the network output shape {template.shape}"
            )
        return unravel(template + flat)

    return InferenceNetwork(
        init=lambda key: network.init(key, jnp.zeros(observation_shape)),
        variational=variational,
        posterior=lambda phi, x, prior: family.distribution(variational(phi, x)),
    )
