"""The evaluation: every example of a split, in bounded memory, at the highest precision."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from vaejax.data import SequenceDataset, repeats_of_training
from vaejax.distributions import (
    converged,
    has_density,
    has_latent,
    has_mean,
    kl_form,
    kl_per_dimension,
    mean_and_noise,
    structure_of,
)
from vaejax.errors import UserError, require
from vaejax.evaluation.evaluation_section import evaluation_section
from vaejax.evaluation.exact_log_p import exact_log_p, exact_reason
from vaejax.evaluation.latent_use import latent_use
from vaejax.evaluation.marginals import num_drawn
from vaejax.evaluation.measurement import (
    Arrays,
    Measurement,
    Part,
    at_once,
    in_blocks,
    per_example,
    rows_in,
)
from vaejax.evaluation.pictures import pictures
from vaejax.evaluation.plane import clusters, density
from vaejax.evaluation.run import Run, check_examples
from vaejax.evaluation.sequence_pictures import sequence_pictures
from vaejax.evaluation.streams import EVALUATE, LATENT_USE, PICTURES, PLANE
from vaejax.evaluation.summary import summarize
from vaejax.marginal_likelihood import importance_sampling
from vaejax.types import (
    Conditions,
    Distribution,
    Example,
    Joint,
    Key,
    Latent,
    Observation,
    bind,
    missing_frames,
    num_rows,
    rows_of,
)

# Limits of memory. While a batch is measured, two numbers are kept for each draw of each example.
# For draws that are made together, z, E[x | z] and what lies between them are kept too.
_MAX_WEIGHTS = 20_000_000
_MAX_VALUES = 50_000_000
_DRAWN_TOGETHER = 50
_BATCH = 100


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """The evaluation after training, with the parameters that were best on the validation split,
    else the last ones."""

    split: Literal["train", "validation", "test"] = "test"
    """Split to measure."""
    examples: int | None = None
    """Number of examples, from the first; by default all."""
    num_samples: int = 5000
    """K of the importance-weighted bound on log p(x) (IWAE-K): draws of q(z | x) for each
    example."""

    def __post_init__(self):
        require(self.num_samples >= 1, "num_samples", "at least 1", self.num_samples)
        enough = self.examples is None or self.examples >= 1
        require(enough, "examples", "at least 1", self.examples)


def evaluate(run: Run, settings: Evaluate) -> list[Part]:
    """The parts of an evaluation: arrays of each example by name, in nats unless said otherwise.

    With a q that has a density: `iwae` (the K-sample bound), `iwae_std_error`, `ess`, `khat`,
    `elbo` (the mean log weight over the same K draws) and its terms `reconstruction` and `kl`, each
    with its `_std_error`; `kl_per_dimension` if q and the prior are diagonal Gaussians; `converged`
    if q is a fixed point of mean field. With a point mass: `reconstruction` = log p(x | z) at its z
    only.

    In both cases: `code`, the mean of q (estimated from 100 draws for a flow, with the variance of
    the estimate in `code_noise`; a z of several arrays is flattened into one); and `squared_error`,
    ||x - E[x | z = code]||^2, if p(x | z) knows its mean.

    Without a latent variable: `log_p`, which is exact and has no Monte Carlo error. A model with a
    latent variable also has it if it can be computed exactly (`marginal_likelihood.exact`), with
    `log_p_std_error` from rounding.

    Sequences have no `code`, `squared_error` and `latent_use`, since their codes differ in length.
    They have `frames` and `missing_frames`, the numbers of frames in each.

    For all examples together: the results of `latent_use`, `pictures` and, if there is a p(x),
    `clusters` and `density`; or of `sequence_pictures`; and `labels` with `label_names`.

    Example i uses fold_in(fold_in(key, i), 0 or 1): no value depends on batches or devices.
    """
    examples = run.examples(settings.split, settings.examples)
    count = num_rows(examples)
    identity = dataclasses.asdict(settings)
    each = per_example(
        _one(run, settings.num_samples),
        (run.stream(EVALUATE), run.params),
        examples,
        block=_block(run, settings.num_samples),
    )
    parts = [
        Part("bounds", identity, count, each, rows_in),
        at_once("summary", identity, lambda: _together(run, settings, examples)),
    ]
    if exact_reason(run, rows_of(examples, 0)) is not None:
        exact = in_blocks(lambda rows: exact_log_p(run, rows_of(examples, rows)), count, _BATCH)
        parts.insert(1, Part("exact", identity, count, exact, rows_in))
    return parts


def _one(run: Run, num_samples: int) -> Callable[[Any, Any, Example], dict[str, Any]]:
    """((key, params), index, example) -> the arrays of one example."""

    def one(shared, index, example):
        key, params = shared
        joint, q, x = bind(run.generative, run.inference, params, example)
        row = count_frames(*example) if run.data.is_sequence else {}
        if not has_latent(joint.prior):
            return row | {"log_p": joint.log_prob(x, ())}
        code_key, sample_key = jax.random.split(jax.random.fold_in(key, index))
        if not run.data.is_sequence:
            row |= measure_code(code_key, joint, q, x)
        elif not has_density(q):
            row["reconstruction"] = joint.likelihood(q.mean()).log_prob(x)
        if not has_density(q):
            return row
        estimate = importance_sampling(sample_key, joint, x, q, num_samples=num_samples)
        row |= {
            "iwae": estimate.value,
            "iwae_std_error": estimate.std_error,
            "ess": estimate.ess,
            "khat": estimate.khat,
        }
        # Only these diagnostics: XLA does not compute the others.
        for name in ("elbo", "reconstruction", "kl"):
            for field in (name, f"{name}_std_error"):
                row[field] = estimate.diagnostics[field]
        if converged(q) is not None:
            row["converged"] = converged(q)
        per_dimension = kl_per_dimension(q, joint.prior)
        return row if per_dimension is None else row | {"kl_per_dimension": per_dimension}

    return one


def _together(run: Run, settings: Evaluate, examples: Example) -> Arrays:
    """The arrays that are computed from all examples together."""
    count = num_rows(examples)
    model = run.generative, run.inference, run.params
    arrays: Arrays = {}
    if isinstance(run.dataset, SequenceDataset):
        if run.on_training_data:
            repeats = repeats_of_training(run.dataset, settings.split)[:count]
            arrays["repeats_training"] = repeats & (settings.split != "train")
        return arrays | sequence_pictures(run.stream(PICTURES), run, examples)
    if run.kind == "latent variable" and count > 1:
        use = latent_use(run.generative, run.inference)
        arrays |= use(run.stream(LATENT_USE), run.params, examples)
    labels = run.dataset.labels.get(settings.split)
    if labels is not None:
        arrays["labels"] = labels[:count]
        if run.dataset.label_names:
            arrays["label_names"] = np.array(run.dataset.label_names)
    drawn = num_drawn(*run.data.shape) if len(run.data.shape) == 1 else 64
    arrays |= pictures(run.stream(PICTURES), *model, examples, count=drawn)
    if "samples" in arrays:  # there is a p(x)
        cluster_key, density_key = jax.random.split(run.stream(PLANE))
        arrays |= clusters(cluster_key, *model, examples)
        plane = run.data.shape == (2,) and run.data.support == "real"
        if plane and not jax.tree.leaves(examples.given):
            arrays |= density(density_key, run.generative, run.params, examples.x)
    return arrays


def _block(run: Run, num_samples: int) -> int:
    """The number of examples in a batch, which is smaller for larger examples."""
    example = run.data.example()
    joint, _, x = bind(run.generative, run.inference, run.params, example)
    sizes = jax.tree.leaves((structure_of(joint.prior), x))
    drawn = min(num_samples, _DRAWN_TOGETHER) * sum(int(np.prod(leaf.shape)) for leaf in sizes)
    return min(_BATCH, max(1, _MAX_WEIGHTS // num_samples), max(1, _MAX_VALUES // drawn))


def summarize_evaluation(run: Run, settings: Evaluate, arrays: dict[str, Arrays]) -> dict[str, Any]:
    """The summary of the arrays; raises UserError if a log density is not finite."""
    whole = {name: values for part in arrays.values() for name, values in part.items()}
    names = [n for n in ("log_p", "iwae", "elbo", "reconstruction") if n in whole]
    bad = np.flatnonzero(~np.all([np.isfinite(whole[name]) for name in names], axis=0))
    if len(bad):
        raise UserError(
            f"{len(bad)} of {len(whole[names[0]])} examples have a log density that is not finite "
            f"(first indices {bad[:5].tolist()}): check the scale of those examples, train longer, "
            "or lower the learning rate"
        )
    example = rows_of(run.examples(settings.split, 1), 0)
    joint, q, _ = bind(run.generative, run.inference, run.params, example)
    form = kl_form(q, joint.prior) if has_density(q) else None
    return summarize(whole) | {
        "n": rows_in(arrays["bounds"]),
        "denoising": run.corrupt is not None,
        "kl_form": form,
        "exact": exact_reason(run, example) if "exact" in arrays else None,
    }


def _undefined(run: Run, settings: Evaluate) -> str | None:
    check_examples(run.dataset, settings.split, settings.examples, "evaluate")
    return None


def count_frames(x: Observation, given: Conditions) -> dict[str, Array]:
    """`frames`, those that exist and are not missing, and `missing_frames` of one sequence."""
    exists, missing = given.exists, missing_frames(x)
    return {
        "frames": jnp.sum(exists & ~missing, dtype=jnp.int32),
        "missing_frames": jnp.sum(exists & missing, dtype=jnp.int32),
    }


def measure_code(key: Key, joint: Joint, q: Distribution, x: Observation) -> dict[str, Array]:
    """`code`, `code_noise`, `reconstruction` = log p(x | z = code) and `squared_error` of one x."""
    code, noise = mean_and_noise(key, q)
    likelihood = joint.likelihood(code)
    row = {"code": one_array(code), "reconstruction": likelihood.log_prob(x)}
    if noise is not None:
        row["code_noise"] = one_array(noise)
    if has_mean(likelihood):
        differences = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), x, likelihood.mean())
        row["squared_error"] = sum(jax.tree.leaves(differences))
    return row


def one_array(z: Latent) -> Array:
    """z as one array; if it has several arrays, they are flattened and joined."""
    leaves = jax.tree.leaves(z)
    return leaves[0] if len(leaves) == 1 else ravel_pytree(z)[0]


EVALUATION = Measurement(
    name="evaluation",
    version=2,
    settings=Evaluate,
    undefined=_undefined,
    parts=evaluate,
    summarize=summarize_evaluation,
    section=evaluation_section,
    at_top=True,
)
