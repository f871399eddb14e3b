"""q(z | x): variational families, the networks that amortize them, and their optimization."""

from vaejax.inference.amortized import amortized, parameter_count
from vaejax.inference.families import (
    GAUSSIAN_RATE,
    diagonal_gaussian,
    fixed_scale_gaussian,
    full_gaussian,
    gaussian_mixture,
    point_mass,
)
from vaejax.inference.family_table import FAMILIES
from vaejax.inference.fit_variational import Trace, fit_variational
from vaejax.inference.flows import affine_coupling, inverse_autoregressive, spline_coupling
from vaejax.inference.no_latent import no_latent
from vaejax.inference.posterior_of_prior import posterior_of_prior
from vaejax.inference.sequences import Sees, sequence_posterior
from vaejax.inference.structured import (
    Recognition,
    along_time,
    discrete_recognition,
    gaussian_recognition,
    structured,
)

__all__ = [
    "FAMILIES",
    "GAUSSIAN_RATE",
    "Recognition",
    "Sees",
    "Trace",
    "affine_coupling",
    "along_time",
    "amortized",
    "diagonal_gaussian",
    "discrete_recognition",
    "fit_variational",
    "fixed_scale_gaussian",
    "full_gaussian",
    "gaussian_mixture",
    "gaussian_recognition",
    "inverse_autoregressive",
    "no_latent",
    "parameter_count",
    "point_mass",
    "posterior_of_prior",
    "sequence_posterior",
    "spline_coupling",
    "structured",
]
