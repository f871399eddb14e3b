"""p(x, z): priors and decoders."""

from vaejax.generative.latent_variable_model import latent_variable_model

__all__ = ["latent_variable_model"]
