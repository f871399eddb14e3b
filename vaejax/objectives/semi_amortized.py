"""Semi-amortized inference: the encoder's q, refined for each x by a few gradient steps."""

from typing import Any

import jax
import jax.numpy as jnp

from vaejax.distributions import GaussianMixture
from vaejax.objectives.elbo import elbo
from vaejax.objectives.terms import Terms
from vaejax.types import Distribution, Joint, Key, Observation


def refine(
    key: Key,
    q: Any,
    joint: Joint,
    x: Observation,
    *,
    num_steps: int,
    learning_rate: float,
    through: bool,
) -> Any:
    """q after lambda <- lambda + learning_rate * grad ELBO(lambda), `num_steps` times, a new draw
    of z each (Kim et al. 2018, algorithm 1, without momentum and clipping). lambda are q's leaves
    as a pytree, all of them unconstrained, as of every family in `inference`: a Gaussian's mean
    and scale, a flow's weights too.

    `through=True` differentiates through the steps, with respect to q and to the parameters of
    `joint`; with `through=False` the refined q is a constant.

    Raises:
      TypeError: `through` of a GaussianMixture, whose samples have first derivatives only.
    """
    if through and isinstance(q, GaussianMixture):
        raise TypeError(
            "the gradient through refinement steps needs second derivatives, which samples of a "
            "GaussianMixture do not have: give through=False"
        )

    def step(q, index):
        gradient = jax.grad(lambda q: elbo(jax.random.fold_in(key, index), q, joint, x).value)(q)
        return jax.tree.map(lambda leaf, g: leaf + learning_rate * g, q, gradient), None

    refined, _ = jax.lax.scan(step, q, jnp.arange(num_steps))
    return refined if through else jax.lax.stop_gradient(refined)


def semi_amortized(
    key: Key,
    q: Distribution,
    joint: Joint,
    x: Observation,
    *,
    num_steps: int,
    learning_rate: float,
    through: bool,
) -> Terms:
    """The ELBO at the refined q.

    `through=True`: p and the encoder get its gradient (Kim et al. 2018). `through=False`: p gets
    its gradient with the refined q held constant, the encoder the gradient of the ELBO at its own
    q with p held constant (Krishnan et al. 2018).
    """
    refine_key, key = jax.random.split(key)
    refined = refine(
        refine_key, q, joint, x, num_steps=num_steps, learning_rate=learning_rate, through=through
    )
    terms = elbo(key, refined, joint, x)
    if through:
        return terms
    # The product lambda . g, g constant, has the gradient g in lambda and none in p.
    gradient: Any = jax.grad(lambda q: elbo(key, q, joint, x).value)(q)
    gradient = jax.lax.stop_gradient(gradient)
    product = sum(map(jnp.vdot, jax.tree.leaves(q), jax.tree.leaves(gradient)), jnp.zeros(()))
    return terms._replace(value=terms.value + product - jax.lax.stop_gradient(product))
