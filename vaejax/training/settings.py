"""How a run is trained: the part of its configuration that this package reads."""

import dataclasses
import math
from typing import Literal

import jax
import optax

from vaejax.errors import UserError
from vaejax.types import Params


@dataclasses.dataclass(frozen=True)
class Train:
    """Training: Adam on the mean over the batch."""

    epochs: int = 200
    """Passes over the training split; the last, incomplete batch of a pass is left out."""
    steps: int | None = None
    """Number of steps, in place of the passes."""
    batch_size: int = 100
    """Examples a step."""
    learning_rate: float = 1e-3
    """Adam's, at the start."""
    schedule: Literal["constant", "cosine", "burda"] = "cosine"
    """Learning rate: constant; cosine to 0; or eight stages, the i-th 3^i long at 10^(-i/7)."""
    adam_beta1: float = 0.9
    """Decay of Adam's first moment."""
    adam_epsilon: float = 1e-8
    """Added to Adam's denominator."""
    decoder_l2: float = 0.0
    """L2 penalty on the decoder's weights: half of this times the sum of their squares is taken
    from the objective (biases aside)."""
    validations: int = 50
    """How often the validation split is measured over the run; the best parameters are kept."""
    encoder_steps: int = 0
    """Encoder-only updates before each step, on batches of their own (He et al. 2019)."""
    aggressive_epochs: int = 0
    """The first passes, in which those updates are made."""

    def __post_init__(self):
        for name, valid, expected in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("steps", self.steps is None or self.steps >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite"),
            ("adam_beta1", 0 <= self.adam_beta1 < 1, "in [0, 1)"),
            ("adam_epsilon", 0 < self.adam_epsilon < math.inf, "above 0 and finite"),
            ("decoder_l2", 0 <= self.decoder_l2 < math.inf, "finite and 0 or more"),
            ("validations", self.validations >= 0, "0 or more"),
            ("encoder_steps", self.encoder_steps >= 0, "0 or more"),
            ("aggressive_epochs", self.aggressive_epochs >= 0, "0 or more"),
        ):
            if not valid:
                option = name.replace("_", "-")
                raise UserError(f"--train.{option} must be {expected}; got {getattr(self, name)}")
        if (self.encoder_steps == 0) != (self.aggressive_epochs == 0):
            raise UserError(
                "--train.encoder-steps and --train.aggressive-epochs go together: give both or "
                f"neither; got {self.encoder_steps} and {self.aggressive_epochs}"
            )

    def steps_per_epoch(self, num_examples: int) -> int:
        """Whole batches in one pass."""
        if num_examples < self.batch_size:
            raise UserError(
                f"--train.batch-size {self.batch_size} is more than the {num_examples} training "
                "examples: lower it"
            )
        return num_examples // self.batch_size

    def total_steps(self, num_examples: int) -> int:
        return self.steps or self.epochs * self.steps_per_epoch(num_examples)

    def optimizer(self, num_examples: int) -> optax.GradientTransformation:
        """Adam (Kingma & Ba 2015) on this schedule, of `Params`. The gradient of the L2 penalty is
        added to the objective's own before Adam, so that it is that of the sum."""
        adam = self._adam(self._schedule(num_examples))
        if self.decoder_l2 == 0:
            return adam
        return optax.chain(optax.add_decayed_weights(self.decoder_l2, _decoder_kernels), adam)

    def encoder_optimizer(self, num_examples: int) -> optax.GradientTransformation | None:
        """Adam for the encoder-only updates: `encoder_steps` at each step's learning rate."""
        if self.encoder_steps == 0:
            return None
        schedule = self._schedule(num_examples)
        return self._adam(lambda count: schedule(count // self.encoder_steps))

    def _schedule(self, num_examples: int) -> optax.Schedule:
        total = self.total_steps(num_examples)
        schedules = {
            "constant": lambda: optax.constant_schedule(self.learning_rate),
            "cosine": lambda: optax.cosine_decay_schedule(self.learning_rate, total),
            "burda": lambda: burda_schedule(self.learning_rate, total),
        }
        return schedules[self.schedule]()

    def _adam(self, schedule: optax.Schedule) -> optax.GradientTransformation:
        return optax.adam(schedule, b1=self.adam_beta1, eps=self.adam_epsilon)


def _decoder_kernels(params: Params) -> Params:
    """True at each kernel (flax's name for a matrix of weights) of the decoder, else False."""
    kernels = jax.tree_util.tree_map_with_path(
        lambda path, leaf: getattr(path[-1], "key", None) == "kernel", params.generative
    )
    if not any(jax.tree.leaves(kernels)):
        raise UserError(
            "--train.decoder-l2 expects a decoder with weights named `kernel`, as flax names them; "
            "this one has none"
        )
    return Params(kernels, jax.tree.map(lambda leaf: False, params.inference))


def burda_schedule(learning_rate: float, total_steps: int) -> optax.Schedule:
    """Stage i = 0..7 lasts 3^i of 3,280 parts, at learning_rate * 10^(-i / 7) (Burda et al. 2016,
    section 5: 3^i passes each, 3,280 in all, from 1e-3 to 1e-4)."""
    starts = [round(total_steps * (3**i - 1) / (3**8 - 1)) for i in range(1, 8)]
    return optax.join_schedules(
        [optax.constant_schedule(learning_rate * 10 ** (-i / 7)) for i in range(8)], starts
    )
