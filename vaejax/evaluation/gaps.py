"""The gaps of a trained run, in nats, example by example (Cremer et al. 2018): how far the bound is
below log p(x), because of the family of q and because of the encoder."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vaejax import inference as families
from vaejax.distributions import (
    Markov,
    WithInertSteps,
    has_mean,
    has_std,
    structure_of,
    with_inert_steps,
)
from vaejax.errors import SettingError, UserError, require, require_least
from vaejax.evaluation.exact_log_p import exact_log_p, exact_reason
from vaejax.evaluation.gap_arithmetic import (
    describe_choice,
    fit_summary,
    flags,
    mean_of,
    out_of_order,
    with_log_p,
)
from vaejax.evaluation.gaps_section import gaps_section
from vaejax.evaluation.measurement import Arrays, MaySpend, Measurement, Part, appended
from vaejax.evaluation.run import Run, check_examples, has_real_latent
from vaejax.evaluation.streams import GAPS
from vaejax.marginal_likelihood import annealed_importance_sampling, importance_sampling
from vaejax.marginal_likelihood.averages import mean_and_errors
from vaejax.marginal_likelihood.estimates import missed_by
from vaejax.objectives import maximum_a_posteriori
from vaejax.sharding import over_examples
from vaejax.types import (
    Distribution,
    Example,
    GenerativeModel,
    InferenceNetwork,
    Joint,
    Key,
    Observation,
    Params,
    VariationalFamily,
    bind,
    num_rows,
    rows_of,
)

BLOCK = 100  # examples at a time, and between two saves
SPLITS = ("train", "test")
Programs = Callable[[str, int], Callable[..., Any]]
_DRAWS_OF_CHAIN = 100
_BOUND = 2**32 - 2  # a stream of keys that the importance estimate does not use


@dataclasses.dataclass(frozen=True)
class Gaps:
    """How the gaps of a run are measured."""

    examples: int = 100
    """Number of examples of the train split and of the test split, from the first."""
    families: tuple[str, ...] = ("diagonal",)
    """Families of q; the best q of each is fitted: diagonal, full, mixture, flow, ..."""
    num_samples: int = 5000
    """Draws of the encoder's q, for its bound, and for log p(x) by importance sampling."""
    num_chains: int = 16
    """Chains of annealed importance sampling, which start at the encoder's q."""
    num_temperatures: int = 500
    """Temperatures of annealed importance sampling; with few, missed modes go unnoticed."""
    draws_per_step: int = 8
    """Draws of z in each step of Adam; with few draws, noise makes the best bounds too low."""
    max_steps: int = 2000
    """Largest number of Adam steps for each x and family, a multiple of 100."""
    num_bound_samples: int = 1000
    """Number of fresh draws of each optimized q, for its bound."""
    map: bool = False
    """For an autoencoder: compare its code with the z that maximizes log p(x, z)."""
    seed: int = 0
    """Seed of the draws."""

    def __post_init__(self):
        require_least(self, examples=1, num_chains=1, num_temperatures=1, draws_per_step=1, seed=0)
        require_least(self, num_samples=25, max_steps=100, num_bound_samples=2)
        require(self.max_steps % 100 == 0, "max_steps", "a multiple of 100", self.max_steps)
        if not self.families or len(set(self.families)) != len(self.families):
            raise SettingError("families expects one or more names, each once", "families")
        check_families(self.families)

    def parts(self) -> tuple[str, ...]:
        """The quantities that are measured of each example, in order."""
        return ("best",) if self.map else ("log_p", *self.families)

    def identity(self) -> dict[str, Any]:
        """The settings that change an example's numbers: not the number of examples, not the
        families."""
        rates = {name: make(2).learning_rate for name, make in families.FAMILIES.items()}
        settings = dataclasses.asdict(self) | {"learning_rates": rates}
        return {k: v for k, v in settings.items() if k not in ("examples", "families")}


def check_families(names: tuple[str, ...]) -> None:
    """Raise SettingError for a name that is not in the table of families."""
    for name in names:
        if name not in families.FAMILIES:
            raise SettingError(
                f"families must be some of {', '.join(families.FAMILIES)}; got {name}",
                "families",
            )


def family_over(name: str, joint: Joint) -> VariationalFamily:
    """The family of that name over this model's latent.

    Raises:
      ValueError: the latent is not one array of real numbers.
    """
    latent = structure_of(joint.prior)
    leaves = jax.tree.leaves(latent)
    if len(leaves) != 1 or not jnp.issubdtype(leaves[0].dtype, jnp.floating):
        raise ValueError(
            "the q families expect a z that is one array of real numbers; this model's z has "
            f"{len(leaves)} arrays, or whole numbers"
        )
    return families.FAMILIES[name](*leaves[0].shape)


def bind_whole(
    generative: GenerativeModel, inference: InferenceNetwork, params: Params, example: Example
) -> tuple[Joint, Distribution, Observation]:
    """`bind` for a q that is a density over all of z. For a padded sequence, p(z) and q(z | x) then
    also have a density for the steps beyond its length (`with_inert_steps`)."""
    joint, q, x = bind(generative, inference, params, example)
    return joint._replace(prior=with_inert_steps(joint.prior)), with_inert_steps(q), x


def own_family(inference: InferenceNetwork) -> str | None:
    """The name of the family of the encoder's q; None if it is not in the table of families."""
    name = None if inference.family is None else inference.family.name
    return name if name in families.FAMILIES else None


def start_of(
    key: Key, chosen: VariationalFamily, inference: InferenceNetwork, phi, q, example: Example
) -> Any:
    """The lambda at which a fit starts: the encoder's own if its q is of the chosen family; else a
    diagonal Gaussian with the encoder's mean and scale (for a chain, those of 100 draws); else, if
    these are not known, N(0, I). An encoder's numbers count as a family's only if their names and
    shapes do: a person's own family may share its name or theirs."""
    if inference.variational is not None and inference.family is not None:
        predicted = inference.variational(phi, example.x, example.given)
        shapes = _shapes(predicted)
        if inference.family.name == chosen.name and shapes == _shapes(chosen.init(key)):
            return predicted
        if isinstance(predicted, dict) and {"mean", "log_scale"} <= predicted.keys():
            if [shapes["mean"], shapes["log_scale"]] == 2 * [_shapes(structure_of(q))]:
                return chosen.start_at(key, predicted["mean"], jnp.exp(predicted["log_scale"]))
    if has_mean(q) and has_std(q):
        return chosen.start_at(key, q.mean(), q.stddev())  # type: ignore[attr-defined]
    if isinstance(q, Markov | WithInertSteps):
        draw_key, key = jax.random.split(key)
        draws = q.sample(seed=draw_key, sample_shape=(_DRAWS_OF_CHAIN,))
        return chosen.start_at(key, draws.mean(axis=0), draws.std(axis=0))
    return chosen.init(key)


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.shape, tree)


def measured(arrays: Mapping[str, np.ndarray], part: str) -> int:
    """The number of examples for which the arrays have a part: `log_p`, `best` or a family."""
    return len(arrays.get("amortized" if part == "log_p" else part, ()))


def gaps(run: Run, settings: Gaps) -> list[Part]:
    """The parts, one for each split, with arrays of each example in nats:

      `amortized`: the ELBO of the encoder's q;
      `log_p`, if it is exact; else `importance` and `annealed`: log p(x) by importance sampling and
        by AIS, both lower bounds in expectation;
      for each family `f`: `f`, the bound of its best q; `f_steps`, `f_converged`, `f_diverged`.

    Bounds and estimates have a `_std_error`. Fits start as in `start_of`. With `map`, `amortized`
    and `best` are log p(x, z) at the encoder's z and at the best z.
    """
    parts = []
    exact = not settings.map and exact_reason(run, rows_of(run.examples("test", 1), 0)) is not None
    programs = gap_programs(run.generative, run.inference, settings, estimated=not exact)
    log_p_of = functools.partial(exact_log_p, run) if exact else None

    def done(arrays):
        return sum(min(measured(arrays, p), settings.examples) for p in settings.parts())

    for index, split in enumerate(SPLITS):
        key = run.stream(GAPS + index, settings.seed)
        of_split = key, programs, run.params, run.examples(split, settings.examples), settings
        blocks = functools.partial(gap_blocks, *of_split, log_p_of=log_p_of)
        count = settings.examples * len(settings.parts())
        identity = settings.identity() | {"split": split} | ({"log_p": "exact"} if exact else {})
        parts.append(Part(split, identity, count, blocks, done))
    return parts


def gap_blocks(
    key: Key,
    programs: Programs,
    params: Params,
    examples: Example,
    settings: Gaps,
    found: Arrays,
    may_spend: MaySpend,
    log_p_of: Callable[[Example], Arrays] | None = None,
) -> Iterator[Arrays]:
    """Yield all arrays measured so far, after each BLOCK of examples. It resumes from `found`,
    which may lack families. Example i of family f depends only on fold_in(key, i) and f, so the
    numbers are the same.

    Args:
      log_p_of: the exact log p(x) of examples, if it is known.
    """
    count = num_rows(examples)
    for part in settings.parts():
        run = programs(part, min(BLOCK, count))
        for begin in range(measured(found, part), count, BLOCK):
            if not may_spend(0):
                return
            indices = np.arange(begin, min(begin + BLOCK, count))
            chosen = rows_of(examples, indices)
            block = run((key, params), indices, chosen)
            if part == "log_p" and log_p_of is not None:
                block = block | log_p_of(chosen)
            found = appended(found, block)
            yield found


def gap_programs(
    generative: GenerativeModel,
    inference: InferenceNetwork,
    settings: Gaps,
    *,
    estimated: bool = True,
) -> Programs:
    """(part, size) -> a function of ((key, params), indices, examples) that measures the part for
    at most `size` examples. Each is compiled once for all splits. log p(x) is left out if it is not
    to be estimated."""

    def log_p(key, joint, q, x):
        importance_key, annealed_key = jax.random.split(key)
        # Other draws than those of the importance estimate, so that their errors are independent.
        bound = importance_sampling(
            jax.random.fold_in(importance_key, _BOUND),
            joint,
            x,
            q,
            num_samples=settings.num_samples,
        )
        encoders = {
            "amortized": bound.diagnostics["elbo"],
            "amortized_std_error": bound.diagnostics["elbo_std_error"],
        }
        if not estimated:
            return encoders
        importance = importance_sampling(
            importance_key, joint, x, q, num_samples=settings.num_samples
        )
        annealed = annealed_importance_sampling(
            annealed_key,
            joint,
            x,
            q,
            num_chains=settings.num_chains,
            num_temperatures=settings.num_temperatures,
        )
        return encoders | {
            "importance": importance.value,
            "importance_std_error": importance.std_error,
            "importance_khat": importance.khat,
            "annealed": annealed.value,
            "annealed_std_error": annealed.std_error,
            "annealed_khat": annealed.khat,
            "missed": missed_by(annealed),
        }

    def best_of(name, key, phi, joint, q, example):
        start_key, optimize_key = jax.random.split(key)
        chosen = family_over(name, joint)
        _, trace = families.fit_variational(
            optimize_key,
            chosen,
            joint,
            example.x,
            init=start_of(start_key, chosen, inference, phi, q, example),
            num_samples=settings.draws_per_step,
            max_steps=settings.max_steps,
            num_final_samples=settings.num_bound_samples,
        )
        return traced(name, trace)

    @functools.cache
    def program(part, size):
        def one(shared, index, example):
            key, params = shared
            example_key = jax.random.fold_in(key, index)
            joint, q, x = bind_whole(generative, inference, params, example)
            if part == "best":
                return best_code(example_key, joint, q, x, settings.max_steps)
            if part == "log_p":
                return log_p(jax.random.fold_in(example_key, 0), joint, q, x)
            part_key = jax.random.fold_in(example_key, 1 + list(families.FAMILIES).index(part))
            return best_of(part, part_key, params.inference, joint, q, example)

        return over_examples(one, size)

    return program


def best_code(key: Key, joint: Joint, q: Any, x: Any, max_steps: int) -> dict:
    """log p(x, z) at the z of a point mass, and at the best z that Adam finds from there."""
    z = q.mean()
    _, trace = families.fit_variational(
        key,
        families.point_mass(*z.shape),
        joint,
        x,
        init={"location": z},
        objective=maximum_a_posteriori,
        max_steps=max_steps,
        num_final_samples=2,
    )
    here = maximum_a_posteriori(key, q, joint, x).value
    zero = jnp.zeros_like(here)
    return {"amortized": here, "amortized_std_error": zero} | traced("best", trace)


def traced(name: str, trace: families.Trace) -> dict:
    """The arrays of a fit: its bound, with its error, and how the fit went."""
    return {
        name: trace.bound,
        f"{name}_std_error": trace.bound_std_error,
        f"{name}_steps": trace.steps,
        f"{name}_converged": trace.converged,
        f"{name}_diverged": trace.diverged | ~jnp.isfinite(trace.bound),
    }


def _undefined(run: Run, settings: Gaps) -> str | None:
    if run.kind == "no latent variable":
        return "the model has no latent variable, so there is no q(z | x) and no gap"
    if run.kind == "point mass" and not settings.map:
        raise SettingError(
            "this run is an autoencoder: its q is a point mass, which has no bound, so no gap is "
            "defined; give map to compare its code with the z that maximizes log p(x, z)",
            "map",
        )
    if settings.map and run.kind != "point mass":
        raise SettingError(
            "map is for an autoencoder, whose q is a point mass; this run's q has a density: leave "
            "it out",
            "map",
        )
    if not settings.map and not has_real_latent(run):
        return (
            "its z has whole numbers, but the q families are for real numbers; use vaejax "
            "log-likelihood with estimator importance or filter, which bounds the gap of its ELBO"
        )
    for split in SPLITS:
        check_examples(run.dataset, split, settings.examples)
    return None


def summarize(run: Run, settings: Gaps, arrays: dict[str, Arrays]) -> dict[str, Any]:
    """The summary, over the examples that were measured in every part."""
    splits, counts = {}, {}
    for split, found in arrays.items():
        n = min(min(measured(found, p), settings.examples) for p in settings.parts())
        if n:
            counts[split] = n
            splits[split] = {name: v[:n] for name, v in found.items() if len(v) >= n}
    if not splits:
        raise UserError(
            "stopped before the first examples were measured for every family: run it again"
        )
    own = None if settings.map else own_family(run.inference)
    names = _names(settings, splits)
    return summarize_gaps(splits, names, own) | {
        "own_family": own,
        "names": names,
        "counts": counts,
    }


def _names(settings: Gaps, splits: dict[str, Arrays]) -> tuple[str, ...]:
    """The families to show: those of the settings, then others that were measured before."""
    if settings.map:
        return ("best",)
    before = [
        name
        for name in families.FAMILIES
        if name not in settings.families and all(name in arrays for arrays in splits.values())
    ]
    return (*settings.families, *before)


def summarize_gaps(
    splits: Mapping[Any, dict[str, np.ndarray]],
    names: tuple[str, ...],
    own: str | None = None,
) -> dict:
    """Summarize the arrays of the splits: the mean of each gap with both errors, its median, and
    the indices of examples that are not averaged.

    Gaps of a family (Cremer et al. 2018): approximation = log p(x) - best bound; amortization =
    best bound - amortized bound. The second one is an amortization gap only if the encoder's q is
    of that family (`own`); else it is what the encoder's q loses against that family. total = their
    sum, except for fits that diverged. The generalization gap of the encoder is this difference for
    its own family (if that was not fitted, for the first family) on the test split minus the train
    split.

    Examples whose log p(x) or amortized bound is not finite are in none of the means; they are
    listed in `not_finite`.
    """
    summary: dict = {}
    for split, arrays in splits.items():
        arrays = with_log_p(arrays)
        has_density = "log_p" in arrays
        finite = np.isfinite(arrays["amortized"])
        if has_density:
            finite &= np.isfinite(arrays["log_p"])
        about: dict = {
            "not_finite": np.flatnonzero(~finite).tolist(),
            "amortized": mean_of(arrays, "amortized", finite),
        }
        if has_density:
            about |= {
                "estimator": describe_choice(arrays),
                "flags": flags(arrays),
                "log_p": mean_of(arrays, "log_p", finite),
                "total": _gap(arrays, "log_p", "amortized", finite),
            }
        for name in names:
            usable = finite & ~arrays[f"{name}_diverged"]
            about[name] = fit_summary(arrays, name, usable)
            about[name]["amortization"] = _gap(arrays, name, "amortized", usable)
            if has_density:
                about[name]["approximation"] = _gap(arrays, "log_p", name, usable)
                about[name]["out_of_order"] = out_of_order(arrays, name, own)
        summary[split] = about
    if len(splits) == 2:
        of = own if own in names else names[0]
        test, train = (summary[split][of]["amortization"] for split in ("test", "train"))
        difference = None
        if None not in (test["mean"], train["mean"]):
            difference = test["mean"] - train["mean"]
        summary["generalization"] = {"family": of, "mean": difference} | {
            error: None
            if None in (test[error], train[error])
            else float(np.hypot(test[error], train[error]))
            for error in ("std_error_monte_carlo", "std_error_data")
        }
    return summary


def _gap(arrays: Mapping[str, np.ndarray], high: str, low: str, usable: np.ndarray) -> dict:
    """The mean and the median of high - low over the usable examples."""
    gap = arrays[high].astype(np.float64) - arrays[low]
    error = np.hypot(arrays[f"{high}_std_error"], arrays[f"{low}_std_error"])
    entry = mean_and_errors(gap[usable], error[usable])
    return entry | {"median": float(np.median(gap[usable])) if usable.any() else None}


GAPS_MEASUREMENT = Measurement(
    name="gaps",
    version=4,
    settings=Gaps,
    undefined=_undefined,
    parts=gaps,
    summarize=summarize,
    section=gaps_section,
)
