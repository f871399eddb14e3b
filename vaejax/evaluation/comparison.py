"""The measurements of one trained model for a comparison: the same for every model."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np

from vaejax.distributions import structure_of
from vaejax.errors import SettingError, require_least
from vaejax.evaluation.chain import denoising_chain
from vaejax.evaluation.features import Features
from vaejax.evaluation.fitted_log_likelihood import fitted_log_likelihood
from vaejax.evaluation.gap_arithmetic import flags
from vaejax.evaluation.generators import EX_POST, Generator, encode, generators_of
from vaejax.evaluation.linear_probe import linear_probe
from vaejax.evaluation.mixing import mixing
from vaejax.evaluation.modes import interpolations, posterior_predictive
from vaejax.evaluation.run import Run
from vaejax.evaluation.sample_quality import sample_quality
from vaejax.evaluation.summary import mean_and_errors
from vaejax.sharding import map_examples
from vaejax.types import Key, bind, rows_of

_VERSION = 3  # of the results of `measure_model`
_PROBE = 10_000  # most training codes to which a probe is fitted
_MIXING_CHAINS = 50
_SHOWN = 8  # rows of a picture


@dataclasses.dataclass(frozen=True)
class Compare:
    """How models are measured for a comparison; the same for every model."""

    examples: int = 100
    """Number of test examples for log p(x), from the first."""
    samples: int = 1000
    """Number of draws of x from each model, compared with as many test examples (at most all)."""
    num_chains: int = 16
    """Chains of annealed importance sampling, for every model with a z."""
    num_temperatures: int = 500
    """Temperatures of annealed importance sampling; with few, missed modes go unnoticed."""
    chain_steps: int = 200
    """Steps of a denoising autoencoder's chain; the x of the last step is the draw."""
    ex_post: tuple[Literal["gaussian", "mixture", "flow"], ...] = EX_POST
    """Densities that are fitted to the codes of each model and used as p(z).
    This is done if one of the models is an autoencoder, which has no p(z)."""
    seed: int = 0
    """Seed of the classifier, the probe and the error estimates."""

    def __post_init__(self):
        require_least(
            self, examples=2, samples=20, num_chains=2, num_temperatures=1, chain_steps=20, seed=0
        )
        if len(set(self.ex_post)) != len(self.ex_post):
            raise SettingError(
                f"ex_post expects each density once; got {' '.join(self.ex_post)}", "ex_post"
            )

    def identity(self, step: int) -> str:
        """A hash of everything that changes the measurement: eight hex digits."""
        content = dataclasses.asdict(self) | {"step": step, "version": _VERSION}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def measure_model(
    key: Key,
    run: Run,
    features: Features,
    settings: Compare,
    *,
    progress: Callable[[str], None] = lambda what: None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Measure one trained run; returns (arrays, summary).

    Arrays: `<generator>/samples` and `<generator>/means`, 64 of each; for a generator with a
    density `<generator>/log_p` and `<generator>/log_p_std_error` in nats for each test example;
    pictures of the other modes of generation. Summary: the parts of the model, how x is drawn, and
    every number with its error.
    """
    kind = run.kind
    generator_key, mode_key, test_key, train_key = jax.random.split(key, 4)
    arrays: dict[str, np.ndarray] = {}
    summary: dict[str, Any] = {"kind": kind, "parts": parts_of(run), "parameters": size_of(run)}
    test, labels = run.examples("test"), run.dataset.labels
    count = min(settings.samples, len(test.x))
    reference = features.apply(rows_of(test, slice(count)).x)
    codes = None
    if kind != "no latent variable":
        progress("codes")
        found = encode(test_key, run, test)
        codes = found["code"]
        for name in ("squared_error", "reconstruction"):
            if name in found:
                summary[name] = mean_and_errors(found[name])
        if {"train", "test"} <= labels.keys():
            train = encode(train_key, run, run.examples("train", _PROBE))["code"]
            summary["probe"] = linear_probe(
                train.reshape(len(train), -1),
                labels["train"][: len(train)],
                codes.reshape(len(codes), -1),
                labels["test"],
                seed=settings.seed,
            )
    summary["generators"] = {}
    ways = generators_of(
        generator_key, run, kinds=settings.ex_post, chain_steps=settings.chain_steps
    )
    for index, way in enumerate(ways):
        progress(way.name)
        draw_key, log_p_key = jax.random.split(jax.random.fold_in(mode_key, index))
        means, samples = way.draw(draw_key, count)
        arrays[f"{way.name}/samples"] = samples[:64]
        if means is not None:
            arrays[f"{way.name}/means"] = means[:64]
        about: dict[str, Any] = {
            "how": way.how,
            "quality": sample_quality(reference, features.apply(samples), seed=settings.seed),
            "log_p": {"kind": "not defined", "reason": way.reason},
        }
        if way.density is not None:
            log_p, about["log_p"] = _log_p(log_p_key, run, way, codes, settings)
            for name, values in log_p.items():
                arrays[f"{way.name}/{name}"] = values
        if way.name == "chain":
            chain_key = jax.random.fold_in(log_p_key, 1)
            chain, about["mixing"] = _mixing(chain_key, run, features, settings)
            arrays["chain/along"] = chain
        summary["generators"][way.name] = about
    progress("pictures")
    predictive_key = jax.random.fold_in(mode_key, len(ways))
    shown = rows_of(test, slice(_SHOWN))
    arrays["predictive/originals"] = shown.x
    draws = posterior_predictive(predictive_key, run, shown, _SHOWN)
    if draws is not None:
        arrays["predictive/draws"] = draws
    if kind != "no latent variable":
        even = rows_of(test, slice(2 * (len(shown.x) // 2)))
        pairs = jax.tree.map(lambda leaf: leaf.reshape(-1, 2, *leaf.shape[1:]), even)
        line_key = jax.random.fold_in(mode_key, len(ways) + 1)
        arrays["interpolation"] = interpolations(line_key, run, pairs)
    return arrays, summary


def values_themselves() -> Features:
    """The values of x in place of a classifier's features, for data without labels."""

    def apply(xs):
        return np.asarray(xs, np.float32).reshape(len(xs), -1)

    def predict(xs):
        return np.zeros(len(xs), int)

    description = "the values of x themselves (there are no labels to train a classifier)"
    return Features(apply, predict, float("nan"), float("nan"), description)


def reference_line(
    train: np.ndarray, test: np.ndarray, features: Features, settings: Compare
) -> dict[str, Any]:
    """`sample_quality` of real x, as a reference: training examples in place of draws, against the
    same test examples. The features were trained on them."""
    count = min(settings.samples, len(test))
    reference, real = features.apply(test[:count]), features.apply(train[:count])
    return sample_quality(reference, real, seed=settings.seed)


def parts_of(run: Run) -> dict[str, str]:
    """The p(x, z), p(z), p(x | z) and q(z | x) of a model, in words."""
    if run.kind == "no latent variable":
        none = "no z"
        return {"p(x, z)": "p(x) alone", "p(z)": none, "p(x|z)": none, "q(z|x)": none}
    example = rows_of(run.examples("test", 1), 0)
    joint, q, _ = bind(run.generative, run.inference, run.params, example)
    z = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), structure_of(q))
    prior, likelihood, name = (type(p).__name__ for p in (joint.prior, joint.likelihood(z), q))
    if run.kind == "point mass":
        return {"p(x, z)": "no", "p(z)": "none", "p(x|z)": likelihood, "q(z|x)": "point mass"}
    return {"p(x, z)": "yes", "p(z)": prior, "p(x|z)": likelihood, "q(z|x)": name}


def size_of(run: Run) -> dict[str, int]:
    """The number of parameters of each part of a model."""
    return {
        name: sum(leaf.size for leaf in jax.tree.leaves(part))
        for name, part in run.params._asdict().items()
    }


def _log_p(
    key: Key, run: Run, way: Generator, codes: np.ndarray | None, settings: Compare
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """log p(x) of the first test examples: exact without a z, else by annealing."""
    examples = run.examples("test", settings.examples)
    density = way.density
    assert density is not None
    if run.kind == "no latent variable":

        def exact(theta, index, example):
            return density.joint(theta, example.given).log_prob(example.x, ())

        log_p = map_examples(exact, way.theta, examples)
        return {"log_p": log_p}, {"kind": "exact", **mean_and_errors(log_p)}
    assert codes is not None
    found = fitted_log_likelihood(
        key,
        density,
        way.theta,
        codes[: settings.examples],
        examples,
        num_chains=settings.num_chains,
        num_temperatures=settings.num_temperatures,
    )
    about = {
        "kind": "estimated",
        **mean_and_errors(found["log_p"], found["log_p_std_error"]),
        "importance": mean_and_errors(found["importance"], found["importance_std_error"]),
        "not_finite": np.flatnonzero(~np.isfinite(found["log_p"])).tolist(),
        "not_converged": int(np.sum(~found["fit_converged"])),
        "diverged": int(np.sum(found["fit_diverged"])),
        "flags": flags(found),
    }
    return {name: found[name] for name in ("log_p", "log_p_std_error")}, about


def _mixing(
    key: Key, run: Run, features: Features, settings: Compare
) -> tuple[np.ndarray, dict[str, Any]]:
    """(steps of a few chains to show, how fast the chains forget their start)."""
    assert run.corrupt is not None
    starts: Any = run.examples("train", _MIXING_CHAINS).x
    _, samples = denoising_chain(
        key,
        run.generative,
        run.inference,
        run.corrupt,
        run.params,
        starts,
        num_steps=5 * settings.chain_steps,
    )
    samples = np.asarray(samples)
    flat = samples.reshape(-1, *samples.shape[2:])
    along = features.apply(flat).reshape(*samples.shape[:2], -1)
    labels = features.predict(flat).reshape(samples.shape[:2])
    shown = np.concatenate([starts[None, :_SHOWN], samples[:15, :_SHOWN]])
    return shown, mixing(along, labels)
