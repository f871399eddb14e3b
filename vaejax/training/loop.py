"""The training loop: compiled calls of many steps, for one seed or several at once."""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from vaejax.data import Dataset
from vaejax.objectives import Terms
from vaejax.sharding import batch_sharding, replicated
from vaejax.training.batches import Batches
from vaejax.training.checks import check_model
from vaejax.training.seeds import over_seeds
from vaejax.training.settings import Train
from vaejax.training.state import TrainState, init_state
from vaejax.training.step import loss_of, make_steps
from vaejax.training.terms import Objective, TermsOf, objective_terms
from vaejax.training.update import Update, gradient_update
from vaejax.training.validation import validation_of
from vaejax.types import GenerativeModel, InferenceNetwork, Key, Params

# Floating-point operations of one call, which then takes a second or two: long enough to hide the
# cost of starting it, short enough to stop between two calls.
_FLOPS_PER_CALL = {"cpu": 1e11, "gpu": 1e13, "tpu": 1e13}


class NonFiniteLoss(Exception):
    """The loss of the seed with index `seed` was NaN or infinite at `step`; `example` is the first
    training example with such a loss, or -1 if all have it."""

    def __init__(self, seed: int, step: int, example: int = -1):
        first = f", in training example {example} (from 0)" if example >= 0 else ""
        super().__init__(f"the loss became NaN or infinite at step {step}{first}")
        self.seed = seed
        self.step = step


class Best(NamedTuple):
    """The parameters with the highest validation value so far."""

    value: Float[Array, ""]
    step: Int[Array, ""]
    params: Params


class Report(NamedTuple):
    """The report after each compiled call. Every array has seeds along the first axis."""

    states: TrainState
    best: Best
    step: int
    epoch: int
    end_of_epoch: bool
    terms: Terms  # (seeds, steps of this call): batch means
    validation: np.ndarray | None  # (seeds,)
    padding: np.ndarray | None  # (seeds, steps of this call): share of padding; sequences only


class Trainer:
    """The training of one experiment on one data set, for one seed or several.

    `start` gives initial states, and `run` continues from any states. Each seed has its own
    parameters, noise and order of the data; `vmap` adds seeds as the first axis.

    Args:
      terms_of: the function that training maximizes, if it is not the objective at q(z | x); see
        `training.denoising_terms`. Validation, by which the kept parameters are chosen, uses the
        objective itself, as evaluations do.
      optimizer: an optax optimizer of `Params`; by default that of the settings.
      make_update: (loss, optimizer) -> Update; by default `gradient_update`.

    Raises:
      UserError: shapes of p, q, x and the objective do not fit together; or x is outside the
        support of p(x | z).
    """

    def __init__(
        self,
        generative: GenerativeModel,
        inference: InferenceNetwork,
        objective: Objective,
        dataset: Dataset,
        settings: Train,
        *,
        terms_of: TermsOf | None = None,
        optimizer: optax.GradientTransformation | None = None,
        make_update: Callable[..., Update] = gradient_update,
    ):
        check_model("Trainer", generative, inference, objective, dataset.examples("train"))
        usual = objective_terms(generative, inference, objective)
        self.dataset = dataset
        self.settings = settings
        self.num_examples = len(dataset.train)
        self.steps_per_epoch = settings.steps_per_epoch(self.num_examples)
        self.batches = Batches(self.num_examples, settings.batch_size, dataset.lengths("train"))
        self.total_steps = settings.total_steps(self.num_examples)
        self.update = make_update(
            loss_of(terms_of or usual), optimizer or settings.optimizer(self.num_examples)
        )
        self.sharding = batch_sharding(settings.batch_size)
        # Outputs are copied to each device, as inputs are, so that all calls use one compilation.
        copy = replicated(self.sharding)
        self.data = jax.device_put(dataset.stored("train"), copy)
        steps = make_steps(self.update, dataset.observe, self.sharding)

        def of_seeds(states, indices, data, time=None):
            mapped = over_seeds(functools.partial(steps, time=time), (0, 0, None))
            return mapped(states, indices, data)

        self.steps = jax.jit(of_seeds, static_argnums=3, donate_argnums=0, out_shardings=copy)
        self._update_best = jax.jit(_update_best, out_shardings=copy)
        self._init = functools.partial(
            init_state, generative=generative, inference=inference, update=self.update
        )
        self._validate: Callable | None = None
        if len(dataset.validation):
            self._validate = validation_of(
                usual,
                dataset.examples("validation"),
                self.total_steps,
                self.sharding,
                dataset.lengths("validation"),
            )

    def start(self, keys: list[Key]) -> tuple[TrainState, Best]:
        """The initial states, one for each key, stacked along the first axis."""
        states = [jax.jit(self._init)(key) for key in keys]
        states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        value = jnp.full(len(keys), -jnp.inf, jnp.float32)
        return states, Best(value, jnp.zeros(len(keys), jnp.int32), states.params)

    @functools.cached_property
    def flops_per_step(self) -> float:
        """Floating-point operations of one step of one seed, as XLA counts them; 0 on devices where
        it does not."""
        state = jax.eval_shape(self._init, jax.random.key(0))
        stacked = jax.tree.map(lambda s: jax.ShapeDtypeStruct((1, *s.shape), s.dtype), state)
        indices = jax.ShapeDtypeStruct((1, 1, self.settings.batch_size), jnp.int32)
        cost = self.steps.lower(stacked, indices, self.data).cost_analysis()
        return float((cost or {}).get("flops", 0.0))

    def steps_per_call(self, num_seeds: int) -> int:
        """The number of steps in one compiled call: about one second of work, at most an epoch."""
        budget = _FLOPS_PER_CALL.get(jax.default_backend(), 1e13)
        most = budget / max(self.flops_per_step * self.update.gradients * num_seeds, 1.0)
        calls = int(np.ceil(self.steps_per_epoch / max(most, 1.0)))
        return int(np.ceil(self.steps_per_epoch / calls))

    def run(self, states: TrainState, best: Best) -> Iterator[Report]:
        """Train to the end, and yield a report after each compiled call.

        The next call overwrites the states of a report: copy what you want to keep.

        Raises:
          NonFiniteLoss: the loss or a parameter became NaN or infinite; no report has such a state.
        """
        copy = replicated(self.sharding)
        # Copies, since the compiled steps overwrite their input.
        states, best = jax.device_put(jax.tree.map(jnp.copy, (states, best)), copy)
        num_seeds = len(states.step)
        step = int(states.step[0])
        per_call = self.steps_per_call(num_seeds)
        keys = jax.device_put(jnp.copy(states.key), copy)
        validations = self._validation_steps()
        while step < self.total_steps:
            epoch, position = divmod(step, self.steps_per_epoch)
            orders, schedule = self.batches.indices(keys, epoch), self.batches.schedule(epoch)
            while position < self.steps_per_epoch and step < self.total_steps:
                # Validations are at fixed steps, so the best parameters do not depend on the calls.
                to_validation = next((v - step for v in validations if v > step), per_call)
                most = min(per_call, self.total_steps - step, to_validation)
                count, time = self.batches.call(schedule[position:], most)
                indices = orders[:, position : position + count]
                states, found = self.steps(states, indices, self.data, time)
                terms, broken = jax.tree.map(np.asarray, found)
                finite = np.isfinite(terms.value)
                if not finite.all():
                    seed, offset = (int(place) for place in np.argwhere(~finite)[0])
                    raise NonFiniteLoss(seed, step + offset, int(broken[seed, offset]))
                intact = np.asarray(_all_finite(states.params))
                if not intact.all():
                    raise NonFiniteLoss(int(np.argmin(intact)), step + count - 1)
                step, position = step + count, position + count
                end_of_epoch = position == self.steps_per_epoch or step == self.total_steps
                value = None
                if self._validate is not None and step in validations:
                    value = self._validate(states.params, keys)
                    best = self._update_best(best, value.astype(np.float32), states)
                padding = self.batches.padding(indices, time)
                yield Report(states, best, step, epoch, end_of_epoch, terms, value, padding)

    def _validation_steps(self) -> list[int]:
        """The steps after which there is a validation: evenly spaced, with the last step."""
        count = min(self.settings.validations, self.total_steps)
        if count == 0 or self._validate is None:
            return []
        return [-(-i * self.total_steps // count) for i in range(1, count + 1)]


@jax.jit
def _all_finite(params: Params):
    """Whether the parameters of each seed are all finite: a step may break them although its loss
    was finite."""
    finite = [
        jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
        for leaf in jax.tree.leaves(params)
    ]
    return jnp.all(jnp.stack(finite), axis=0)


def _update_best(best: Best, value: Float[Array, " seeds"], states: TrainState) -> Best:
    better = value > best.value

    def pick(new, old):
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return Best(*jax.tree.map(pick, Best(value, states.step, states.params), best))
