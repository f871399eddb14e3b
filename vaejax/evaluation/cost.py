"""The cost of optimizing q for each x: the bound against steps and seconds, and the encoder's."""

import dataclasses
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import SettingError, require, require_least
from vaejax.evaluation.cost_section import cost_section
from vaejax.evaluation.gap_arithmetic import fit_summary, mean_of
from vaejax.evaluation.gaps import bind_whole, family_over, own_family, start_of, traced
from vaejax.evaluation.measurement import Arrays, Measurement, Part, at_once
from vaejax.evaluation.run import Run, check_examples, has_real_latent
from vaejax.evaluation.streams import COST
from vaejax.inference import fit_variational
from vaejax.inference.fit_variational import RECORD
from vaejax.objectives import elbo
from vaejax.sharding import over_examples
from vaejax.types import bind, num_rows

# Factors of the family's learning rate: near the optimum, a large rate first makes q worse.
STARTS = {"standard": 1.0, "encoder": 0.2}
_CALLS = 5


@dataclasses.dataclass(frozen=True)
class Cost:
    """How the cost of optimizing q for each x is measured."""

    examples: int = 100
    """Number of test examples, from the first; all are optimized in one compiled program."""
    max_steps: int = 2000
    """Largest number of Adam steps for each x, a multiple of 100."""
    num_bound_samples: int = 1000
    """Number of fresh draws of each q, for its bound."""
    seed: int = 0
    """Seed of the draws."""

    def __post_init__(self):
        require_least(self, examples=1, max_steps=100, num_bound_samples=2, seed=0)
        require(self.max_steps % 100 == 0, "max_steps", "a multiple of 100", self.max_steps)


def _undefined(run: Run, settings: Cost) -> str | None:
    if run.kind == "no latent variable":
        return "the model has no latent variable, so there is no q(z | x) to optimize"
    if run.kind == "point mass":
        raise SettingError(
            "this run is an autoencoder: its q is a point mass, which has no bound to optimize; "
            "use vaejax gaps with map, which compares its code with the best z",
            "map",
        )
    if not has_real_latent(run):
        return "its z has whole numbers, but the q families that are optimized are for real numbers"
    check_examples(run.dataset, "test", settings.examples)
    return None


def cost(run: Run, settings: Cost) -> list[Part]:
    """The part that `measure_cost` computes, for the first test examples."""
    identity = dataclasses.asdict(settings)
    return [at_once("cost", identity, lambda: measure_cost(run, settings))]


def measure_cost(run: Run, settings: Cost) -> Arrays:
    """Arrays of each example in nats, and seconds per example.

    A fit starts at N(0, I) (`standard`) or at the encoder's q (`encoder`). For each start the
    arrays are `<start>_path`, the bound along the steps of Adam (means over 20 steps of their own
    draws; the final bound after convergence); `<start>` and `<start>_std_error`, the final bound
    from fresh draws; `<start>_steps`; `<start>_converged` and `<start>_diverged`. `amortized` is
    the bound of the encoder's q. `amortized_seconds` is one forward pass, `<start>_seconds` one
    step of the fit, with its share of the final draws; all in the same batch.
    """
    generative, inference = run.generative, run.inference

    def amortized(shared, index, example):
        key, params = shared
        joint, q, x = bind_whole(generative, inference, params, example)
        bound_key = jax.random.fold_in(jax.random.fold_in(key, index), len(STARTS))
        keys = jax.random.split(bound_key, settings.num_bound_samples)
        draws = jax.lax.map(lambda k: elbo(k, q, joint, x).value, keys, batch_size=100)
        return {
            "amortized": jnp.mean(draws),
            "amortized_std_error": jnp.std(draws) / jnp.sqrt(settings.num_bound_samples - 1),
        }

    def forward(shared, index, example):
        return jax.tree.leaves(bind(generative, inference, shared[1], example)[1])

    def fitted(start: str):
        def one(shared, index, example):
            key, params = shared
            joint, q, x = bind_whole(generative, inference, params, example)
            chosen = family_over(own_family(inference) or "diagonal", joint)
            fit_key = jax.random.fold_in(jax.random.fold_in(key, index), list(STARTS).index(start))
            start_key, fit_key = jax.random.split(fit_key)
            init = None
            if start == "encoder":
                init = start_of(start_key, chosen, inference, params.inference, q, example)
            _, trace = fit_variational(
                fit_key,
                chosen,
                joint,
                x,
                init=init,
                learning_rate=chosen.learning_rate * STARTS[start],
                max_steps=settings.max_steps,
                num_final_samples=settings.num_bound_samples,
            )
            path = jnp.where(jnp.isnan(trace.path), trace.bound, trace.path)
            return traced(start, trace) | {f"{start}_path": path}

        return one

    examples = run.examples("test", settings.examples)
    count = num_rows(examples)
    arguments = (run.stream(COST, settings.seed), run.params), np.arange(count), examples
    arrays = over_examples(amortized, count)(*arguments)
    taken = _median_seconds(over_examples(forward, count), *arguments)
    arrays["amortized_seconds"] = np.asarray(taken / count)
    for start in STARTS:
        fit = over_examples(fitted(start), count)
        found = fit(*arguments)
        started = time.perf_counter()
        fit(*arguments)
        taken = (time.perf_counter() - started) / count
        each = taken / int(found[f"{start}_steps"].max())  # the batch runs until its last x stops
        arrays |= found | {f"{start}_seconds": np.asarray(each)}
    return arrays


def _median_seconds(run, *arguments: Any) -> float:
    run(*arguments)  # compiles
    taken = []
    for _ in range(_CALLS):
        started = time.perf_counter()
        run(*arguments)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def summarize_cost(run: Run, settings: Cost, parts: dict[str, Arrays]) -> dict[str, Any]:
    """Means with errors over the examples whose bounds are all finite and whose fits did not
    diverge; the others are listed in `left_out`. For each start, `steps_to`: the step from which
    its mean bound stays above the encoder's bound, and above 1 and 0.1 nats below the best
    bound."""
    arrays, names = parts["cost"], ("amortized", *STARTS)
    usable = np.all([np.isfinite(arrays[name]) for name in names], axis=0)
    usable &= ~np.any([arrays[f"{start}_diverged"] for start in STARTS], axis=0)

    summary: dict = {
        "seconds": {name: float(arrays[f"{name}_seconds"]) for name in names},
        "left_out": np.flatnonzero(~usable).tolist(),
        "amortized": mean_of(arrays, "amortized", usable),
    }
    ends = [mean_of(arrays, start, usable)["mean"] for start in STARTS]
    best = max((end for end in ends if end is not None), default=np.nan)
    encoders = summary["amortized"]["mean"]
    levels = {
        "the encoder's bound": np.nan if encoders is None else encoders,
        "1 nat below the best": best - 1.0,
        "0.1 nats below the best": best - 0.1,
    }
    for start in STARTS:
        path = arrays[f"{start}_path"][usable].mean(axis=0, dtype=np.float64)
        reached = {}
        for level, value in levels.items():
            below = np.flatnonzero(
                ~(path >= value)
            )  # the path is noisy: a level is passed where the path stays above it
            last = below[-1] + 1 if len(below) else 0
            reached[level] = int(last + 1) * RECORD if last < len(path) else None
        summary[start] = fit_summary(arrays, start, usable) | {"steps_to": reached}
    return summary


COST_MEASUREMENT = Measurement(
    name="cost",
    version=3,
    settings=Cost,
    undefined=_undefined,
    parts=cost,
    summarize=summarize_cost,
    section=cost_section,
)
