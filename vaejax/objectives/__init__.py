"""What is maximized, for one example: (key, q, joint, x, ...) -> Terms, in nats."""

from vaejax.objectives.corruption import gaussian_noise, masking_noise, salt_and_pepper
from vaejax.objectives.denoising import denoise, walkback
from vaejax.objectives.elbo import elbo
from vaejax.objectives.fivo import fivo
from vaejax.objectives.free_bits import free_bits
from vaejax.objectives.iwae import iwae
from vaejax.objectives.one_member import one_member
from vaejax.objectives.path_gradients import doubly_reparameterized, sticking_the_landing
from vaejax.objectives.point_estimates import maximum_a_posteriori, reconstruction
from vaejax.objectives.regularized_reconstruction import regularized_reconstruction
from vaejax.objectives.semi_amortized import refine, semi_amortized
from vaejax.objectives.terms import Terms
from vaejax.objectives.warmup import linear_warmup

__all__ = [
    "Terms",
    "denoise",
    "doubly_reparameterized",
    "elbo",
    "fivo",
    "free_bits",
    "gaussian_noise",
    "iwae",
    "linear_warmup",
    "masking_noise",
    "maximum_a_posteriori",
    "one_member",
    "reconstruction",
    "refine",
    "regularized_reconstruction",
    "salt_and_pepper",
    "semi_amortized",
    "sticking_the_landing",
    "walkback",
]
