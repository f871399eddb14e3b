"""Checks that p, q and the objective fit the data, before anything is computed."""

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
    """Raise UserError if arrays differ in their number of examples, or if the steps of a sequence
    that exist are not its first ones; the message names the first such sequence."""
    if len({leaf.shape[:1] for leaf in jax.tree.leaves(examples)}) > 1:
        shapes = jax.tree.map(lambda leaf: leaf.shape, examples)
        raise UserError(
            f"{function}: expected the same number of examples in every array, along the first "
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
                "its first ones: leave it out, or close the gap (a missing frame exists and is NaN)"
            )


def check_model(
    function: str,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    objective: Objective,
    examples: Example,
) -> None:
    """Raise UserError unless p, q and the objective fit the examples: their shapes the first one,
    the support of p(x | z) all of them. No parameter and no density is computed.

    Raises:
      UserError: shapes do not fit (`distributions.check_shapes`); x is outside the support; or a
        number of Terms is not a scalar.
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
                f"{function}: expected an objective whose {name} is one number for one example; it "
                f"has shape {leaf.shape}: sum it"
            )
