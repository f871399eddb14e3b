"""Whether p, q and the objective fit the data, before anything is computed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.distributions import check_shapes, check_support, structure_of
from vaejax.errors import UserError
from vaejax.training.state import init_params
from vaejax.training.terms import Objective
from vaejax.types import Conditions, Example, GenerativeModel, InferenceNetwork, bind, rows_of


def check_examples(function: str, examples: Example) -> None:
    """Raises UserError where arrays have other numbers of examples, or a sequence no first step:
    it says which is the first."""
    if len({leaf.shape[:1] for leaf in jax.tree.leaves(examples)}) > 1:
        shapes = jax.tree.map(lambda leaf: leaf.shape, examples)
        raise UserError(
            f"{function}: expected as many of each array as there are examples, along the first "
            f"axis; got shapes {shapes}"
        )
    given: Any = examples.given
    if isinstance(given, Conditions):
        exists = np.asarray(given.exists)
        odd = ~exists[:, 0] | (exists[:, 1:] & ~exists[:, :-1]).any(axis=1)
        if odd.any():
            i = int(np.argmax(odd))
            raise UserError(
                f"{function}: sequence {i} has {exists[i].sum()} steps that exist, which are not "
                "its first: leave it out, or close the gap (a missing frame exists, and is NaN)"
            )


def check_model(
    function: str,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    objective: Objective,
    examples: Example,
) -> None:
    """Whether p, q and the objective fit the examples: shapes by the first, the support of
    p(x | z) by all. No parameter and no density is computed.

    Raises:
      UserError: what `distributions.check_shapes` raises; x outside the support; Terms that are
        not one number each.
    """

    def trace(key, example):
        params, key = init_params(key, generative, inference)
        joint, q, x = bind(generative, inference, params, example)
        check_shapes(function, joint, q, x)
        check_support(function, joint, structure_of(joint.prior), examples.x)
        return objective(key, q, joint, x, jnp.zeros((), jnp.int32))

    terms = jax.eval_shape(trace, jax.random.key(0), rows_of(examples, 0))
    for name, leaf in {"value": terms.value, **terms.metrics}.items():
        if leaf.shape != ():
            raise UserError(
                f"{function}: the objective's {name} has shape {leaf.shape}; of one example it is "
                "one number: sum it"
            )
