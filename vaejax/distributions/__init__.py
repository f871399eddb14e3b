"""What p and q are made of: distrax, and what it lacks. The only import of distrax."""

from distrax import Categorical, Distribution

from vaejax.distributions.autoregressive import Autoregressive
from vaejax.distributions.autoregressive_ensemble import AutoregressiveEnsemble
from vaejax.distributions.bernoulli import Bernoulli
from vaejax.distributions.diagonal_gaussian import DiagonalGaussian, standard_normal
from vaejax.distributions.discretized_logistic import DiscretizedLogistic
from vaejax.distributions.flow import (
    Flow,
    InverseAutoregressiveLayer,
    affine_coupling_layer,
    spline_coupling_layer,
)
from vaejax.distributions.full_gaussian import FullGaussian
from vaejax.distributions.full_gaussian_mixture import FullGaussianMixture
from vaejax.distributions.gaussian_mixture import GaussianMixture
from vaejax.distributions.point_mass import PointMass

__all__ = [
    "Autoregressive",
    "AutoregressiveEnsemble",
    "Bernoulli",
    "Categorical",
    "DiagonalGaussian",
    "DiscretizedLogistic",
    "Distribution",
    "Flow",
    "FullGaussian",
    "FullGaussianMixture",
    "GaussianMixture",
    "InverseAutoregressiveLayer",
    "PointMass",
    "affine_coupling_layer",
    "spline_coupling_layer",
    "standard_normal",
]
