"""The training loop: compiled calls of many steps each, for one seed or several at once."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, Int

from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.objectives import Terms
from vaejax.sharding import batch_sharding, replicated
from vaejax.training.settings import Train
from vaejax.training.state import TrainState, init_state
from vaejax.training.step import (
    Corrupt,
    Objective,
    batch_terms,
    epoch_order,
    make_steps,
    validation_key,
)
from vaejax.types import (
    ExplicitModel,
    GenerativeModel,
    InferenceNetwork,
    Key,
    Observation,
    Params,
)

# A call of this many floating-point operations takes a second or two: long enough to hide the
# cost of starting it, short enough to stop between two.
_FLOPS_PER_CALL = {"cpu": 1e11, "gpu": 1e13, "tpu": 1e13}
_VALIDATION_BATCH = 500


class NonFiniteLoss(Exception):
    """The loss of seed number `seed` was NaN or infinite at `step`."""

    def __init__(self, seed: int, step: int):
        super().__init__(f"the loss stopped being finite at step {step}")
        self.seed = seed
        self.step = step


class Best(NamedTuple):
    """The parameters with the highest validation value so far."""

    value: Float[Array, ""]
    step: Int[Array, ""]
    params: Params


class Report(NamedTuple):
    """After each compiled call. Every array has a leading axis of seeds."""

    states: TrainState
    best: Best
    step: int
    epoch: int
    end_of_epoch: bool
    terms: Terms  # (seeds, steps of this call): batch means
    validation: np.ndarray | None  # (seeds,)


class Trainer:
    """One experiment on one data set, compiled for a number of seeds.

    `start` gives initial states, `run` goes on from any states. Seeds are an axis that `vmap`
    adds: each has its own parameters, noise and order of the data. `corrupt`, and up to `walkback`
    rounds of the model's own chain, change what the encoder sees in training, and in training
    alone: the validation, which chooses the parameters that are kept, is of the clean x, as every
    evaluation is. An explicit model has no encoder: its `inference` is None.
    """

    def __init__(
        self,
        generative: GenerativeModel | ExplicitModel,
        inference: InferenceNetwork | None,
        objective: Objective,
        dataset: Dataset,
        settings: Train,
        *,
        corrupt: Corrupt | None = None,
        walkback: int = 0,
    ):
        if inference is None and (corrupt is not None or settings.encoder_steps > 0):
            raise UserError(
                "an explicit model p(x) has no encoder: leave away --train.encoder-steps, "
                "--train.aggressive-epochs and whatever corrupts what an encoder sees"
            )
        self.dataset = dataset
        self.settings = settings
        self.num_examples = len(dataset.train)
        self.steps_per_epoch = settings.steps_per_epoch(self.num_examples)
        self.total_steps = settings.total_steps(self.num_examples)
        self.optimizer = settings.optimizer(self.num_examples)
        encoder_optimizer = settings.encoder_optimizer(self.num_examples)
        self.sharding = batch_sharding(settings.batch_size)
        self.data = jax.device_put(dataset.train, replicated(self.sharding))
        # Outputs are copied to each device, as inputs are: one compilation serves all calls.
        copy = replicated(self.sharding)

        def compiled(encoder_steps):
            steps = make_steps(
                generative,
                inference,
                objective,
                self.optimizer,
                dataset.observe,
                self.sharding,
                corrupt=corrupt,
                walkback=walkback,
                encoder_optimizer=encoder_optimizer,
                encoder_steps=encoder_steps,
            )
            return jax.jit(over_seeds(steps, (0, 0, None)), donate_argnums=0, out_shardings=copy)

        self.steps = compiled(0)
        self.aggressive_steps = compiled(settings.encoder_steps)
        self._update_best = jax.jit(_update_best, out_shardings=copy)
        self._init = functools.partial(
            init_state,
            generative=generative,
            inference=inference,
            optimizer=self.optimizer,
            encoder_optimizer=encoder_optimizer,
        )
        self._validate = _validation(
            batch_terms(generative, inference, objective),
            dataset,
            self.total_steps,
            self.sharding,
        )

    def start(self, keys: list[Key]) -> tuple[TrainState, Best]:
        """Initial states, one a key, stacked."""
        states = [jax.jit(self._init)(key) for key in keys]
        states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        value = jnp.full(len(keys), -jnp.inf, jnp.float32)
        return states, Best(value, jnp.zeros(len(keys), jnp.int32), states.params)

    @functools.cached_property
    def flops_per_step(self) -> float:
        """Floating-point operations of one step of one seed, as XLA counts them."""
        state = jax.eval_shape(self._init, jax.random.key(0))
        stacked = jax.tree.map(lambda s: jax.ShapeDtypeStruct((1, *s.shape), s.dtype), state)
        indices = jax.ShapeDtypeStruct((1, 1, self.settings.batch_size), jnp.int32)
        cost = self.steps.lower(stacked, indices, self.data).cost_analysis()
        return float((cost or {}).get("flops", 0.0))

    def steps_per_call(self, num_seeds: int) -> int:
        """How many steps a compiled call makes: about a second's worth, an epoch at most."""
        budget = _FLOPS_PER_CALL.get(jax.default_backend(), 1e13)
        updates = 1 + self.settings.encoder_steps
        most = budget / max(self.flops_per_step * updates * num_seeds, 1.0)
        calls = int(np.ceil(self.steps_per_epoch / max(most, 1.0)))
        return int(np.ceil(self.steps_per_epoch / calls))

    def run(self, states: TrainState, best: Best) -> Iterator[Report]:
        """Train to the end, reporting after each compiled call.

        The states of a report are given up to the next call: copy what is to be kept.

        Raises:
          NonFiniteLoss: before a report with a broken state is made.
        """
        copy = replicated(self.sharding)
        # Copies: the compiled steps overwrite their input.
        states, best = jax.device_put(jax.tree.map(jnp.copy, (states, best)), copy)
        num_seeds = len(states.step)
        step = int(states.step[0])
        per_call = self.steps_per_call(num_seeds)
        keys = jax.device_put(jnp.copy(states.key), copy)
        validations = self._validation_steps()
        while step < self.total_steps:
            epoch, position = divmod(step, self.steps_per_epoch)
            orders = _orders(keys, epoch, self.num_examples)
            aggressive = epoch < self.settings.aggressive_epochs
            steps = self.aggressive_steps if aggressive else self.steps
            while position < self.steps_per_epoch and step < self.total_steps:
                # Validations happen at fixed steps: what is best does not depend on the calls.
                to_validation = next((v - step for v in validations if v > step), per_call)
                count = min(
                    per_call,
                    self.steps_per_epoch - position,
                    self.total_steps - step,
                    to_validation,
                )
                batch = self.settings.batch_size
                indices = orders[:, position * batch : (position + count) * batch]
                indices = indices.reshape(num_seeds, count, batch)
                states, terms = steps(states, indices, self.data)
                terms = jax.tree.map(np.asarray, terms)
                finite = np.isfinite(terms.value)
                if not finite.all():
                    seed, offset = np.argwhere(~finite)[0]
                    raise NonFiniteLoss(int(seed), step + int(offset))
                intact = np.asarray(_all_finite(states.params))
                if not intact.all():
                    raise NonFiniteLoss(int(np.argmin(intact)), step + count - 1)
                step, position = step + count, position + count
                end_of_epoch = position == self.steps_per_epoch or step == self.total_steps
                value = None
                if step in validations:
                    value = self._validate(states.params, keys)
                    best = self._update_best(best, value, states)
                    value = np.asarray(value)
                yield Report(states, best, step, epoch, end_of_epoch, terms, value)

    def _validation_steps(self) -> list[int]:
        """The steps after which the validation split is measured: evenly spaced, the last one
        among them."""
        count = min(self.settings.validations, self.total_steps)
        if count == 0 or len(self.dataset.validation) == 0:
            return []
        return [-(-i * self.total_steps // count) for i in range(1, count + 1)]


def over_seeds(function, in_axes):
    """`vmap` over the leading axis of seeds; a single seed runs without it, and faster."""

    def mapped(*args):
        num_seeds = len(jax.tree.leaves(args[0])[0])
        if num_seeds > 1:
            return jax.vmap(function, in_axes)(*args)
        one = [
            jax.tree.map(lambda leaf: leaf[0], arg) if axis == 0 else arg
            for arg, axis in zip(args, in_axes, strict=True)
        ]
        return jax.tree.map(lambda leaf: leaf[None], function(*one))

    return mapped


@functools.partial(jax.jit, static_argnums=2)
def _orders(keys, epoch, num_examples):
    return jax.vmap(lambda key: epoch_order(key, epoch, num_examples))(keys)


@jax.jit
def _all_finite(params: Params):
    """Of each seed, whether its parameters are: a step may break them after its loss was fine."""
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


def _validation(terms_of, dataset: Dataset, step: int, sharding: NamedSharding):
    """(params, keys) -> mean of the objective over the validation split, by seed, on the devices
    of `sharding`. The noise is that of the run's key and the example: the same at every
    validation."""
    xs = dataset.split("validation")
    n = len(xs)
    if n == 0:
        return None
    devices = len(sharding.device_set)
    size = -(-min(_VALIDATION_BATCH, n) // devices) * devices
    batches = -(-n // size)
    padded = np.concatenate([xs, np.repeat(xs[:1], batches * size - n, axis=0)])
    padded = jax.device_put(padded.reshape(batches, size, *xs.shape[1:]), replicated(sharding))
    weight = (np.arange(batches * size) < n).reshape(batches, size) / n

    def mean_value(params, key, padded):
        def batch(total, inputs):
            index, xs, weight = inputs
            xs = jax.lax.with_sharding_constraint(xs, sharding).astype(jnp.float32)
            terms = terms_of(params, jax.random.fold_in(validation_key(key), index), xs, step)
            return total + jnp.sum(terms.value * weight), None

        inputs = jnp.arange(batches), padded, jnp.asarray(weight, jnp.float32)
        return jax.lax.scan(batch, jnp.zeros(()), inputs)[0]

    compiled = jax.jit(over_seeds(mean_value, (0, 0, None)))
    return lambda params, keys: compiled(params, keys, padded)


def fit(
    key: Key,
    generative: GenerativeModel | ExplicitModel,
    inference: InferenceNetwork | None,
    objective: Objective,
    xs: Observation,
    *,
    num_steps: int,
    batch_size: int = 100,
    optimizer: optax.GradientTransformation | None = None,
) -> tuple[Params, Float[Array, " steps"]]:
    """Train a pair on observations in memory: the same step, without data sets or files.

    Args:
      inference: None for an explicit model.
      objective: (key, q, joint, x, step) -> Terms, for one example; of an explicit model
        (key, p, x, step) -> Terms.
      xs: observations along the first axis of every leaf; they reach the model as float32.
      num_steps: gradient steps; each draws `batch_size` examples, in a new order every epoch.
      optimizer: Adam at 1e-3 unless given.

    Returns:
      The parameters, and the objective at each step (mean over the batch, nats).

    Raises:
      NonFiniteLoss: the loss became NaN or infinite.
      ValueError: num_steps or batch_size out of range.
    """
    n = len(jax.tree.leaves(xs)[0])
    if num_steps < 1 or not 1 <= batch_size <= n:
        raise ValueError(
            f"expected num_steps of at least 1 and batch_size from 1 to the {n} examples; got "
            f"{num_steps} and {batch_size}"
        )
    optimizer = optimizer or optax.adam(1e-3)
    state = init_state(key, generative, inference, optimizer)
    per_epoch = n // batch_size
    orders = [epoch_order(state.key, epoch, n) for epoch in range(-(-num_steps // per_epoch))]
    order = jnp.concatenate([order[: per_epoch * batch_size] for order in orders])
    indices = order.reshape(-1, batch_size)[:num_steps]

    def observe(key, stored):
        return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), stored)

    steps = make_steps(generative, inference, objective, optimizer, observe)
    state, terms = jax.jit(steps)(state, indices, jax.tree.map(jnp.asarray, xs))
    finite = np.isfinite(np.asarray(terms.value))
    if not finite.all():
        raise NonFiniteLoss(0, int(np.argmin(finite)))
    return state.params, terms.value
