"""log p(x) of a model's examples by each estimator, in blocks: stop at any time, go on later."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from typing import Any, Literal

import jax
import numpy as np

from vaejax import marginal_likelihood as ml
from vaejax.errors import UserError
from vaejax.marginal_likelihood.estimate import combine
from vaejax.marginal_likelihood.schedule import Schedule, evaluations
from vaejax.marginal_likelihood.sequential_monte_carlo import PILOT_PARTICLES
from vaejax.sharding import over_examples
from vaejax.types import GenerativeModel, InferenceNetwork, Key, Params

Name = Literal["importance", "annealed", "smc", "bidirectional"]
NAMES: tuple[Name, ...] = ("importance", "annealed", "smc", "bidirectional")
BLOCK = 25  # examples at a time, and between two savings
_MAX_ROUNDS = 64
_SMC_PARTICLES = 8  # a chain of AIS, each along as many times fewer temperatures: the same cost


@dataclasses.dataclass(frozen=True)
class LogLikelihood:
    """How log p(x) is estimated."""

    estimator: Literal["importance", "annealed", "smc", "bidirectional", "all"] = "annealed"
    """importance: K draws of q; annealed: AIS; smc; bidirectional: two bounds, simulated data."""
    split: Literal["train", "validation", "test"] | None = None
    """Which examples, test unless given; bidirectional simulates its own."""
    examples: int = 100
    """How many, from the first."""
    num_samples: int = 10_000
    """K of importance sampling."""
    defensive: float = 0.0
    """Share of the prior in importance sampling's proposal."""
    num_chains: int = 16
    """Chains of AIS and of each direction of bidirectional; SMC has 8 times as many particles."""
    num_temperatures: int = 500
    """Temperatures of AIS and bidirectional; SMC has an eighth."""
    num_leapfrog: int = 5
    """Gradient evaluations of one HMC transition."""
    start: Literal["posterior", "prior", "both"] = "posterior"
    """Where the chains start: q(z | x), p(z), or as many at each, compared (AIS alone)."""
    schedule: Schedule = "adaptive"
    """How temperatures are placed."""
    budget: int | None = None
    """Stop before this many evaluations (of decoder gradients; of the decoder for importance)."""
    minutes: float | None = None
    """Stop after so much time, with what there is; the same command goes on."""
    target_std_error: float | None = None
    """Repeat an example's estimate, and average, until its standard error is at most this."""
    seed: int = 0
    """Of the estimators' noise."""
    float64: bool = False
    """Double precision throughout."""

    def __post_init__(self):
        counts = ("examples", "num_samples", "num_chains", "num_leapfrog", "num_temperatures")
        for name, least in (*((name, 1) for name in counts), ("seed", 0)):
            if getattr(self, name) < least:
                option = name.replace("_", "-")
                raise UserError(f"--{option} must be at least {least}; got {getattr(self, name)}")
        if not 0 <= self.defensive < 1:
            raise UserError(f"--defensive must be at least 0 and below 1; got {self.defensive}")
        for name in ("budget", "minutes", "target_std_error"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                option = name.replace("_", "-")
                raise UserError(f"--{option} must be above 0; got {value}")
        if self.estimator == "bidirectional" and self.split is not None:
            raise UserError(
                "bidirectional Monte Carlo needs exact draws of z given x, which only data "
                f"simulated from the model has: on the {self.split} split it would be no bound; "
                "leave --split away, or take --estimator annealed"
            )
        if self.estimator == "bidirectional" and self.start == "both":
            raise UserError("bidirectional starts at one place: --start posterior or prior")

    def names(self) -> tuple[Name, ...]:
        return NAMES if self.estimator == "all" else (self.estimator,)

    def settings_of(self, name: Name) -> dict[str, Any]:
        """Whatever changes one example's number: the protocol of one estimator."""
        annealed = ("num_chains", "num_temperatures", "num_leapfrog", "schedule", "start")
        fields = {
            "importance": ("num_samples", "defensive"),
            "annealed": annealed,
            "smc": ("num_leapfrog", "schedule", "start"),
            "bidirectional": annealed,
        }[name]
        common = ("target_std_error", "seed", "float64")
        chosen = {field: getattr(self, field) for field in (*fields, *common)}
        if name == "smc":
            chosen["num_particles"] = _SMC_PARTICLES * self.num_chains
            chosen["num_temperatures"] = max(self.num_temperatures // _SMC_PARTICLES, 2)
        if name in ("smc", "bidirectional") and self.start == "both":
            chosen["start"] = "posterior"
        if name == "bidirectional":  # two errors: neither alone says when to stop
            chosen["target_std_error"] = None
        chosen["split"] = "simulated" if name == "bidirectional" else self.split or "test"
        return chosen


def identity(settings: dict[str, Any], name: Name, step: int) -> str:
    """A file's stem: the estimator, and eight digits that change with its numbers."""
    content = json.dumps([name, step, settings], sort_keys=True)
    return f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def cost(name: Name, settings: dict[str, Any]) -> int:
    """Evaluations for one estimate of one example."""
    if name == "importance":
        return settings["num_samples"]
    temperatures, leapfrog = settings["num_temperatures"], settings["num_leapfrog"]
    if name == "smc":
        particles = settings["num_particles"]
        pilot = min(particles, PILOT_PARTICLES)
        return evaluations(particles, temperatures, leapfrog, pilot_chains=pilot)
    annealings = 2 if name == "bidirectional" else 1
    starts = 2 if settings["start"] == "both" else 1
    chains = settings["num_chains"]
    return starts * evaluations(chains, temperatures, leapfrog, annealings=annealings)


def estimate_blocks(
    key: Key,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    params: Params,
    xs: np.ndarray,
    name: Name,
    settings: dict[str, Any],
    *,
    first: int = 0,
) -> Iterator[dict[str, np.ndarray]]:
    """Per-example arrays of xs[first:], BLOCK examples at a time: the fields of `ml.Estimate`, its
    diagnostics, and `rounds`, how many estimates were averaged. `bidirectional` uses of xs only
    how many they are.

    Example i and round r use fold_in(fold_in(key, i), r). With a `target_std_error` each example
    stops by its own error, 64 rounds at most: errors met by luck stop early, so those stated are
    then low by a little.
    """

    def one(shared, index, x):
        params, round_index = shared
        one_key = jax.random.fold_in(jax.random.fold_in(key, index), round_index)
        joint = generative.joint(params.generative)
        if name == "bidirectional":
            data_key, chain_key = jax.random.split(jax.random.fold_in(key, index))
            z, x = joint.sample(data_key)
            one_key = jax.random.fold_in(chain_key, round_index)
        q = inference.posterior(params.inference, x, joint.prior)
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

    run = over_examples(one, min(BLOCK, len(xs)))
    again = jax.jit(combine)
    for start in range(first, len(xs), BLOCK):
        indices = np.arange(start, min(start + BLOCK, len(xs)))
        found = jax.tree.map(np.array, run((params, np.int32(0)), indices, xs[indices]))
        rounds = np.ones(len(indices), np.int32)
        target = settings["target_std_error"]
        while target is not None:
            more = np.flatnonzero((found.std_error > target) & (rounds < _MAX_ROUNDS))
            if len(more) == 0:
                break
            part = jax.tree.map(lambda leaf, more=more: leaf[more], found)
            new = run((params, rounds[more[0]]), indices[more], xs[indices[more]])
            for old, better in zip(found[:4], again(part, new, rounds[more])[:4], strict=True):
                old[more] = better
            rounds[more] += 1
        arrays = {field: getattr(found, field) for field in ("value", "std_error", "ess", "khat")}
        yield arrays | found.diagnostics | {"rounds": rounds}


def estimates_of(arrays: dict[str, np.ndarray], name: str) -> ml.Estimates:
    """What `estimate_blocks` gave, block after block, as `ml.Estimates`."""
    fields = {field: arrays[field] for field in ("value", "std_error", "ess", "khat")}
    diagnostics = {field: values for field, values in arrays.items() if field not in fields}
    return ml.Estimates(**fields, diagnostics=diagnostics, method=name)
