"""q(z | x): variational families and the networks that amortize them."""

from vaejax.inference.amortized import amortized, parameter_count
from vaejax.inference.families import diagonal_gaussian, point_mass

__all__ = ["amortized", "diagonal_gaussian", "parameter_count", "point_mass"]
