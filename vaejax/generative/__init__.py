"""p(x, z): priors and decoders."""

from vaejax.distributions import StateSpace
from vaejax.generative.autoregressive_decoder import autoregressive_decoder
from vaejax.generative.forecast import forecast
from vaejax.generative.latent_variable_model import latent_variable_model
from vaejax.generative.masked_autoencoder import masked_autoencoder
from vaejax.generative.priors import Prior, fixed_prior, flow_prior, mixture_prior, vamp_prior
from vaejax.generative.state_space_model import state_space_model
from vaejax.generative.structured import (
    SequencePrior,
    full_mixture_prior,
    hidden_markov,
    linear_dynamical_system,
    sequence_model,
    switching_linear_dynamical_system,
)

__all__ = [
    "Prior",
    "SequencePrior",
    "StateSpace",
    "autoregressive_decoder",
    "fixed_prior",
    "flow_prior",
    "forecast",
    "full_mixture_prior",
    "hidden_markov",
    "latent_variable_model",
    "linear_dynamical_system",
    "masked_autoencoder",
    "mixture_prior",
    "sequence_model",
    "state_space_model",
    "switching_linear_dynamical_system",
    "vamp_prior",
]
