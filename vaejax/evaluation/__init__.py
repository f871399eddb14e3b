"""Per-example measurements over a data set, and their summary."""

from vaejax.evaluation.chain import denoising_chain
from vaejax.evaluation.cost import Cost
from vaejax.evaluation.evaluate import Evaluate, evaluate
from vaejax.evaluation.gaps import Gaps
from vaejax.evaluation.gradient_quality import GradientQuality, gradient_quality
from vaejax.evaluation.latent_use import latent_use, watch_latents
from vaejax.evaluation.log_likelihood import LogLikelihood
from vaejax.evaluation.pictures import pictures, prior_samples
from vaejax.evaluation.posterior import Posterior
from vaejax.evaluation.summary import mean_and_errors, summarize

__all__ = [
    "Cost",
    "Evaluate",
    "Gaps",
    "GradientQuality",
    "LogLikelihood",
    "Posterior",
    "denoising_chain",
    "evaluate",
    "gradient_quality",
    "latent_use",
    "mean_and_errors",
    "pictures",
    "prior_samples",
    "summarize",
    "watch_latents",
]
