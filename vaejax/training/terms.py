"""The function that training maximizes, of the parameters and one example."""

from collections.abc import Callable
from typing import Any

import jax

from vaejax.objectives import Terms
from vaejax.types import Example, GenerativeModel, InferenceNetwork, Key, Params, bind, num_rows

Objective = Callable[..., Terms]  # (key, q, joint, x, step) -> Terms
TermsOf = Callable[[Params, Key, Example, Any], Terms]  # (params, key, example, step) -> Terms


def objective_terms(
    generative: GenerativeModel, inference: InferenceNetwork, objective: Objective
) -> TermsOf:
    """The objective with p(x, z) and q(z | x) bound to an example."""

    def terms(params, key, example, step):
        joint, q, x = bind(generative, inference, params, example)
        return objective(key, q, joint, x, step)

    return terms


def over_batch(terms_of: TermsOf) -> TermsOf:
    """The same function for many examples along the first axis, each with its own key."""

    def terms(params, key, examples, step):
        keys = jax.random.split(key, num_rows(examples))
        return jax.vmap(terms_of, (None, 0, 0, None))(params, keys, examples, step)

    return terms
