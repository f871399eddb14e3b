"""q(z | x): variational families, the networks that amortize them, and their optimization."""

from vaejax.inference.amortized import amortized, parameter_count
from vaejax.inference.families import (
    diagonal_gaussian,
    family_of,
    fixed_scale_gaussian,
    full_gaussian,
    gaussian_mixture,
    point_mass,
)
from vaejax.inference.fit_variational import Trace, fit_variational
from vaejax.inference.flows import affine_coupling, inverse_autoregressive, spline_coupling

__all__ = [
    "Trace",
    "affine_coupling",
    "amortized",
    "diagonal_gaussian",
    "family_of",
    "fit_variational",
    "fixed_scale_gaussian",
    "full_gaussian",
    "gaussian_mixture",
    "inverse_autoregressive",
    "parameter_count",
    "point_mass",
    "spline_coupling",
]
