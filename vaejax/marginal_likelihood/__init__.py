"""Estimates of log p(x), and what each is worth; what is known of the states of a sequence."""

from vaejax.marginal_likelihood.annealed_importance_sampling import annealed_importance_sampling
from vaejax.marginal_likelihood.bidirectional import bidirectional_monte_carlo, sandwich
from vaejax.marginal_likelihood.estimate import Estimate
from vaejax.marginal_likelihood.estimates import Estimates
from vaejax.marginal_likelihood.exact import Exact, exact
from vaejax.marginal_likelihood.importance_sampling import importance_sampling
from vaejax.marginal_likelihood.log_marginal_likelihood import log_marginal_likelihood
from vaejax.marginal_likelihood.particle_filter import particle_filter
from vaejax.marginal_likelihood.sequential_monte_carlo import sequential_monte_carlo
from vaejax.marginal_likelihood.states import (
    States,
    exact_states,
    filtered_states,
    smoothed_states,
)

__all__ = [
    "Estimate",
    "Estimates",
    "Exact",
    "States",
    "annealed_importance_sampling",
    "bidirectional_monte_carlo",
    "exact",
    "exact_states",
    "filtered_states",
    "importance_sampling",
    "log_marginal_likelihood",
    "particle_filter",
    "sandwich",
    "sequential_monte_carlo",
    "smoothed_states",
]
