"""The q families that settings can name."""

from collections.abc import Callable

from vaejax.inference.families import diagonal_gaussian, full_gaussian, gaussian_mixture
from vaejax.inference.flows import affine_coupling, inverse_autoregressive, spline_coupling
from vaejax.types import VariationalFamily

# Name -> what makes the family over a latent of the given shape.
FAMILIES: dict[str, Callable[..., VariationalFamily]] = {
    "diagonal": diagonal_gaussian,
    "full": full_gaussian,
    "mixture": gaussian_mixture,
    "flow": inverse_autoregressive,
    "coupling": affine_coupling,
    "spline": spline_coupling,
}
