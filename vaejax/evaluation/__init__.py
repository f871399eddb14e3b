"""Per-example measurements over a data set, and their summary."""

from vaejax.evaluation.cost import Cost
from vaejax.evaluation.evaluate import Evaluate, evaluate
from vaejax.evaluation.gaps import Gaps
from vaejax.evaluation.log_likelihood import LogLikelihood
from vaejax.evaluation.pictures import pictures, prior_samples
from vaejax.evaluation.posterior import Posterior
from vaejax.evaluation.summary import mean_and_errors, summarize

__all__ = [
    "Cost",
    "Evaluate",
    "Gaps",
    "LogLikelihood",
    "Posterior",
    "evaluate",
    "mean_and_errors",
    "pictures",
    "prior_samples",
    "summarize",
]
