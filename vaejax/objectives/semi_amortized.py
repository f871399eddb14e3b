"""Semi-amortized inference: the encoder's lambda, refined for each x by a few gradient steps."""

from typing import Any

import jax
import jax.numpy as jnp

from vaejax.distributions import twice_differentiable
from vaejax.objectives.elbo import elbo
from vaejax.objectives.terms import Terms
from vaejax.types import Joint, Key, Observation, Variational, VariationalFamily


def refine(
    key: Key,
    family: VariationalFamily,
    variational: Variational,
    joint: Joint,
    x: Observation,
    *,
    num_steps: int,
    learning_rate: float,
    through: bool,
) -> Variational:
    """lambda for one x after a few steps of gradient ascent on its ELBO (Kim et al. 2018, algorithm
    1, without momentum and clipping):

    lambda <- lambda + learning_rate * grad ELBO(lambda), `num_steps` times, a new draw of z each.

    Args:
      variational: lambda, where the steps start: an encoder's prediction.
      through: whether to differentiate through the steps, with respect to lambda and to the
        parameters of `joint`. If not, the refined lambda is a constant.

    Raises:
      TypeError: `through` of a mixture, whose samples have first derivatives only.
    """
    if through and not twice_differentiable(family.distribution(variational)):
        raise TypeError(
            "the gradient through refinement steps needs second derivatives, which samples of a "
            "mixture do not have: give through=False"
        )

    def step(variational, index):
        def bound(variational):
            q = family.distribution(variational)
            return elbo(jax.random.fold_in(key, index), q, joint, x).value

        gradient = jax.grad(bound)(variational)
        return jax.tree.map(lambda v, g: v + learning_rate * g, variational, gradient), None

    refined, _ = jax.lax.scan(step, variational, jnp.arange(num_steps))
    return refined if through else jax.lax.stop_gradient(refined)


def semi_amortized(
    key: Key,
    family: VariationalFamily,
    variational: Variational,
    joint: Joint,
    x: Observation,
    *,
    num_steps: int,
    learning_rate: float,
    through: bool,
) -> Terms:
    """The ELBO at an encoder's lambda that `refine` has improved for this x, in nats.

    Args:
      variational: the encoder's lambda for this x.
      through: with True, p and the encoder get the gradient of this ELBO (Kim et al. 2018). With
        False, p gets its gradient with the refined lambda held constant, the encoder the gradient
        of the ELBO at its own lambda with p held constant (Krishnan et al. 2018).

    Raises:
      TypeError: `through` of a mixture, as `refine`.
    """
    refine_key, key = jax.random.split(key)
    refined = refine(
        refine_key,
        family,
        variational,
        joint,
        x,
        num_steps=num_steps,
        learning_rate=learning_rate,
        through=through,
    )
    terms = elbo(key, family.distribution(refined), joint, x)
    if through:
        return terms

    def encoders_bound(variational):
        return elbo(key, family.distribution(variational), joint, x).value

    # The product lambda . g, g constant, has the gradient g in lambda and none in p.
    gradient: Any = jax.lax.stop_gradient(jax.grad(encoders_bound)(variational))
    leaves = zip(jax.tree.leaves(variational), jax.tree.leaves(gradient), strict=True)
    product = sum((jnp.vdot(*pair) for pair in leaves), jnp.zeros(()))
    return terms._replace(value=terms.value + product - jax.lax.stop_gradient(product))
