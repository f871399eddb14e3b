"""The training settings of a configuration."""

import dataclasses
import math
from typing import Literal

import optax

from vaejax.errors import SettingError, require


@dataclasses.dataclass(frozen=True)
class Train:
    """Training by Adam on the mean objective over a batch."""

    epochs: int = 200
    """Number of passes over the training split; an incomplete last batch is dropped."""
    steps: int | None = None
    """Number of steps; if given, it replaces epochs."""
    batch_size: int = 100
    """Number of examples per step."""
    learning_rate: float = 1e-3
    """Initial learning rate of Adam."""
    schedule: Literal["constant", "cosine", "burda"] = "cosine"
    """Learning rate over training. constant; cosine: decay to 0; burda: eight stages i = 0..7
    with lengths proportional to 3^i, at 10^(-i/7) times the initial rate (Burda et al.
    2016)."""
    adam_beta1: float = 0.9
    """Adam's beta_1, the decay of its first moment."""
    adam_epsilon: float = 1e-8
    """Adam's epsilon, which is added to its denominator."""
    validations: int = 50
    """Number of validations during training; the parameters of the best one are used."""

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
        """The number of whole batches in one pass."""
        if num_examples < self.batch_size:
            raise SettingError(
                f"batch_size must be at most {num_examples}, the number of training examples; got "
                f"{self.batch_size}: lower it",
                "batch_size",
                section="train",
            )
        return num_examples // self.batch_size

    def total_steps(self, num_examples: int) -> int:
        """The number of steps of the whole training."""
        return self.steps or self.epochs * self.steps_per_epoch(num_examples)

    def optimizer(
        self, num_examples: int, *, updates_per_step: int = 1
    ) -> optax.GradientTransformation:
        """Adam (Kingma & Ba 2015) on this schedule; `updates_per_step` updates share the learning
        rate of a step."""
        schedule = self.schedule_of(num_examples)
        return optax.adam(
            lambda count: schedule(count // updates_per_step),
            b1=self.adam_beta1,
            eps=self.adam_epsilon,
        )

    def schedule_of(self, num_examples: int) -> optax.Schedule:
        """The learning rate as a function of the step."""
        total = self.total_steps(num_examples)
        schedules = {
            "constant": lambda: optax.constant_schedule(self.learning_rate),
            "cosine": lambda: optax.cosine_decay_schedule(self.learning_rate, total),
            "burda": lambda: burda_schedule(self.learning_rate, total),
        }
        return schedules[self.schedule]()


def burda_schedule(learning_rate: float, total_steps: int) -> optax.Schedule:
    """A schedule of stages i = 0..7, each 3^i / 3,280 of all steps, at learning_rate * 10^(-i / 7)
    (Burda et al. 2016, section 5: 3^i passes each, 3,280 in all, from 1e-3 to 1e-4)."""
    starts = [round(total_steps * (3**i - 1) / (3**8 - 1)) for i in range(1, 8)]
    return optax.join_schedules(
        [optax.constant_schedule(learning_rate * 10 ** (-i / 7)) for i in range(8)], starts
    )
