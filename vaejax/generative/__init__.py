"""p(x, z): priors and decoders."""

from vaejax.generative.autoregressive_decoder import autoregressive_decoder
from vaejax.generative.latent_variable_model import latent_variable_model

__all__ = ["autoregressive_decoder", "latent_variable_model"]
