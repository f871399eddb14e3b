"""What is maximized, for one example: (key, q, joint, x, ...) -> Terms, in nats."""

from vaejax.objectives.elbo import elbo
from vaejax.objectives.iwae import iwae
from vaejax.objectives.path_gradients import doubly_reparameterized, sticking_the_landing
from vaejax.objectives.point_estimates import maximum_a_posteriori, reconstruction
from vaejax.objectives.terms import Terms
from vaejax.objectives.warmup import linear_warmup

__all__ = [
    "Terms",
    "doubly_reparameterized",
    "elbo",
    "iwae",
    "linear_warmup",
    "maximum_a_posteriori",
    "reconstruction",
    "sticking_the_landing",
]
