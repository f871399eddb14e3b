"""Whether p, q and the objective fit the data, before anything is computed."""

import jax
import jax.numpy as jnp

from vaejax.distributions import check_shapes, check_support, structure_of
from vaejax.errors import UserError
from vaejax.training.state import init_params
from vaejax.training.terms import Objective
from vaejax.types import Example, GenerativeModel, InferenceNetwork, bind, rows_of


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
