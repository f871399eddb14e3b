"""p(x, z): priors and decoders."""

from vaejax.distributions import StateSpace
from vaejax.generative.autoregressive_decoder import autoregressive_decoder
from vaejax.generative.forecast import forecast
from vaejax.generative.latent_variable_model import latent_variable_model
from vaejax.generative.masked_autoencoder import masked_autoencoder
from vaejax.generative.priors import Prior, fixed_prior, flow_prior, mixture_prior, vamp_prior
from vaejax.generative.state_space_model import state_space_model

__all__ = [
    "Prior",
    "StateSpace",
    "autoregressive_decoder",
    "fixed_prior",
    "flow_prior",
    "forecast",
    "latent_variable_model",
    "masked_autoencoder",
    "mixture_prior",
    "state_space_model",
    "vamp_prior",
]
