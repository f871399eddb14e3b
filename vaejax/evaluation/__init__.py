"""Measurements of a trained model, and the runner that carries them out."""

from vaejax.evaluation.chain import chain_samples, denoising_chain
from vaejax.evaluation.codes import Codes, encoder
from vaejax.evaluation.comparison import Compare
from vaejax.evaluation.evaluate import Evaluate
from vaejax.evaluation.ex_post import ex_post_model, fit_code_density
from vaejax.evaluation.features import Features, fit_features
from vaejax.evaluation.fitted_log_likelihood import fit_posterior, fitted_log_likelihood
from vaejax.evaluation.forecasts import Forecast
from vaejax.evaluation.gaps import Gaps
from vaejax.evaluation.gradient_quality import GradientQuality, gradient_quality
from vaejax.evaluation.kind import Kind, kind_of
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
from vaejax.evaluation.samples import Samples, model_samples, prior_samples
from vaejax.evaluation.section import Figure, Section, Table
from vaejax.evaluation.summary import mean_and_errors, summarize

__all__ = [
    "MEASUREMENTS",
    "Codes",
    "Compare",
    "Evaluate",
    "Features",
    "Figure",
    "Forecast",
    "Gaps",
    "GradientQuality",
    "Kind",
    "LogLikelihood",
    "Measurement",
    "Part",
    "Posterior",
    "Run",
    "Samples",
    "Section",
    "Table",
    "at_once",
    "carry_out",
    "chain_samples",
    "denoising_chain",
    "encoder",
    "ex_post_model",
    "fit_code_density",
    "fit_features",
    "fit_posterior",
    "fitted_log_likelihood",
    "gradient_quality",
    "kind_of",
    "latent_use",
    "linear_probe",
    "mean_and_errors",
    "mixing",
    "model_samples",
    "per_example",
    "pictures",
    "prior_samples",
    "rows_in",
    "sample_quality",
    "summarize",
    "watch_latents",
]
