"""How a run is trained: the part of its configuration that this package reads."""

import dataclasses
import math
from typing import Literal

import optax

from vaejax.errors import SettingError, require


@dataclasses.dataclass(frozen=True)
class Train:
    """Training: Adam on the mean over the batch."""

    epochs: int = 200
    """Passes over the training split; an incomplete last batch is dropped."""
    steps: int | None = None
    """Number of steps, in place of epochs."""
    batch_size: int = 100
    """Examples per step."""
    learning_rate: float = 1e-3
    """Initial learning rate of Adam."""
    schedule: Literal["constant", "cosine", "burda"] = "cosine"
    """Learning rate over training: constant; cosine, down to 0; or burda, eight stages i = 0..7,
    3^i parts long each, at 10^(-i/7) times the initial rate (Burda et al. 2016)."""
    adam_beta1: float = 0.9
    """Decay of Adam's first moment."""
    adam_epsilon: float = 1e-8
    """Added to Adam's denominator."""
    validations: int = 50
    """Number of validations during training; the parameters of the best one are kept."""

    def __post_init__(self):
        for name, valid, expected in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("steps", self.steps is None or self.steps >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite"),
            ("adam_beta1", 0 <= self.adam_beta1 < 1, "in [0, 1)"),
            ("adam_epsilon", 0 < self.adam_epsilon < math.inf, "above 0 and finite"),
            ("validations", self.validations >= 0, "0 or more"),
        ):
            require(valid, name, expected, getattr(self, name))

    def steps_per_epoch(self, num_examples: int) -> int:
        """Whole batches in one pass."""
        if num_examples < self.batch_size:
            raise SettingError(
                f"batch_size {self.batch_size} is more than the {num_examples} training examples: "
                "lower it",
                "batch_size",
                section="train",
            )
        return num_examples // self.batch_size

    def total_steps(self, num_examples: int) -> int:
        return self.steps or self.epochs * self.steps_per_epoch(num_examples)

    def optimizer(
        self, num_examples: int, *, updates_per_step: int = 1
    ) -> optax.GradientTransformation:
        """Adam (Kingma & Ba 2015) on this schedule; with `updates_per_step` of them at each step's
        learning rate."""
        schedule = self.schedule_of(num_examples)
        return optax.adam(
            lambda count: schedule(count // updates_per_step),
            b1=self.adam_beta1,
            eps=self.adam_epsilon,
        )

    def schedule_of(self, num_examples: int) -> optax.Schedule:
        """The learning rate at each step."""
        total = self.total_steps(num_examples)
        schedules = {
            "constant": lambda: optax.constant_schedule(self.learning_rate),
            "cosine": lambda: optax.cosine_decay_schedule(self.learning_rate, total),
            "burda": lambda: burda_schedule(self.learning_rate, total),
        }
        return schedules[self.schedule]()


def burda_schedule(learning_rate: float, total_steps: int) -> optax.Schedule:
    """Stage i = 0..7 lasts 3^i of 3,280 parts, at learning_rate * 10^(-i / 7) (Burda et al. 2016,
    section 5: 3^i passes each, 3,280 in all, from 1e-3 to 1e-4)."""
    starts = [round(total_steps * (3**i - 1) / (3**8 - 1)) for i in range(1, 8)]
    return optax.join_schedules(
        [optax.constant_schedule(learning_rate * 10 ** (-i / 7)) for i in range(8)], starts
    )
