"""Estimates of log p(x), and what each is worth."""

from vaejax.marginal_likelihood.estimate import Estimate
from vaejax.marginal_likelihood.importance_sampling import importance_sampling

__all__ = ["Estimate", "importance_sampling"]
