"""Measurements of a trained model, and the runner that carries them out."""

from vaejax.evaluation.chain import chain_samples, denoising_chain
from vaejax.evaluation.comparison import Compare
from vaejax.evaluation.evaluate import Evaluate
from vaejax.evaluation.ex_post import ex_post_model, fit_code_density
from vaejax.evaluation.features import fit_features
from vaejax.evaluation.fitted_log_likelihood import fit_posterior, fitted_log_likelihood
from vaejax.evaluation.forecasts import Forecast
from vaejax.evaluation.gaps import Gaps
from vaejax.evaluation.gradient_quality import GradientQuality, gradient_quality
from vaejax.evaluation.latent_use import latent_use, watch_latents
from vaejax.evaluation.linear_probe import linear_probe
from vaejax.evaluation.log_likelihood import LogLikelihood
from vaejax.evaluation.measurement import Measurement, Part, at_once, per_example, rows_in
from vaejax.evaluation.measurements import MEASUREMENTS
from vaejax.evaluation.mixing import mixing
from vaejax.evaluation.pictures import pictures
from vaejax.evaluation.posterior import Posterior
from vaejax.evaluation.run import Run
from vaejax.evaluation.runner import carry_out
from vaejax.evaluation.sample_quality import sample_quality
from vaejax.evaluation.samples import model_samples
from vaejax.evaluation.section import Section, Table
from vaejax.evaluation.summary import mean_and_errors, summarize

__all__ = [
    "MEASUREMENTS",
    "Compare",
    "Evaluate",
    "Forecast",
    "Gaps",
    "GradientQuality",
    "LogLikelihood",
    "Measurement",
    "Part",
    "Posterior",
    "Run",
    "Section",
    "Table",
    "at_once",
    "carry_out",
    "chain_samples",
    "denoising_chain",
    "ex_post_model",
    "fit_code_density",
    "fit_features",
    "fit_posterior",
    "fitted_log_likelihood",
    "gradient_quality",
    "latent_use",
    "linear_probe",
    "mean_and_errors",
    "mixing",
    "model_samples",
    "per_example",
    "pictures",
    "rows_in",
    "sample_quality",
    "summarize",
    "watch_latents",
]
