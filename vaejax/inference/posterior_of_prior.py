"""The q(z | x) of a model whose prior holds the encoder."""

from vaejax.inference.families import diagonal_gaussian
from vaejax.types import InferenceNetwork


def posterior_of_prior(*shape: int) -> InferenceNetwork:
    """q(z | x) = joint.prior.encode(x), a diagonal Gaussian over z of the given shape: what goes
    with `generative.vamp_prior`. It has no parameters of its own, so training moves the encoder
    with theta."""
    return InferenceNetwork(
        init=lambda key: (),
        posterior=lambda phi, x, joint, given=(): joint.prior.encode(x),
        family=diagonal_gaussian(*shape),
    )
