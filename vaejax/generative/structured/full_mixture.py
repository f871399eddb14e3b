"""A mixture of full Gaussians as p(z)."""

import jax
import jax.numpy as jnp

from vaejax.distributions import FullGaussianMixture
from vaejax.distributions.factors import factor_of, factor_parameters
from vaejax.generative.priors import Prior


def full_mixture_prior(latent_dim: int, *, num_components: int, spread: float = 2.0) -> Prior:
    """sum_k w_k N(m_k, S_k), all learned; it starts with equal weights, means drawn from N(0,
    spread^2 I) and covariances I."""

    def init(key):
        means = spread * jax.random.normal(key, (num_components, latent_dim))
        factors = factor_parameters(1.0, latent_dim, num_components)
        return {"logits": jnp.zeros(num_components), "means": means, "factors": factors}

    def distribution(parameters):
        factors = factor_of(parameters["factors"])
        return FullGaussianMixture(parameters["logits"], parameters["means"], factors)

    return Prior(init, distribution)
