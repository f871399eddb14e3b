"""The kind of a trained model: with a latent variable, with a point mass for q, or without z."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import jax

from vaejax.distributions import has_density, has_latent
from vaejax.types import Example, GenerativeModel, InferenceNetwork, Params, bind

Kind = Literal["latent variable", "point mass", "no latent variable"]
T = TypeVar("T")


def by_shapes(look: Callable[..., T], *arguments: Any) -> T:
    """look(*arguments), which is no array and depends on none's values: nothing is computed, where
    the numbers of a q may take seconds."""
    found: list[T] = []
    jax.eval_shape(lambda *traced: found.append(look(*traced)), *arguments)
    return found[0]


def kind_of(
    generative: GenerativeModel, inference: InferenceNetwork, params: Params, example: Example
) -> Kind:
    """The kind of a model. `no latent variable`: p(x) only. `point mass`: an autoencoder, which has
    no p(z) and no log p(x). `latent variable`: p(x, z) and a q with a density."""

    def look(params: Params, example: Example) -> Kind:
        joint, q, _ = bind(generative, inference, params, example)
        if not has_latent(joint.prior):
            return "no latent variable"
        return "latent variable" if has_density(q) else "point mass"

    return by_shapes(look, params, example)
