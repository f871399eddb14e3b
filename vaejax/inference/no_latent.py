"""The q of a model without a latent variable."""

from vaejax.distributions import Empty
from vaejax.types import InferenceNetwork


def no_latent() -> InferenceNetwork:
    """q(z | x) = Empty(): it goes with a p(x, z) whose prior is `Empty`, and has no parameters."""
    return InferenceNetwork(lambda key: (), lambda phi, x, joint, given=(): Empty())
