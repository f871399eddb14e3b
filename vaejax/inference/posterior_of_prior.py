"""The q(z | x) of a model whose prior holds the encoder."""

from vaejax.inference.families import diagonal_gaussian
from vaejax.types import InferenceNetwork


def posterior_of_prior(*shape: int) -> InferenceNetwork:
    """The inference network of a model whose prior holds the encoder, as `generative.vamp_prior`
    does.

    q(z | x) = joint.prior.encode(x), a diagonal Gaussian. It has no parameters of its own, so
    training moves the encoder with theta.

    Args:
      *shape: of z.

    Example:
      >>> import jax, vaejax
      >>> from vaejax import distributions, generative, inference, networks
      >>> jnp, encoder = jax.numpy, networks.MLP((8,), (4,))
      >>> prior = generative.vamp_prior(encoder, jnp.zeros(3), jnp.ones(3), num_components=5)
      >>> p = prior.distribution(prior.init(jax.random.key(0)))
      >>> joint = vaejax.Joint(p, lambda z: distributions.Bernoulli(jnp.ones(3) * z.sum()))
      >>> q = inference.posterior_of_prior(2).posterior((), jnp.ones(3), joint)
      >>> bool((q.mean() == p.encode(jnp.ones(3)).mean()).all())
      True
    """
    return InferenceNetwork(
        init=lambda key: (),
        posterior=lambda phi, x, joint, given=(): joint.prior.encode(x),
        family=diagonal_gaussian(*shape),
    )
