"""Forecasts of the frames that follow the first ones of each sequence, and their scores."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.distributions import filled
from vaejax.errors import SettingError, require, require_least
from vaejax.evaluation.continuation import continued, why_no_continuation
from vaejax.evaluation.forecast_scores import SCORES, Ahead, baselines_of, last_seen
from vaejax.evaluation.forecast_section import forecast_section
from vaejax.evaluation.measurement import Arrays, Measurement, Part, at_once, per_example, rows_in
from vaejax.evaluation.run import Run, check_examples
from vaejax.evaluation.streams import FORECAST
from vaejax.marginal_likelihood.averages import mean_and_errors
from vaejax.sharding import map_examples
from vaejax.types import Example, missing_frames, rows_of

_SHOWN, _DRAWN = 3, 3  # sequences in the pictures, and draws of each
_TRAINED = 200  # training sequences from which the baselines are made
_MAX_VALUES = 50_000_000  # of x drawn at a time
_BATCH = 25


@dataclasses.dataclass(frozen=True)
class Forecast:
    """How forecasts of the frames that follow the first ones are made and scored."""

    split: Literal["train", "validation", "test"] = "test"
    """Split to measure."""
    examples: int | None = None
    """Number of sequences, from the first; by default 100, or all if there are fewer."""
    start: int | None = None
    """Number of frames that the model sees; by default half of the shortest sequence."""
    steps: int = 20
    """Number of frames to forecast; fewer if no sequence is long enough."""
    num_particles: int = 1000
    """Particles of the filter; each gives one draw of the following frames."""
    proposal: Literal["posterior", "prior"] = "posterior"
    """How particles move: by q(z | frames seen) (posterior), or by the model's own steps
    (prior)."""
    level: float = 0.9
    """Probability of the central intervals whose coverage is measured."""
    seed: int = 0
    """Seed of the draws."""

    def __post_init__(self):
        require_least(self, steps=1, num_particles=2, seed=0)
        for name in ("examples", "start"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, "at least 1", value)
        require(0 < self.level < 1, "level", "between 0 and 1", self.level)


def _examples(run: Run, settings: Forecast) -> Example:
    present = len(getattr(run.dataset, settings.split))
    return run.examples(settings.split, settings.examples or min(100, present))


def window(settings: Forecast, lengths: np.ndarray) -> tuple[int, int]:
    """(number of frames seen, number of frames forecast) for sequences of these lengths."""
    start = settings.start or max(1, int(lengths.min()) // 2)
    return start, min(settings.steps, int(lengths.max()) - start)


def forecasts(run: Run, settings: Forecast) -> list[Part]:
    """The parts: the scores of each sequence along the steps (`SCORES`); and, for pictures of the
    first sequences, `x`, three `draws`, and, except for categories, the `mean` of all draws and the
    ends `low` and `high` of the central intervals."""
    examples = _examples(run, settings)
    given: Any = examples.given
    start, steps = window(settings, given.exists.sum(axis=1))
    support = run.data.support
    baselines = baselines_of(run.examples("train", _TRAINED), run.data.mean, steps, support)

    def drawn(key, params, example):
        return continued(
            key,
            run,
            params,
            rows_of(example, slice(start)),
            example.given,
            num_steps=steps,
            num_particles=settings.num_particles,
            use_q=settings.proposal == "posterior",
        )

    def one(shared, index, example):
        key, params, baselines = shared
        draw_key, rank_key = jax.random.split(jax.random.fold_in(key, index))
        model, z, x = drawn(draw_key, params, example)
        after = example.x[start : start + steps]
        counts = example.given.exists[start : start + steps] & ~missing_frames(after)
        true = filled(after, ~counts)
        none = jnp.full(true.shape[1:], -1) if support == "categories" else baselines["mean"]
        last = last_seen(example.x[:start], example.given.exists[:start], none)

        def p_of(t, z):
            return model.emission(start + t, z)

        ahead = Ahead(p_of, z, x, true, counts, last)
        return SCORES[support](rank_key, ahead, baselines, settings.level) | {"counts": counts}

    def pictures():
        shown = rows_of(examples, slice(_SHOWN))

        def one(shared, index, example):
            key, params = shared
            draw_key, _ = jax.random.split(jax.random.fold_in(key, index))
            _, _, x = drawn(draw_key, params, example)
            if support == "categories":
                return {"draws": x[:_DRAWN]}
            tail = (1 - settings.level) / 2
            low, high = jnp.quantile(x, jnp.array([tail, 1 - tail]), axis=0)
            return {"draws": x[:_DRAWN], "mean": x.mean(axis=0), "low": low, "high": high}

        exists = shown.given.exists[:, : start + steps]  # type: ignore[attr-defined]
        kept = {"x": shown.x[:, : start + steps], "exists": exists}
        return kept | map_examples(one, (key, run.params), shown, 1)

    identity = dataclasses.asdict(settings)
    key, count = run.stream(FORECAST, settings.seed), len(examples.x)
    values = settings.num_particles * steps * int(np.prod(run.data.shape[1:]))
    block = max(1, min(_BATCH, _MAX_VALUES // values))
    each = per_example(one, (key, run.params, baselines), examples, block=block)
    return [
        Part("forecasts", identity, count, each, rows_in),
        at_once("pictures", identity, pictures),
    ]


def summarize_forecasts(run: Run, settings: Forecast, arrays: dict[str, Arrays]) -> dict[str, Any]:
    """The summary: the mean of each score over sequences, at each step and over all steps, with its
    standard error over sequences; the sequences that are too short; for binary x and categories
    `calibration`, bin by bin."""
    found = arrays["forecasts"]
    examples = _examples(run, settings)
    given: Any = examples.given
    lengths = given.exists.sum(axis=1)
    start, steps = window(settings, lengths)
    counts = found["counts"]
    along: dict[str, Any] = {}
    for name, values in found.items():
        if name == "counts" or name.startswith("bin_"):
            continue
        columns = zip(values.T, counts.T, strict=True)
        average = _share if name.startswith("inside") else mean_and_errors
        along[name] = {
            "by_step": [average(column[kept]) for column, kept in columns],
            "all": average(values.sum(axis=1), counts=counts.sum(axis=1)),
        }
    summary = {
        "start": start,
        "steps": steps,
        "n": len(counts),
        "too_short": np.flatnonzero(lengths[: len(counts)] <= start).tolist(),
        "frames": int(counts.sum()),
        "scores": along,
    }
    if "bin_counts" in found:
        sums = {name: found[f"bin_{name}"].T for name in ("counts", "predicted", "ones")}
        summary["calibration"] = [
            {
                "count": float(count.sum()),
                "predicted": mean_and_errors(predicted, None, count)["mean"],
                "frequency": _share(ones, count),
            }
            for count, predicted, ones in zip(*sums.values(), strict=True)
        ]
    return summary


def _share(values: np.ndarray, counts: np.ndarray | None = None) -> dict[str, Any]:
    """`mean_and_errors`, over sequences, of values 0 and 1, or of sums of `counts` such values. If
    all n sequences are equal the error would be 0; then it is that of a share with one sequence of
    each kind added (Agresti & Coull 1998)."""
    found = mean_and_errors(values, counts=counts)
    if found["std_error_data"] == 0:
        n = found["n"]
        found["std_error_data"] = float(np.sqrt((n + 1) / (n + 2) ** 3))
    return found


def _undefined(run: Run, settings: Forecast) -> str | None:
    reason = why_no_continuation(run, settings.proposal == "posterior")
    if reason is not None:
        return reason
    check_examples(run.dataset, settings.split, settings.examples)
    given: Any = _examples(run, settings).given
    longest = int(given.exists.sum(axis=1).max())
    if settings.start is not None and settings.start >= longest:
        raise SettingError(
            f"start {settings.start} leaves nothing to forecast: the longest of these sequences "
            f"has {longest} frames",
            "start",
        )
    return None


FORECAST_MEASUREMENT = Measurement(
    name="forecast",
    version=1,
    settings=Forecast,
    undefined=_undefined,
    parts=forecasts,
    summarize=summarize_forecasts,
    section=forecast_section,
)
