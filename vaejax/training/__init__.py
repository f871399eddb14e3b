"""Training: state, step, loop and checkpoints, for one seed or several in parallel."""

from vaejax.training.denoising import denoising_terms
from vaejax.training.encoder_first import encoder_first
from vaejax.training.fit import fit
from vaejax.training.loop import Best, NonFiniteLoss, Report, Trainer
from vaejax.training.natural_gradient import natural_gradient
from vaejax.training.semi_amortized import semi_amortized_terms
from vaejax.training.settings import Train
from vaejax.training.state import TrainState, init_params, init_state
from vaejax.training.step import loss_of, make_steps
from vaejax.training.terms import objective_terms
from vaejax.training.update import Update, gradient_update

__all__ = [
    "Best",
    "NonFiniteLoss",
    "Report",
    "Train",
    "TrainState",
    "Trainer",
    "Update",
    "denoising_terms",
    "encoder_first",
    "fit",
    "gradient_update",
    "init_params",
    "init_state",
    "loss_of",
    "make_steps",
    "natural_gradient",
    "objective_terms",
    "semi_amortized_terms",
]
