"""A mixture of full Gaussians as p(z)."""

import jax
import jax.numpy as jnp

from vaejax.distributions import FullGaussianMixture
from vaejax.distributions.factors import factor_of, factor_parameters
from vaejax.generative.priors import Prior


def full_mixture_prior(latent_dim: int, *, num_components: int, spread: float = 2.0) -> Prior:
    """A mixture of Gaussians with full covariances as the prior, all learned.

    p(z) = sum_k w_k N(m_k, S_k). It starts with equal weights, means drawn from N(0, spread^2 I)
    and covariances I.

    Args:
      latent_dim: numbers in z.

    Example:
      A potential says z = (1, -1), with precision 100. Then the posterior's mean is near it.

      >>> import jax, vaejax
      >>> from vaejax.distributions import Potential
      >>> prior = vaejax.generative.full_mixture_prior(2, num_components=3)
      >>> p = prior.distribution(prior.init(jax.random.key(0)))
      >>> z, precision = jax.numpy.array([1.0, -1.0]), jax.numpy.full(2, 100.0)
      >>> q = p.posterior(Potential(h=precision * z, J=precision))
      >>> bool((abs(q.mean() - z) < 0.1).all())
      True
    """

    def init(key):
        means = spread * jax.random.normal(key, (num_components, latent_dim))
        factors = factor_parameters(1.0, latent_dim, num_components)
        return {"logits": jnp.zeros(num_components), "means": means, "factors": factors}

    def distribution(parameters):
        factors = factor_of(parameters["factors"])
        return FullGaussianMixture(parameters["logits"], parameters["means"], factors)

    return Prior(init, distribution)
