"""The training step, and many of them in one compiled program."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding
from jaxtyping import Array, Int, UInt8

from vaejax.objectives import Terms
from vaejax.objectives import walkback as walk
from vaejax.training.state import TrainState
from vaejax.types import (
    ExplicitModel,
    GenerativeModel,
    InferenceNetwork,
    Key,
    Observation,
    Params,
)

Objective = Callable[..., Terms]  # (key, q, joint, x, step) or (key, p, x, step) -> Terms
Observe = Callable[[Key, Array], Observation]  # a batch of stored arrays -> a batch of x
Corrupt = Callable[[Key, Observation], Observation]  # of one example


def batch_terms(
    generative: GenerativeModel | ExplicitModel,
    inference: InferenceNetwork | None,
    objective: Objective,
    corrupt: Corrupt | None = None,
    walkback: int = 0,
) -> Callable[[Params, Key, Observation, Any], Terms]:
    """(params, key, xs, step) -> the objective's Terms for each example of a batch: of
    q(z | x), or of q(z | corrupt(x)) against the same x; with `walkback` that corruption is
    followed by up to so many rounds of the model's own chain (`objectives.walkback`). An explicit
    model has no q: its objective is (key, p, x, step) -> Terms.

    Raises:
      ValueError: walkback below 0, or without a corruption.
    """
    if walkback < 0 or (walkback > 0 and corrupt is None):
        raise ValueError(
            f"walkback must be 0 or more, and needs a corruption to walk with; got {walkback} with "
            f"corrupt {corrupt}"
        )
    if isinstance(generative, ExplicitModel):
        return _explicit_terms(generative, objective)
    if inference is None:
        raise TypeError("p(x, z) expects an inference network; None goes with an explicit model")

    def terms(params, key, xs, step):
        joint = generative.joint(params.generative)

        def posterior(seen):
            return inference.posterior(params.inference, seen, joint.prior)

        def one(key, x):
            seen = x
            if corrupt is not None:
                corrupt_key, key = jax.random.split(key)
                seen = walk(corrupt_key, posterior, joint, corrupt, x, most=walkback)
            return objective(key, posterior(seen), joint, x, step)

        return jax.vmap(one)(jax.random.split(key, jax.tree.leaves(xs)[0].shape[0]), xs)

    return terms


def _explicit_terms(
    model: ExplicitModel, objective: Objective
) -> Callable[[Params, Key, Observation, Any], Terms]:
    def terms(params, key, xs, step):
        p = model.density(params.generative)
        keys = jax.random.split(key, jax.tree.leaves(xs)[0].shape[0])
        return jax.vmap(lambda key, x: objective(key, p, x, step))(keys, xs)

    return terms


def epoch_order(state_key: Key, epoch: int, num_examples: int) -> Int[Array, " n"]:
    """The order in which an epoch visits the examples."""
    order_key, _, _ = jax.random.split(state_key, 3)
    return jax.random.permutation(jax.random.fold_in(order_key, epoch), num_examples)


def validation_key(state_key: Key) -> Key:
    """The key of the validation's noise: the same at every validation of a run."""
    return jax.random.split(state_key, 3)[2]


def make_steps(
    generative: GenerativeModel | ExplicitModel,
    inference: InferenceNetwork | None,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    observe: Observe,
    batch_sharding: NamedSharding | None = None,
    *,
    corrupt: Corrupt | None = None,
    walkback: int = 0,
    encoder_optimizer: optax.GradientTransformation | None = None,
    encoder_steps: int = 0,
) -> Callable[[TrainState, Int[Array, "steps batch"], UInt8[Array, "n ..."]], Any]:
    """(state, indices, data) -> (state, Terms averaged over each step's batch).

    `indices` gives the examples of each step. Drawing the batch, binarizing it and the gradient
    step all happen on the device, in one `lax.scan`. Before each step come `encoder_steps`
    updates of the encoder alone, each on a batch drawn from all the data (He et al. 2019).
    """
    terms_of = batch_terms(generative, inference, objective, corrupt, walkback)

    def loss(params, key, xs, step):
        terms = jax.tree.map(jnp.mean, terms_of(params, key, xs, step))
        return -terms.value, terms

    def batch(key, indices, data):
        raw = jax.tree.map(lambda leaf: leaf[indices], data)
        if batch_sharding is not None:
            raw = jax.lax.with_sharding_constraint(raw, batch_sharding)
        # Without the barrier XLA fuses the binarization into everything that reads x, and repeats
        # it for every one of K samples.
        return jax.lax.optimization_barrier(observe(key, raw))

    def encoder_step(state, key, batch_size, data):
        index_key, observe_key, objective_key = jax.random.split(key, 3)
        n = len(jax.tree.leaves(data)[0])
        xs = batch(observe_key, jax.random.randint(index_key, (batch_size,), 0, n), data)

        def encoder_loss(phi):
            return loss(state.params._replace(inference=phi), objective_key, xs, state.step)[0]

        phi = state.params.inference
        updates, optimizer_state = encoder_optimizer.update(
            jax.grad(encoder_loss)(phi), state.encoder_optimizer, phi
        )
        params = state.params._replace(inference=optax.apply_updates(phi, updates))
        return state._replace(params=params, encoder_optimizer=optimizer_state), None

    def one_step(state, indices, data):
        _, step_key, _ = jax.random.split(state.key, 3)
        noise_key = jax.random.fold_in(step_key, state.step)
        observe_key, objective_key = jax.random.split(noise_key)
        if encoder_steps > 0:
            # fold_in(key, 0) and fold_in(key, 1) may be what split gave.
            keys = jax.random.split(jax.random.fold_in(noise_key, 2), encoder_steps)
            state, _ = jax.lax.scan(
                lambda s, key: encoder_step(s, key, len(indices), data), state, keys
            )
        xs = batch(observe_key, indices, data)
        gradient, terms = jax.grad(loss, has_aux=True)(state.params, objective_key, xs, state.step)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        state = state._replace(step=state.step + 1, params=params, optimizer=optimizer_state)
        return state, terms

    def steps(state, indices, data):
        return jax.lax.scan(lambda s, i: one_step(s, i, data), state, indices)

    return steps
