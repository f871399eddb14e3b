"""The true posterior of a two-dimensional z on a grid, the encoder's q, and each family's best
q."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.distributions import structure_of
from vaejax.errors import SettingError, require, require_least
from vaejax.evaluation.gaps import check_families, start_of
from vaejax.evaluation.measurement import Arrays, Measurement, Part, at_once
from vaejax.evaluation.posterior_section import posterior_section
from vaejax.evaluation.run import Run, has_real_latent
from vaejax.evaluation.streams import POSTERIOR
from vaejax.inference import FAMILIES, fit_variational
from vaejax.types import Distribution, Example, bind, rows_of

_SIDE = 201
_NEGLIGIBLE = 12.0  # nats below the maximum of the posterior: the picture may leave this out
_BATCH = 2000


@dataclasses.dataclass(frozen=True)
class Posterior:
    """Which posterior is drawn, and with which families; for models with a two-dimensional z."""

    example: int = 0
    """Index of the example in its split."""
    split: Literal["train", "validation", "test"] = "test"
    """Split of the example."""
    families: tuple[str, ...] = ("diagonal", "full", "mixture")
    """Families of q; the best q of each is fitted: diagonal, full, mixture, flow, ..."""
    max_steps: int = 2000
    """Largest number of Adam steps, a multiple of 100."""
    seed: int = 0
    """Seed of the draws."""

    def __post_init__(self):
        require_least(self, example=0, max_steps=100, seed=0)
        require(self.max_steps % 100 == 0, "max_steps", "a multiple of 100", self.max_steps)
        if len(set(self.families)) != len(self.families):
            raise SettingError("families expects each family once", "families")
        check_families(self.families)


def _undefined(run: Run, settings: Posterior) -> str | None:
    if run.kind == "no latent variable":
        return "the model has no latent variable, so there is no posterior p(z | x)"
    if run.kind == "point mass":
        return (
            "it is an autoencoder: its q is a point mass, and it has no p(z), so there is no "
            "posterior p(z | x)"
        )
    if run.data.is_sequence:
        other = "gaps measures q(z | x) of sequences"
        if not has_real_latent(run):
            other = "log-likelihood by importance sampling or filters bounds the gap of its ELBO"
        return (
            "the picture shows one two-dimensional z, but its z has a state for every frame: "
            f"vaejax {other}"
        )
    present = len(getattr(run.dataset, settings.split))
    if settings.example >= present:
        raise SettingError(
            f"example must be from 0 to {present - 1} in the {settings.split} split; got "
            f"{settings.example}",
            "example",
        )
    example = _example(run, settings)
    shapes = [leaf.shape for leaf in jax.tree.leaves(structure_of(run.joint(example.given).prior))]
    if shapes != [(2,)]:
        raise SettingError(
            f"the picture shows a two-dimensional z; this run's z has shapes {shapes}: train a "
            "model with model.latent_dim 2",
            "model.latent_dim",
        )
    return None


def _example(run: Run, settings: Posterior) -> Example:
    examples = run.examples(settings.split, settings.example + 1)
    return rows_of(examples, settings.example)


def posterior(run: Run, settings: Posterior) -> list[Part]:
    """The part with the arrays of `measure_posterior`."""
    identity = dataclasses.asdict(settings)
    return [at_once("posterior", identity, lambda: measure_posterior(run, settings))]


def _summarize(run: Run, settings: Posterior, arrays: dict[str, Arrays]) -> dict[str, Any]:
    found = arrays["posterior"]
    fields = ("gap", "mass", "converged", "diverged")
    qs = {
        name: {f: found[f"{name}_{f}"].item() for f in fields if f"{name}_{f}" in found}
        for name in ("amortized", *settings.families)
    }
    return {"log_p": found["log_p"].item(), "qs": qs}


def measure_posterior(run: Run, settings: Posterior) -> Arrays:
    """Arrays of one x, for a model with z of shape (2,).

    `x`; `first` and `second`, the points of the grid along each axis; `posterior`, log p(z | x) on
    the grid; and the log density of each q: `amortized`, the encoder's, and one for each family.
    `log_p`, in nats: the log of the sum of p(x, z) over the grid times the area of a cell, a
    quadrature that is exact except for its step. For each q: `<q>_gap` = KL(q || p(z | x)) in nats
    by the same quadrature, and `<q>_mass`, the mass of q on the grid; for a family also
    `<q>_converged` and `<q>_diverged`.
    """
    generative, inference = run.generative, run.inference
    key, example = run.stream(POSTERIOR, settings.seed), _example(run, settings)

    # Parameters and x are arguments of the compiled functions, so other values do not recompile.
    def qs(params, example, best) -> dict[str, Distribution]:
        """The encoder's q, and each family's at its best lambda."""
        _, q, _ = bind(generative, inference, params, example)
        fitted = {name: FAMILIES[name](2).distribution(best[name]) for name in settings.families}
        return {"amortized": q} | fitted

    @jax.jit
    def fit(key, params, example):
        """The best lambda and the trace of each family; draws of p(z) and of each q."""
        fits_key, draws_key = jax.random.split(key)
        joint, q, x = bind(generative, inference, params, example)
        best, traces = {}, {}
        for name in settings.families:
            chosen = FAMILIES[name](2)
            family_key = jax.random.fold_in(fits_key, list(FAMILIES).index(name))
            start_key, fit_key = jax.random.split(family_key)
            best[name], traces[name] = fit_variational(
                fit_key,
                chosen,
                joint,
                x,
                init=start_of(start_key, chosen, inference, params.inference, q, example),
                num_samples=8,
                max_steps=settings.max_steps,
            )
        drawn = [joint.prior, *qs(params, example, best).values()]
        keys = jax.random.split(draws_key, len(drawn))
        draws = [p.sample(seed=k, sample_shape=1000) for k, p in zip(keys, drawn, strict=True)]
        return best, traces, draws

    @jax.jit
    def log_joint(places, params, example):
        joint, _, x = bind(generative, inference, params, example)
        return _at_each(lambda z: joint.log_prob(x, z), places)

    @jax.jit
    def log_qs(places, params, example, best):
        return {name: _at_each(q.log_prob, places) for name, q in qs(params, example, best).items()}

    with jax.default_matmul_precision("highest"):
        best, traces, (prior, *of_qs) = fit(key, run.params, example)
        coarse = _around(prior)
        first, second = _grid(coarse, log_joint(_places(*coarse), run.params, example), of_qs)
        cell = (first[1] - first[0]) * (second[1] - second[0])
        places = _places(first, second)
        density = _on_grid(log_joint(places, run.params, example))
        log_p = float(jax.nn.logsumexp(density) + np.log(cell))
        arrays = {"x": example.x, "first": first, "second": second, "log_p": np.asarray(log_p)}
        arrays["posterior"] = density - log_p
        densities = log_qs(places, run.params, example, best)
    for name in ("amortized", *settings.families):
        arrays[name] = log_q = _on_grid(densities[name])
        mass = np.exp(log_q) * cell
        arrays[f"{name}_gap"] = np.asarray(np.sum(mass * (log_q - arrays["posterior"])))
        arrays[f"{name}_mass"] = np.asarray(mass.sum())
    for name, trace in traces.items():
        arrays[f"{name}_converged"] = np.asarray(trace.converged)
        arrays[f"{name}_diverged"] = np.asarray(trace.diverged)
    return arrays


def _around(draws) -> list[np.ndarray]:
    """Points along both axes, within 5 standard deviations of the draws."""
    draws = np.asarray(draws)
    middle, half = draws.mean(axis=0), 5 * draws.std(axis=0)
    return [np.linspace(m - h, m + h, _SIDE) for m, h in zip(middle, half, strict=True)]


def _grid(coarse: list[np.ndarray], log_joint, draws: list) -> tuple[np.ndarray, np.ndarray]:
    """Points along both axes that cover the posterior, known on a coarse grid, and every q."""
    density = _on_grid(log_joint)
    high = np.argwhere(density > density.max() - _NEGLIGIBLE)
    places = [np.stack([coarse[0][high[:, 0]], coarse[1][high[:, 1]]], axis=1)]
    for of_q in map(np.asarray, draws):
        places += [of_q.mean(axis=0) + 5 * of_q.std(axis=0) * np.array([[-1.0], [1.0]])]
    corners = np.concatenate(places)
    step = np.array(
        [axis[1] - axis[0] for axis in coarse]
    )  # a peak may lie between two coarse points
    low, up = corners.min(axis=0) - step, corners.max(axis=0) + step
    return tuple(np.linspace(a, b, _SIDE) for a, b in zip(low, up, strict=True))  # type: ignore[return-value]


def _places(first: np.ndarray, second: np.ndarray):
    """All points (first[i], second[j])."""
    z = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    return jnp.asarray(z, jnp.float32)


def _at_each(log_density, places):
    return jax.lax.map(log_density, places, batch_size=_BATCH)


def _on_grid(values) -> np.ndarray:
    """Values at `_places` as a float64 matrix."""
    return np.asarray(values, np.float64).reshape(_SIDE, _SIDE)


POSTERIOR_MEASUREMENT = Measurement(
    name="posterior",
    version=3,
    settings=Posterior,
    undefined=_undefined,
    parts=posterior,
    summarize=_summarize,
    section=posterior_section,
)
