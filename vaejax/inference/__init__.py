"""q(z | x): variational families and the networks that amortize them."""

from vaejax.inference.amortized import amortized, parameter_count
from vaejax.inference.families import diagonal_gaussian, family_of, point_mass
from vaejax.inference.fit_variational import Trace, fit_variational

__all__ = [
    "Trace",
    "amortized",
    "diagonal_gaussian",
    "family_of",
    "fit_variational",
    "parameter_count",
    "point_mass",
]
