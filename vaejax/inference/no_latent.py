"""The q of a model without a latent variable."""

from vaejax.distributions import Empty
from vaejax.types import InferenceNetwork


def no_latent() -> InferenceNetwork:
    """The inference network of a model without a latent variable: q(z | x) = Empty().

    It goes with a p(x, z) whose prior is `Empty`, and has no parameters.

    Example:
      >>> import jax, vaejax
      >>> q = vaejax.inference.no_latent()
      >>> q.posterior(q.init(jax.random.key(0)), jax.numpy.ones(2), joint=None).mean()
      ()
    """
    return InferenceNetwork(lambda key: (), lambda phi, x, joint, given=(): Empty())
