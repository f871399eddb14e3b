"""Small pairs p(x, z), q(z | x) that several tests train or measure."""

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from vaejax import (
    GenerativeModel,
    Joint,
    distributions,
    generative,
    inference,
    networks,
    objectives,
)
from vaejax.data import Dataset


def digits_pair(family=inference.diagonal_gaussian, latent_dim=2, width=16):
    """A tiny VAE of 8x8 binary images, or an autoencoder with `inference.point_mass`."""
    q_family = family(latent_dim)
    model = generative.latent_variable_model(
        distributions.standard_normal(latent_dim),
        networks.MLP((width,), (8, 8)),
        distributions.Bernoulli,
    )
    size = inference.parameter_count(q_family)
    return model, inference.amortized(q_family, networks.MLP((width,), (size,)), (8, 8))


def elbo_objective(key, q, joint, x, step):
    return objectives.elbo(key, q, joint, x)


def grey_digits(n=64, validation=16):
    """A small dynamically binarized data set."""
    grey = np.random.RandomState(0).randint(0, 17, (n + validation + 8, 8, 8)).astype(np.uint8)
    cut = n + validation
    return Dataset("grey", grey[:n], grey[n:cut], grey[cut:], 16, "dynamic")


def linear_gaussian(weights, noise):
    """p(z) = N(0, I), p(x | z) = N(W z, noise^2 I) with learnable W and log noise.

    Returns the model and its log p(x) = log N(x; 0, W W' + noise^2 I) in numpy float64.
    """
    weights = np.asarray(weights, np.float64)

    def init(key):
        del key
        return {
            "weights": jnp.asarray(weights, jnp.float32),
            "log_noise": jnp.asarray(np.log(noise), jnp.float32),
        }

    def likelihood(theta, z):
        mean = theta["weights"] @ z
        return distributions.DiagonalGaussian(mean, jnp.full_like(mean, theta["log_noise"]))

    def joint(theta, given=()):
        del given
        return Joint(distributions.standard_normal(weights.shape[1]), Partial(likelihood, theta))

    def log_marginal(xs):
        covariance = weights @ weights.T + noise**2 * np.eye(len(weights))
        _, log_det = np.linalg.slogdet(2 * np.pi * covariance)
        return -0.5 * (log_det + np.sum(xs * np.linalg.solve(covariance, xs.T).T, axis=-1))

    return GenerativeModel(init, joint), log_marginal
