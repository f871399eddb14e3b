"""What p and q are made of: distrax, and what it lacks. The only import of distrax."""

from distrax import Categorical, Distribution

from vaejax.distributions.autoregressive import Autoregressive
from vaejax.distributions.autoregressive_ensemble import AutoregressiveEnsemble
from vaejax.distributions.bernoulli import Bernoulli
from vaejax.distributions.capabilities import (
    can_complete,
    converged,
    draws_together,
    has_density,
    has_latent,
    has_mean,
    has_std,
    held_fixed,
    is_real,
    mean_and_noise,
    mean_and_std,
    mean_of,
    structure_of,
    twice_differentiable,
)
from vaejax.distributions.categories import Categories
from vaejax.distributions.diagonal_gaussian import (
    DiagonalGaussian,
    as_diagonal_gaussian,
    standard_normal,
)
from vaejax.distributions.discrete_chain import DiscreteChain
from vaejax.distributions.discretized_logistic import DiscretizedLogistic
from vaejax.distributions.empty import Empty
from vaejax.distributions.enumeration import states_of
from vaejax.distributions.factors import unit_lower_triangle
from vaejax.distributions.flow import (
    Flow,
    InverseAutoregressiveLayer,
    affine_coupling_layer,
    spline_coupling_layer,
)
from vaejax.distributions.frames import Frames, check_frames, filled
from vaejax.distributions.full_gaussian import FullGaussian, as_gaussian
from vaejax.distributions.full_gaussian_mixture import FullGaussianMixture, as_gaussian_mixture
from vaejax.distributions.gaussian_mixture import GaussianMixture
from vaejax.distributions.hierarchical import Hierarchical
from vaejax.distributions.inert import WithInertSteps, with_inert_steps
from vaejax.distributions.kl import kl_form, kl_per_dimension, sample_and_kl
from vaejax.distributions.known_kl import KnownKL
from vaejax.distributions.linear_chain import LinearChain, gaussian_of_factor
from vaejax.distributions.markov import Markov
from vaejax.distributions.particles import Filtered, filter_particles, steps_of, systematic
from vaejax.distributions.point_mass import PointMass
from vaejax.distributions.potential import Potential
from vaejax.distributions.shapes import check_shapes, written_with_jax
from vaejax.distributions.state_space import StateSpace, check_room, state_space_of
from vaejax.distributions.support import check_support, support_problem
from vaejax.distributions.switching_chain import ChainPair, SwitchingChain
from vaejax.distributions.vamp import Vamp

__all__ = [
    "Autoregressive",
    "AutoregressiveEnsemble",
    "Bernoulli",
    "Categorical",
    "Categories",
    "ChainPair",
    "DiagonalGaussian",
    "DiscreteChain",
    "DiscretizedLogistic",
    "Distribution",
    "Empty",
    "Filtered",
    "Flow",
    "Frames",
    "FullGaussian",
    "FullGaussianMixture",
    "GaussianMixture",
    "Hierarchical",
    "InverseAutoregressiveLayer",
    "KnownKL",
    "LinearChain",
    "Markov",
    "PointMass",
    "Potential",
    "StateSpace",
    "SwitchingChain",
    "Vamp",
    "WithInertSteps",
    "affine_coupling_layer",
    "as_diagonal_gaussian",
    "as_gaussian",
    "as_gaussian_mixture",
    "can_complete",
    "check_frames",
    "check_room",
    "check_shapes",
    "check_support",
    "converged",
    "draws_together",
    "filled",
    "filter_particles",
    "gaussian_of_factor",
    "has_density",
    "has_latent",
    "has_mean",
    "has_std",
    "held_fixed",
    "is_real",
    "kl_form",
    "kl_per_dimension",
    "mean_and_noise",
    "mean_and_std",
    "mean_of",
    "sample_and_kl",
    "spline_coupling_layer",
    "standard_normal",
    "state_space_of",
    "states_of",
    "steps_of",
    "structure_of",
    "support_problem",
    "systematic",
    "twice_differentiable",
    "unit_lower_triangle",
    "with_inert_steps",
    "written_with_jax",
]
