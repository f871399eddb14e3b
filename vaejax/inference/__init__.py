"""q(z | x): variational families and the networks that amortize them."""

from vaejax.inference.amortized import amortized, parameter_count
from vaejax.inference.families import (
    diagonal_gaussian,
    full_gaussian,
    gaussian_mixture,
    point_mass,
)
from vaejax.inference.flows import affine_coupling, inverse_autoregressive, spline_coupling

__all__ = [
    "affine_coupling",
    "amortized",
    "diagonal_gaussian",
    "full_gaussian",
    "gaussian_mixture",
    "inverse_autoregressive",
    "parameter_count",
    "point_mass",
    "spline_coupling",
]
