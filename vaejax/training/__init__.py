"""State, step, loop, checkpoint; seeds in parallel; devices."""

from vaejax.training.loop import Best, NonFiniteLoss, Report, Trainer, fit
from vaejax.training.settings import Train
from vaejax.training.state import TrainState, init_state
from vaejax.training.step import batch_terms, make_steps

__all__ = [
    "Best",
    "NonFiniteLoss",
    "Report",
    "Train",
    "TrainState",
    "Trainer",
    "batch_terms",
    "fit",
    "init_state",
    "make_steps",
]
