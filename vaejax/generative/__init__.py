"""p(x, z): priors and decoders."""

from vaejax.distributions import StateSpace
from vaejax.generative.autoregressive_decoder import autoregressive_decoder
from vaejax.generative.forecast import forecast
from vaejax.generative.latent_variable_model import latent_variable_model
from vaejax.generative.masked_autoencoder import masked_autoencoder
from vaejax.generative.priors import Prior, fixed_prior, flow_prior, mixture_prior, vamp_prior
from vaejax.generative.state_space_model import state_space_model
from vaejax.generative.structured.full_mixture import full_mixture_prior
from vaejax.generative.structured.hidden_markov import hidden_markov
from vaejax.generative.structured.linear_dynamical_system import linear_dynamical_system
from vaejax.generative.structured.sequence_model import SequencePrior, sequence_model
from vaejax.generative.structured.switching_system import switching_linear_dynamical_system

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
