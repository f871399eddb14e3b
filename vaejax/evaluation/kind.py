"""What a trained model has: a latent variable, a point mass for q, or no latent variable."""

from typing import Literal

from vaejax.distributions import has_density, has_latent
from vaejax.types import Example, GenerativeModel, InferenceNetwork, Params, bind

Kind = Literal["latent variable", "point mass", "no latent variable"]


def kind_of(
    generative: GenerativeModel, inference: InferenceNetwork, params: Params, example: Example
) -> Kind:
    """`no latent variable`: p(x) alone. `point mass`: an autoencoder, which has no p(z) and no
    log p(x). `latent variable`: p(x, z) and a q with a density."""
    joint, q, _ = bind(generative, inference, params, example)
    if not has_latent(joint.prior):
        return "no latent variable"
    return "latent variable" if has_density(q) else "point mass"
