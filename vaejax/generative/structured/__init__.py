"""Priors with structure, theta -> p(z), each with a `posterior` by message passing."""

from vaejax.generative.structured.full_mixture import full_mixture_prior
from vaejax.generative.structured.hidden_markov import hidden_markov
from vaejax.generative.structured.linear_dynamical_system import linear_dynamical_system
from vaejax.generative.structured.sequence_model import SequencePrior, sequence_model
from vaejax.generative.structured.switching_system import switching_linear_dynamical_system

__all__ = [
    "SequencePrior",
    "full_mixture_prior",
    "hidden_markov",
    "linear_dynamical_system",
    "sequence_model",
    "switching_linear_dynamical_system",
]
