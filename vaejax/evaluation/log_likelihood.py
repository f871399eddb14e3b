"""log p(x) of examples by each estimator, in blocks: it can stop at any time and resume later."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Int

from vaejax import marginal_likelihood as ml
from vaejax.errors import SettingError, require, require_least
from vaejax.evaluation.evaluate import count_frames
from vaejax.evaluation.exact_log_p import exact_reason
from vaejax.evaluation.log_likelihood_section import log_likelihood_section
from vaejax.evaluation.measurement import Arrays, MaySpend, Measurement, Part, appended, rows_in
from vaejax.evaluation.run import (
    Run,
    check_examples,
    has_real_latent,
    is_state_space,
    moves_in_steps,
)
from vaejax.evaluation.streams import LOG_LIKELIHOOD
from vaejax.marginal_likelihood.annealed_importance_sampling import check_size
from vaejax.marginal_likelihood.averages import mean_and_errors
from vaejax.marginal_likelihood.estimate import combine
from vaejax.marginal_likelihood.schedule import Schedule, evaluations
from vaejax.marginal_likelihood.sequential_monte_carlo import PILOT_PARTICLES
from vaejax.sharding import over_examples
from vaejax.types import Example, Key, bind, num_rows, rows_of

Name = Literal["importance", "annealed", "smc", "bidirectional", "filter"]
NAMES: tuple[Name, ...] = ("importance", "annealed", "smc", "bidirectional", "filter")
BY_GRADIENTS: tuple[Name, ...] = ("annealed", "smc", "bidirectional")
BLOCK = 25  # examples at a time, and between two saves
_MAX_ROUNDS = 64
# SMC has this many particles for each chain of AIS, with as many times fewer temperatures: the cost
# is the same.
_SMC_PARTICLES = 8


@dataclasses.dataclass(frozen=True)
class LogLikelihood:
    """How log p(x) is estimated."""

    estimator: Literal["importance", "annealed", "smc", "bidirectional", "filter", "all"] = (
        "annealed"
    )
    """importance: K draws of q. annealed: annealed importance sampling (AIS). smc: sequential
    Monte Carlo. bidirectional: a lower and an upper bound, on data simulated from the model.
    filter: particle filters, for state-space models. all: every one that the model allows."""
    split: Literal["train", "validation", "test"] | None = None
    """Split to measure, by default test; bidirectional simulates its own examples."""
    examples: int = 100
    """Number of examples, from the first."""
    num_samples: int = 10_000
    """K, the number of draws of importance sampling."""
    defensive: float = 0.0
    """Share of draws that importance sampling takes from the prior in place of q."""
    num_chains: int = 16
    """Chains of AIS, and of each direction of bidirectional; SMC has 8 times as many particles."""
    num_temperatures: int = 500
    """Temperatures of AIS and bidirectional; SMC has one eighth of them."""
    num_leapfrog: int = 5
    """Gradient evaluations in one HMC transition."""
    start: Literal["posterior", "prior", "both"] = "posterior"
    """Where chains start: at q(z | x), at p(z), or as many chains at each, to compare (AIS
    only)."""
    schedule: Schedule = "adaptive"
    """How the temperatures are placed between 0 and 1."""
    num_particles: int = 1000
    """Particles of each particle filter. (SMC has 8 times num_chains particles.)"""
    num_filters: int = 10
    """Number of independent particle filters; their spread gives the standard error."""
    proposal: Literal["posterior", "prior"] = "posterior"
    """How particles move: by the steps of q(z | x), or by those of the model (a bootstrap
    filter)."""
    budget: int | None = None
    """Stop before this many evaluations of the decoder's gradient (for importance, of the
    decoder)."""
    minutes: float | None = None
    """Stop after this many minutes and keep the results; the same command resumes."""
    target_std_error: float | None = None
    """Average more estimates of an example until its standard error, in nats, is at most this."""
    seed: int = 0
    """Seed of the estimators' noise."""
    float64: bool = False
    """Whether to compute everything in double precision."""

    def __post_init__(self):
        counts = ("examples", "num_samples", "num_chains", "num_leapfrog", "num_temperatures")
        counts += ("num_particles", "num_filters")
        require_least(self, **dict.fromkeys(counts, 1), seed=0)
        share = self.defensive
        require(0 <= share < 1, "defensive", "at least 0 and below 1", share)
        for name in ("budget", "minutes", "target_std_error"):
            value = getattr(self, name)
            require(value is None or value > 0, name, "above 0", value)
        if self.estimator == "bidirectional" and self.split is not None:
            raise SettingError(
                "bidirectional Monte Carlo needs exact draws of z given x, which exist only for "
                f"data simulated from the model; for {self.split} examples it would not be a "
                "bound: give no split, or estimator annealed",
                "split",
                "estimator",
            )
        if self.estimator in ("bidirectional", "smc") and self.start == "both":
            raise SettingError(
                f"start both is for estimator annealed; got {self.estimator}: give start posterior "
                "or prior",
                "start",
            )

    def names(self, state_space: bool = False, real: bool = True) -> tuple[Name, ...]:
        """The estimators to use. `all` leaves out particle filters unless the model is a
        state-space model, and those that use gradients of z unless z has real numbers."""
        if self.estimator != "all":
            return (self.estimator,)
        left_out = () if real else BY_GRADIENTS
        left_out += () if state_space else ("filter",)
        return tuple(name for name in NAMES if name not in left_out)

    def settings_of(self, name: Name) -> dict[str, Any]:
        """The settings of one estimator that change an example's estimate: its protocol."""
        annealed = ("num_chains", "num_temperatures", "num_leapfrog", "schedule", "start")
        fields = {
            "importance": ("num_samples", "defensive"),
            "annealed": annealed,
            "smc": ("num_leapfrog", "schedule", "start"),
            "bidirectional": annealed,
            "filter": ("num_particles", "num_filters", "proposal"),
        }[name]
        common = ("target_std_error", "seed", "float64")
        chosen = {field: getattr(self, field) for field in (*fields, *common)}
        if name == "smc":
            chosen["num_particles"] = _SMC_PARTICLES * self.num_chains
            chosen["num_temperatures"] = max(self.num_temperatures // _SMC_PARTICLES, 2)
        if name in ("smc", "bidirectional") and self.start == "both":
            chosen["start"] = "posterior"
        if name == "bidirectional":  # it has two errors; neither alone says when to stop
            chosen["target_std_error"] = None
        chosen["split"] = "simulated" if name == "bidirectional" else self.split or "test"
        return chosen


def cost(name: Name, settings: dict[str, Any]) -> int:
    """The number of evaluations for one estimate of one example."""
    if name == "importance":
        return settings["num_samples"]
    if name == "filter":
        return settings["num_particles"] * settings["num_filters"]
    temperatures, leapfrog = settings["num_temperatures"], settings["num_leapfrog"]
    if name == "smc":
        particles = settings["num_particles"]
        pilot = min(particles, PILOT_PARTICLES)
        return evaluations(particles, temperatures, leapfrog, pilot_chains=pilot)
    annealings = 2 if name == "bidirectional" else 1
    starts = 2 if settings["start"] == "both" else 1
    chains = settings["num_chains"]
    spent = starts * evaluations(chains, temperatures, leapfrog, annealings=annealings)
    if name == "annealed" and settings["start"] == "posterior":
        spent += evaluations(*check_size(chains, temperatures), leapfrog)
    return spent


def log_likelihood(run: Run, settings: LogLikelihood) -> list[Part]:
    """The parts, one for each estimator, with arrays of each example: the fields of `ml.Estimate`
    in nats, its diagnostics, and `rounds`, the number of estimates that were averaged."""
    run = run.in_float64() if settings.float64 else run
    examples = run.examples(settings.split or "test", settings.examples)
    if settings.float64:
        examples = jax.tree.map(_float64, examples)

    def part(name):
        chosen = settings.settings_of(name)
        key = run.stream(LOG_LIKELIHOOD + NAMES.index(name), settings.seed)
        blocks = functools.partial(estimate_blocks, key, run, examples, name, chosen)
        return Part(name, chosen, settings.examples, blocks, rows_in)

    return [part(name) for name in names_of(run, settings)]


def summarize_log_likelihood(
    run: Run, settings: LogLikelihood, arrays: dict[str, Arrays]
) -> dict[str, Any]:
    """The summary: for each estimator `ml.Estimates.summary` and its protocol."""
    summary: dict[str, Any] = {}
    frames = _frames(run, settings) if run.data.is_sequence else None
    exact = exact_reason(run, rows_of(run.examples(settings.split or "test", 1), 0))
    for name in names_of(run, settings):
        if name not in arrays:
            continue
        rows = {field: values[: settings.examples] for field, values in arrays[name].items()}
        chosen = settings.settings_of(name)
        estimates = ml.Estimates(**_split(rows), method=name)
        summary[name] = estimates.summary() | {
            "settings": chosen,
            "evaluations_per_estimate": cost(name, chosen),
            "target_missed": _missed(rows, chosen["target_std_error"]),
            "exact": exact,
        }
        if frames is not None and name != "bidirectional":
            summary[name]["per_frame"] = _per_frame(estimates, frames)
    return summary


def _frames(run: Run, settings: LogLikelihood) -> Int[np.ndarray, " examples"]:
    """The number of frames of each sequence that exist and are not missing."""
    examples = run.examples(settings.split or "test", settings.examples)
    return np.asarray(jax.vmap(count_frames)(*examples)["frames"])


def _per_frame(estimates: ml.Estimates, frames: np.ndarray) -> dict[str, Any]:
    """Total nats / total frames, over the sequences with a finite estimate."""
    frames = frames[: len(estimates.value)]
    kept = np.isfinite(estimates.value)
    return mean_and_errors(estimates.value[kept], estimates.std_error[kept], frames[kept])


def names_of(run: Run, settings: LogLikelihood) -> tuple[Name, ...]:
    """The estimators to use for this run."""
    return settings.names(is_state_space(run), has_real_latent(run))


def _missed(arrays: Arrays, target: float | None) -> list[int]:
    """The indices of examples whose standard error is above the target."""
    return [] if target is None else np.flatnonzero(~(arrays["std_error"] <= target)).tolist()


def _undefined(run: Run, settings: LogLikelihood) -> str | None:
    if run.kind == "no latent variable":
        return "its log p(x) is exact: use vaejax evaluate, which prints it"
    if run.kind == "point mass":
        return (
            "it is an autoencoder: its q is a point mass, which has no density, and it has no "
            "p(z), so it has no p(x); digits_vae and mnist_vae have both"
        )
    if settings.estimator == "filter" and not is_state_space(run):
        return (
            "estimator filter is for state-space models of sequences; this run's model is not one: "
            "use estimator importance or annealed"
        )
    if settings.estimator in BY_GRADIENTS and not has_real_latent(run):
        others = "importance or filter" if is_state_space(run) else "importance"
        raise SettingError(
            f"estimator {settings.estimator} moves z by gradients, but this run's z has whole "
            f"numbers: give estimator {others}",
            "estimator",
        )
    if "filter" in names_of(run, settings) and settings.proposal == "posterior":
        if not moves_in_steps(run):
            raise SettingError(
                "proposal posterior moves particles by the steps of a Markov chain, but this "
                "run's q(z | x) is not one: give proposal prior",
                "proposal",
            )
    check_examples(run.dataset, settings.split or "test", settings.examples)
    return None


def _float64(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(np.float64) if np.issubdtype(leaf.dtype, np.floating) else leaf


def estimate_blocks(
    key: Key,
    run: Run,
    examples: Example,
    name: Name,
    settings: dict[str, Any],
    found: Arrays,
    may_spend: MaySpend,
) -> Iterator[Arrays]:
    """Yield the arrays of all examples measured so far, after each BLOCK of examples.

    Before each round it asks `may_spend(number of evaluations)`; if refused, it yields the arrays
    so far and ends. `bidirectional` uses only the number of examples and their conditions.

    Example i and round r use fold_in(fold_in(key, i), r). With a `target_std_error` each example
    stops by its own error, after at most 64 rounds. Examples with a low error by chance stop
    early, so the stated errors are slightly too low. Diagnostics that `ml.estimate.combine` does
    not average are those of the first round.
    """

    def one(shared, index, example):
        key, params, round_index = shared
        one_key = jax.random.fold_in(jax.random.fold_in(key, index), round_index)
        if name == "bidirectional":
            data_key, chain_key = jax.random.split(jax.random.fold_in(key, index))
            joint = run.generative.joint(params.generative, example.given)
            z, x = joint.sample(data_key)
            example = example._replace(x=x)
            one_key = jax.random.fold_in(chain_key, round_index)
        joint, q, x = bind(run.generative, run.inference, params, example)
        if name == "filter":
            steps = q if settings["proposal"] == "posterior" else None
            chosen = {field: settings[field] for field in ("num_particles", "num_filters")}
            return ml.particle_filter(one_key, joint, x, steps, **chosen)
        if name == "importance":
            chosen = {field: settings[field] for field in ("num_samples", "defensive")}
            return ml.importance_sampling(one_key, joint, x, q, **chosen)
        fields = ("num_temperatures", "num_leapfrog", "schedule")
        chosen = {field: settings[field] for field in fields}
        if name == "annealed":
            chosen |= {"num_chains": settings["num_chains"], "start": settings["start"]}
            return ml.annealed_importance_sampling(one_key, joint, x, q, **chosen)
        start = q if settings["start"] == "posterior" else None
        if name == "smc":
            chosen["num_particles"] = settings["num_particles"]
            return ml.sequential_monte_carlo(one_key, joint, x, start, **chosen)
        chosen["num_chains"] = settings["num_chains"]
        return ml.sandwich(one_key, joint, z, x, start, **chosen)

    count = num_rows(examples)
    run_block = over_examples(one, min(BLOCK, count))
    again = jax.jit(combine)
    target = settings["target_std_error"] or np.inf

    def unfinished(arrays, begin):
        """The indices, from `begin` on, of examples whose error is above the target."""
        waits = (arrays["std_error"] > target) & (arrays["rounds"] < _MAX_ROUNDS)
        return begin + np.flatnonzero(waits[begin:])

    def estimate(indices, round_index):
        shared = key, run.params, np.int32(round_index)
        return run_block(shared, indices, rows_of(examples, indices))

    done = rows_in(found)
    begin = max(done - 1, 0) // BLOCK * BLOCK
    while begin < count:
        end = min(begin + BLOCK, count)
        fresh = np.arange(max(begin, done), end)
        if len(fresh):
            if not may_spend(len(fresh) * cost(name, settings)):
                break
            block = _fields(estimate(fresh, 0)) | {"rounds": np.ones(len(fresh), np.int32)}
            found = appended(found, block)
        while len(more := unfinished(found, begin)[:BLOCK]):
            if not may_spend(len(more) * cost(name, settings)):
                yield found
                return
            # These examples have had equally many rounds, unless a stop came between.
            more = more[found["rounds"][more] == found["rounds"][more].min()]
            old = ml.Estimate(**_split({field: values[more] for field, values in found.items()}))
            new = estimate(more, found["rounds"][more[0]])
            better = _fields(again(old, new, found["rounds"][more].astype(np.float32)))
            for field, values in better.items():
                found[field][more] = values
            found["rounds"][more] += 1
        yield found
        begin = end


_ESTIMATE = ("value", "std_error", "ess", "khat")


def _fields(estimate: ml.Estimate) -> dict[str, np.ndarray]:
    own = {field: np.array(getattr(estimate, field)) for field in _ESTIMATE}
    return own | {name: np.array(values) for name, values in estimate.diagnostics.items()}


def _split(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The arguments of `ml.Estimate` or `ml.Estimates`."""
    others = {k: v for k, v in arrays.items() if k not in (*_ESTIMATE, "rounds")}
    return {field: arrays[field] for field in _ESTIMATE} | {"diagnostics": others}


LOG_LIKELIHOOD_MEASUREMENT = Measurement(
    name="log_likelihood",
    version=3,
    settings=LogLikelihood,
    undefined=_undefined,
    parts=log_likelihood,
    summarize=summarize_log_likelihood,
    section=log_likelihood_section,
)
