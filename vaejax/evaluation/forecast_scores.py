"""Scores of forecasts: coverage of intervals, squared errors, log probabilities; and the scores of
two baselines without a model."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vaejax.distributions import filled
from vaejax.types import Distribution, Example, Key, Latent, missing_frames

BINS = 10  # of predicted probabilities


class Ahead(NamedTuple):
    """Forecasts of one sequence, and the true frames.

    Attributes:
      p_of: (number of steps after the last frame seen, z) -> p(x_t | z_t).
      z, x: the draws, (n, steps, ...).
      true: (steps, *frame), the true frames.
      counts: (steps,), whether a true frame exists and is not missing.
      last: (*frame), the last frame seen; -1 for categories if there is none.
    """

    p_of: Callable[[Any, Latent], Distribution]
    z: Latent
    x: Float[Array, "n steps ..."]
    true: Float[Array, "steps ..."]
    counts: Bool[Array, " steps"]
    last: Float[Array, "..."]


Baselines = dict[str, Any]  # arrays by name, see `baselines_of`


def baselines_of(
    train: Example, mean: Float[np.ndarray, "..."], steps: int, support: str
) -> Baselines:
    """The training statistics that the two baselines use.

    `mean` (*frame): the mean of each value; for categories (*frame, category), their frequencies.
    Binary x also has `lit_after_1` and `lit_after_0` (steps,): how often a value is 1 this many
    frames after it was 1, or 0, over all values. Categories have `stays` (steps,): how often a
    value is the same this many frames later. Half a count is added to both sides of a frequency, so
    that none is 0 or 1.
    """
    if support == "real":
        return {"mean": np.asarray(mean, np.float32)}
    given: Any = train.given
    x: Any = np.asarray(train.x)
    seen = given.exists & ~np.asarray(missing_frames(x, axes=2))
    x = np.asarray(filled(x, ~seen))
    names = ("stays",) if support == "categories" else ("lit_after_1", "lit_after_0")
    after = {name: np.empty(steps) for name in names}
    for h in range(1, steps + 1):
        both = seen[:, :-h] & seen[:, h:]
        before, later = x[:, :-h][both], x[:, h:][both]
        if support == "categories":
            after["stays"][h - 1] = _frequency(before == later)
            continue
        for value in (0, 1):
            after[f"lit_after_{value}"][h - 1] = _frequency(later[before == value])
    smooth = np.asarray(mean) * seen.sum() + 0.5
    smooth /= seen.sum() + 0.5 * (mean.shape[-1] if support == "categories" else 2)
    return {name: np.asarray(v, np.float32) for name, v in ({"mean": smooth} | after).items()}


def _frequency(ones: np.ndarray) -> float:
    return float((ones.sum() + 0.5) / (ones.size + 1))


def last_seen(
    x: Float[Array, "time ..."], exists: Bool[Array, " time"], otherwise: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The last frame that exists and is not missing; `otherwise` if there is none."""
    observed = exists & ~missing_frames(x)
    index = jnp.max(jnp.where(observed, jnp.arange(len(x)), -1))
    return jnp.where(index < 0, otherwise, x[jnp.maximum(index, 0)])


def real_scores(
    key: Key, ahead: Ahead, baselines: Baselines, level: float
) -> dict[str, Float[Array, " steps"]]:
    """Scores of a real x at each step, means over the values of a frame; 0 at steps that do not
    count.

    `inside`: whether a value lies in its central interval; `error`, `error_last` and `error_mean`:
    the squared errors of the mean of the draws, of the last frame seen and of the training mean, in
    squared units of x."""
    true, guesses = ahead.true, {"error": ahead.x.mean(axis=0)}
    guesses |= {"error_last": ahead.last, "error_mean": baselines["mean"]}
    found = {name: jnp.square(true - guess) for name, guess in guesses.items()}
    found["inside"] = is_inside(rank(key, ahead.x, true), level).astype(jnp.float32)
    return {
        name: jnp.where(ahead.counts, values.reshape(len(true), -1).mean(axis=1), 0.0)
        for name, values in found.items()
    }


def binary_scores(
    key: Key, ahead: Ahead, baselines: Baselines, level: float
) -> dict[str, Float[Array, "..."]]:
    """Scores of a binary x at each step; 0 at steps that do not count.

    `log_p`: log of the mean of p(x_t | z_t) over the draws, in nats per frame; `log_p_last` and
    `log_p_mean`: the same of the two baselines; `inside_<feature>`: whether that feature of the
    frame lies in its central interval.

    For all steps together, in ten bins of the predicted probability (the share of draws in which a
    value is 1): `bin_counts`; `bin_predicted`, the sum of these probabilities; and `bin_ones`."""
    x, true = ahead.x, ahead.true
    frame = true.ndim - 1
    one, zero = (baselines[f"lit_after_{value}"].reshape(-1, *(1,) * frame) for value in (1, 0))
    found = {
        "log_p": _log_p(ahead),
        "log_p_last": _log_bernoulli(jnp.where(ahead.last > 0.5, one, zero), true),
        "log_p_mean": _log_bernoulli(baselines["mean"], true),
    }
    true_features = features(true, frame)
    for index, (name, values) in enumerate(features(x, frame).items()):
        ranked = rank(jax.random.fold_in(key, index), values, true_features[name])
        found[f"inside_{name}"] = is_inside(ranked, level).astype(jnp.float32)
    found = {name: jnp.where(ahead.counts, values, 0.0) for name, values in found.items()}
    return found | _binned(x.mean(axis=0), true, ahead.counts)


def category_scores(
    key: Key, ahead: Ahead, baselines: Baselines, level: float
) -> dict[str, Float[Array, "..."]]:
    """Scores of categories at each step; 0 at steps that do not count.

    `log_p`, `log_p_last` and `log_p_mean` as in `binary_scores`; `inside_set`: the share of a
    frame's values that lie in the set of the most probable categories.

    For all steps together, `bin_counts`, `bin_predicted` and `bin_ones` are for the category that
    is most frequent in half of the draws. Its predicted probability is its share of the other half,
    since its share of the same half would be too large. `bin_ones` is how often it is the true
    one."""
    x, true, last = ahead.x, ahead.true, ahead.last
    mean = jnp.asarray(baselines["mean"])
    categories = jnp.arange(mean.shape[-1])
    half = len(x) // 2
    some, others = jax.lax.map(
        lambda c: (jnp.sum(x[:half] == c, axis=0), jnp.sum(x[half:] == c, axis=0)), categories
    )

    def chance(values):  # training frequency of each value
        at = jnp.broadcast_to(mean, (*true.shape, mean.shape[-1]))
        values = jnp.broadcast_to(values, true.shape)[..., None]
        return jnp.take_along_axis(at, jnp.maximum(values, 0), axis=-1)[..., 0]

    stays = baselines["stays"].reshape(-1, *(1,) * (true.ndim - 1))
    moved = (1 - stays) * chance(true) / (1 - chance(last))
    kept = jnp.where(last < 0, chance(true), jnp.where(true == last, stays, moved))

    def total(probability):
        return jnp.sum(jnp.log(probability).reshape(len(true), -1), axis=1)

    inside = in_likely_set(key, some + others, true, level).reshape(len(true), -1)
    found = {
        "log_p": _log_p(ahead),
        "log_p_last": total(kept),
        "log_p_mean": total(chance(true)),
        "inside_set": jnp.mean(inside, axis=1),
    }
    found = {name: jnp.where(ahead.counts, values, 0.0) for name, values in found.items()}
    top = jnp.argmax(some, axis=0)
    share = jnp.take_along_axis(others, top[None], axis=0)[0] / (len(x) - half)
    return found | _binned(share, (top == true).astype(jnp.float32), ahead.counts)


SCORES = {"real": real_scores, "binary": binary_scores, "categories": category_scores}


def in_likely_set(
    key: Key,
    numbers: Int[Array, "category ..."],
    value: Int[Array, "..."],
    level: float,
) -> Bool[Array, "..."]:
    """Whether `value` lies in the smallest set of categories that holds a share `level` of the
    draws and the value together. `numbers` has the number of draws of each category. A category at
    the edge of the set is in it at random, so that a value with the distribution of the draws is
    inside with probability `level`."""
    tie_key, edge_key = jax.random.split(key)
    own = jnp.arange(len(numbers)).reshape(-1, *(1,) * value.ndim) == value
    numbers = numbers + own
    # Add less than one draw, to put categories with equal numbers in random order.
    place = numbers + jax.random.uniform(tie_key, numbers.shape, maxval=0.5)
    at_value = jnp.sum(jnp.where(own, place, 0.0), axis=0)
    before = jnp.sum(jnp.where(place > at_value, numbers, 0), axis=0)
    of_value = jnp.sum(jnp.where(own, numbers, 0), axis=0)
    position = before + jax.random.uniform(edge_key, value.shape) * of_value
    return position < level * jnp.sum(numbers, axis=0)


def _log_p(ahead: Ahead) -> Float[Array, " steps"]:
    """The log of the mean of p(x_t | z_t) over the draws, in nats."""
    times = jnp.arange(len(ahead.true))
    over_steps = jax.vmap(lambda t, z, true: ahead.p_of(t, z).log_prob(true))
    log_p = jax.vmap(over_steps, (None, 0, None))(times, ahead.z, ahead.true)
    return jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(ahead.x))


def _binned(
    predicted: Float[Array, "steps ..."],
    ones: Float[Array, "steps ..."],
    counts: Bool[Array, " steps"],
) -> dict[str, Float[Array, " bins"]]:
    """For each bin of predicted probability: the count, the sum, and how many came true."""
    bins = jnp.clip((predicted * BINS).astype(jnp.int32), 0, BINS - 1).ravel()

    def total(values):
        return jax.ops.segment_sum(filled(values, ~counts).ravel(), bins, BINS)

    return {
        "bin_counts": total(jnp.ones_like(predicted)),
        "bin_predicted": total(predicted),
        "bin_ones": total(ones),
    }


def features(x: Float[Array, "..."], frame: int) -> dict[str, Float[Array, "..."]]:
    """Features of binary frames with `frame` axes: `lit`, how many values are 1; for images also
    `across` and `down`, the centre of these values in pixels, or of the image if no value is 1."""
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
    """The rank of a value among n draws, in (0, 1): uniform if the value has the distribution of
    the draws. Ties are broken at random."""
    below = jnp.sum(draws < value, axis=0)
    equal = jnp.sum(draws == value, axis=0)
    return (below + jax.random.uniform(key, value.shape) * (equal + 1)) / (len(draws) + 1)


def is_inside(ranked: Float[Array, "..."], level: float) -> Bool[Array, "..."]:
    """Whether ranks lie in the central interval with probability `level`."""
    return jnp.abs(ranked - 0.5) < level / 2


def _log_bernoulli(probability: Array, x: Float[Array, "steps ..."]) -> Float[Array, " steps"]:
    log_p = jnp.where(x > 0.5, jnp.log(probability), jnp.log1p(-probability))
    return jnp.sum(log_p.reshape(len(x), -1), axis=1)
