"""How good draws of what follows a sequence are: intervals, means, probabilities, and what two
guesses that know no model would have scored."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vaejax.distributions import filled
from vaejax.types import Distribution, Example, Key, Latent, missing_frames

BINS = 10  # of predicted probabilities
Emission = Callable[[Any, Latent], Distribution]  # (step after the last one seen, z) -> p(x_t | z)


def baselines_of(
    train: Example, mean: Float[np.ndarray, "..."], steps: int, binary: bool
) -> dict[str, Float[np.ndarray, "..."]]:
    """What two guesses know of the training split. `mean` (*frame): of each value. Of binary x also
    `lit_after_1` and `lit_after_0` (steps,): how often a value is 1 so many frames after it was 1,
    and after it was 0, over all values alike. Half a count is added to both sides of a frequency:
    none is 0 or 1.
    """
    if not binary:
        return {"mean": np.asarray(mean, np.float32)}
    given: Any = train.given
    x: Any = np.asarray(train.x)
    seen = given.exists & ~missing_frames(x, axes=2)
    x = np.asarray(filled(x, ~seen))
    after = {"lit_after_1": np.empty(steps), "lit_after_0": np.empty(steps)}
    for h in range(1, steps + 1):
        both = seen[:, :-h] & seen[:, h:]
        later = x[:, h:][both]
        for value in (0, 1):
            of = x[:, :-h][both] == value
            after[f"lit_after_{value}"][h - 1] = (later[of].sum() + 0.5) / (of.sum() + 1)
    smooth = (np.asarray(mean) * seen.sum() + 0.5) / (seen.sum() + 1)
    return {name: np.asarray(v, np.float32) for name, v in ({"mean": smooth} | after).items()}


def last_seen(
    x: Float[Array, "time ..."], exists: Bool[Array, " time"], otherwise: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The last frame that there is and is not missing; `otherwise` where there is none."""
    observed = exists & ~missing_frames(x)
    index = jnp.max(jnp.where(observed, jnp.arange(len(x)), -1))
    return jnp.where(index < 0, otherwise, x[jnp.maximum(index, 0)])


def real_scores(
    key: Key,
    p_of: Emission,
    z: Latent,
    x: Float[Array, "n steps ..."],
    true: Float[Array, "steps ..."],
    counts: Bool[Array, " steps"],
    last: Float[Array, "..."],
    baselines: dict[str, Array],
    level: float,
) -> dict[str, Float[Array, " steps"]]:
    """Along the steps, 0 at those that do not count, means over a frame's values: `inside`, whether
    one lies in its central interval; `error`, `error_last`, `error_mean`, the squared error of the
    mean of the draws, of the last frame seen and of the training mean."""
    del p_of, z
    guesses = {"error": x.mean(axis=0), "error_last": last, "error_mean": baselines["mean"]}
    found = {name: jnp.square(true - guess) for name, guess in guesses.items()}
    found["inside"] = is_inside(rank(key, x, true), level).astype(jnp.float32)
    return {
        name: jnp.where(counts, values.reshape(len(true), -1).mean(axis=1), 0.0)
        for name, values in found.items()
    }


def binary_scores(
    key: Key,
    p_of: Emission,
    z: Latent,
    x: Float[Array, "n steps ..."],
    true: Float[Array, "steps ..."],
    counts: Bool[Array, " steps"],
    last: Float[Array, "..."],
    baselines: dict[str, Array],
    level: float,
) -> dict[str, Float[Array, "..."]]:
    """Along the steps, 0 at those that do not count: `log_p`, log mean p(x_t | z_t) over the draws,
    and `log_p_last` and `log_p_mean`, the same of the two guesses, in nats a frame;
    `inside_<feature>`, whether that number of the frame lies in its central interval. Of all steps
    together, in ten bins of the share of draws in which a value is 1, `bin_counts`,
    `bin_predicted` (the sum of that share) and `bin_ones`."""

    over_steps = jax.vmap(lambda t, z, true: p_of(t, z).log_prob(true))
    log_p = jax.vmap(over_steps, (None, 0, None))(jnp.arange(len(true)), z, true)
    frame = true.ndim - 1
    one, zero = (baselines[f"lit_after_{value}"].reshape(-1, *(1,) * frame) for value in (1, 0))
    found = {
        "log_p": jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(x)),
        "log_p_last": _log_bernoulli(jnp.where(last > 0.5, one, zero), true),
        "log_p_mean": _log_bernoulli(baselines["mean"], true),
    }
    true_features = features(true, frame)
    for index, (name, values) in enumerate(features(x, frame).items()):
        ranked = rank(jax.random.fold_in(key, index), values, true_features[name])
        found[f"inside_{name}"] = is_inside(ranked, level).astype(jnp.float32)
    found = {name: jnp.where(counts, values, 0.0) for name, values in found.items()}
    predicted = x.mean(axis=0)
    bins = jnp.clip((predicted * BINS).astype(jnp.int32), 0, BINS - 1).ravel()

    def total(values):
        return jax.ops.segment_sum(filled(values, ~counts).ravel(), bins, BINS)

    return found | {
        "bin_counts": total(jnp.ones_like(predicted)),
        "bin_predicted": total(predicted),
        "bin_ones": total(true),
    }


def features(x: Float[Array, "..."], frame: int) -> dict[str, Float[Array, "..."]]:
    """Numbers made of binary frames of so many axes: `lit`, how many values are 1; of images also
    `across` and `down`, the centre of these values in pixels, the image's own where none is."""
    lit = jnp.sum(x, axis=tuple(range(-frame, 0)))
    found = {"lit": lit}
    if frame < 2:
        return found
    image = x if frame == 2 else x.sum(axis=-1)  # over channels
    for name, axis in (("across", -1), ("down", -2)):
        size = image.shape[axis]
        along = image.sum(axis=-2 if axis == -1 else -1)
        centre = along @ jnp.arange(size, dtype=x.dtype) / jnp.maximum(lit, 1.0)
        found[name] = jnp.where(lit > 0, centre, (size - 1) / 2)
    return found


def rank(key: Key, draws: Float[Array, "n ..."], value: Float[Array, "..."]) -> Float[Array, "..."]:
    """Where a value stands among n draws, in (0, 1): uniform where it is a draw like them. Ties, as
    whole numbers have, are broken at random."""
    below = jnp.sum(draws < value, axis=0)
    equal = jnp.sum(draws == value, axis=0)
    return (below + jax.random.uniform(key, value.shape) * (equal + 1)) / (len(draws) + 1)


def is_inside(ranked: Float[Array, "..."], level: float) -> Bool[Array, "..."]:
    """Whether ranks lie in the central interval of that probability."""
    return jnp.abs(ranked - 0.5) < level / 2


def _log_bernoulli(probability: Array, x: Float[Array, "steps ..."]) -> Float[Array, " steps"]:
    log_p = jnp.where(x > 0.5, jnp.log(probability), jnp.log1p(-probability))
    return jnp.sum(log_p.reshape(len(x), -1), axis=1)
