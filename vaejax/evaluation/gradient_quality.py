"""The quality of gradient estimators: bias, variance and signal-to-noise ratio."""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from vaejax.errors import require, require_least
from vaejax.evaluation.gradient_section import gradients_section
from vaejax.evaluation.measurement import Arrays, Measurement, Part, at_once
from vaejax.evaluation.progress import progress_bar
from vaejax.evaluation.run import Run, check_examples, has_real_latent
from vaejax.evaluation.streams import GRADIENTS
from vaejax.objectives import doubly_reparameterized, elbo, iwae, sticking_the_landing
from vaejax.types import Example, GenerativeModel, InferenceNetwork, Key, Params, bind, num_rows

GROUPS = 10  # groups of replicates, from which errors are estimated
_MAX_DRAWS = 10_000  # most draws of z at a time


@dataclasses.dataclass(frozen=True)
class GradientQuality:
    """How gradient estimators are measured."""

    examples: int = 10
    """Size of the fixed minibatch: the first examples of the training split."""
    num_samples: tuple[int, ...] = (1, 8, 64)
    """K of the importance-weighted bounds; K = 1 is always measured."""
    replicates: int = 1000
    """Number of gradients that are drawn from each estimator."""
    reference_samples: int = 2000
    """Number of plain gradients of each bound, from other draws; their mean is the reference."""

    def __post_init__(self):
        require_least(self, examples=1, replicates=2 * GROUPS, reference_samples=2 * GROUPS)
        some = min(self.num_samples, default=0) >= 1
        require(some, "num_samples", "one or more numbers of at least 1", self.num_samples)


class Moments(NamedTuple):
    """Moments of groups of replicates: count, and mean and sum of squared deviations by
    parameter."""

    replicates: np.ndarray  # (groups,)
    mean: np.ndarray  # (groups, parameters)
    squares: np.ndarray  # (groups, parameters)


def compiled(gradient: Callable[[Any, Key], Any]) -> Callable[..., Any]:
    """The compiled function that `moments` calls: Welford's recurrence over replicates, in constant
    memory. Replicate r is gradient(shared, fold_in(key, r)), a flat vector."""

    @jax.jit
    def group(shared, key, begin, end):
        def add(r, state):
            mean, squares = state
            value = gradient(shared, jax.random.fold_in(key, r))
            difference = value - mean
            mean = mean + difference / (r - begin + 1)
            return mean, squares + difference * (value - mean)

        zero = jnp.zeros_like(jax.eval_shape(gradient, shared, key))
        return jax.lax.fori_loop(begin, end, add, (zero, zero))

    return group


def moments(key: Key, group: Callable[..., Any], shared: Any, replicates: int) -> Moments:
    """The moments of `replicates` draws of a `compiled` gradient."""
    edges = np.linspace(0, replicates, GROUPS + 1).astype(np.int32)
    parts = [group(shared, key, *ends) for ends in itertools.pairwise(edges)]
    means, squares = (np.stack(column) for column in zip(*parts, strict=True))
    return Moments(np.diff(edges), means, squares)


def quality(estimator: Moments, reference: Moments) -> dict[str, float | int | None]:
    """The quality of a gradient estimator with these moments of its gradient g, from R replicates.

    `bias`: ||mean g - reference|| / ||reference||.
    `bias_floor`: the value that noise alone gives an unbiased estimator,
      sqrt(tr Cov / R + tr Cov_ref / R_ref) / ||reference||.
    `bias_z`: the excess of the squared bias over noise, in standard errors; within a few of 0 for
      an unbiased estimator. It comes from products of differences between groups, which have mean
      0 then; it is at most 6.7 for 10 groups.
    `variance`: tr Cov, the sum over parameters.
    `snr`: |mean| / sd, the median over parameters (Rainforth et al. 2018, eq. 8).
    `snr_floor`: its value for a mean of 0, 0.674 / sqrt(R).
    `fixed`: the number of parameters that do not vary (inputs that are 0 in every example); they
      are left out of the SNR.
    Standard errors are by the jackknife over groups.
    """
    groups = len(estimator.replicates)
    ours, theirs = _total(estimator), _total(reference)
    norm = np.linalg.norm(theirs.mean)
    bias = np.linalg.norm(ours.mean - theirs.mean)
    floor = np.sqrt(ours.trace / ours.replicates + theirs.trace / theirs.replicates)
    difference = estimator.mean.astype(np.float64) - reference.mean
    products = difference @ difference.T
    pairs = products[np.triu_indices(groups, 1)]
    pairs_error = np.sqrt(np.sum(pairs**2))
    without = [_total(estimator, leave_out=group) for group in range(groups)]
    return {
        "parameters": len(ours.mean),
        "fixed": int(np.sum(ours.variance == 0)),
        "gradient_norm": float(norm),
        "bias": float(bias / norm) if norm > 0 else None,
        "bias_floor": float(floor / norm) if norm > 0 else None,
        "bias_z": float(pairs.sum() / pairs_error) if pairs_error > 0 else None,
        "variance": ours.trace,
        "variance_std_error": _jackknife([total.trace for total in without]),
        "snr": _snr(ours),
        "snr_std_error": _jackknife([_snr(total) for total in without]),
        "snr_floor": float(0.6745 / np.sqrt(ours.replicates)),
    }


class _Total(NamedTuple):
    replicates: int
    mean: np.ndarray
    variance: np.ndarray

    @property
    def trace(self) -> float:
        return float(self.variance.sum())


def _total(groups: Moments, leave_out: int | None = None) -> _Total:
    """The groups combined, in float64, except the group `leave_out`."""
    keep = np.arange(len(groups.replicates)) != (-1 if leave_out is None else leave_out)
    count = groups.replicates[keep].astype(np.float64)
    means = groups.mean[keep].astype(np.float64)
    mean = count @ means / count.sum()
    squares = groups.squares[keep].sum(axis=0, dtype=np.float64) + count @ (means - mean) ** 2
    return _Total(int(count.sum()), mean, squares / (count.sum() - 1))


def _snr(total: _Total) -> float | None:
    varies = total.variance > 0
    if not varies.any():
        return None
    return float(np.median(np.abs(total.mean[varies]) / np.sqrt(total.variance[varies])))


def _jackknife(values: list) -> float | None:
    if None in values:
        return None
    n = len(values)
    return float(np.sqrt((n - 1) / n * np.sum((np.array(values) - np.mean(values)) ** 2)))


def gradient_quality(
    key: Key,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    params: Params,
    examples: Example,
    settings: GradientQuality,
    progress: Callable[[int], None] = lambda count: None,
) -> list[dict]:
    """The `quality` of gradient estimators, as rows, for the encoder's and for the decoder's
    parameters.

    The gradient is that of the mean bound over `examples`; its noise comes from the draws of z. For
    K = 1 the estimators are the ELBO with a closed-form KL, the ELBO with a sampled KL, and
    sticking the landing (which is DReG with K = 1); for every other K, IWAE and DReG. The reference
    of each is the mean gradient of its own bound by `elbo` or `iwae`, from other draws. All run at
    the highest matmul precision.
    """
    examples = jax.tree.map(jnp.asarray, examples)
    encoder = sum(leaf.size for leaf in jax.tree.leaves(params.inference))
    rows = []
    for num_samples in counts(settings):
        weighted, dreg = (
            functools.partial(objective, num_samples=num_samples)
            for objective in (iwae, doubly_reparameterized)
        )
        estimators = (
            {
                "ELBO": elbo,
                "ELBO, KL sampled": weighted,
                "sticking the landing": sticking_the_landing,
            }
            if num_samples == 1
            else {"IWAE": weighted, "DReG": dreg}
        )
        most = _MAX_DRAWS // num_samples
        gradients = [
            compiled(functools.partial(_gradient, generative, inference, objective, most))
            for objective in estimators.values()
        ]
        found = []
        # The reference is the plain bound, which is also the first estimator.
        for index, gradient in enumerate((gradients[0], *gradients)):
            one_key = jax.random.fold_in(jax.random.fold_in(key, num_samples), index)
            replicates = settings.replicates if index else settings.reference_samples
            with jax.default_matmul_precision("highest"):
                found.append(moments(one_key, gradient, (params, examples), replicates))
            progress(replicates * num_samples)
        reference, *measured = found
        for name, of_all in zip(estimators, measured, strict=True):
            for part, columns in (("encoder", slice(encoder)), ("decoder", slice(encoder, None))):
                of_part = (_columns(m, columns) for m in (of_all, reference))
                about = {"estimator": name, "num_samples": num_samples, "part": part}
                rows.append(about | quality(*of_part))
    return rows


def counts(settings: GradientQuality) -> list[int]:
    """Every K, including 1."""
    return sorted({1, *settings.num_samples})


def cost(settings: GradientQuality) -> int:
    """The number of draws of z for one example, to which `progress` counts."""
    return sum(
        k * (settings.reference_samples + (3 if k == 1 else 2) * settings.replicates)
        for k in counts(settings)
    )


def _undefined(run: Run, settings: GradientQuality) -> str | None:
    if run.kind == "no latent variable":
        return "the gradient of its log p(x) is exact, so there is no estimator to measure"
    if run.kind == "point mass":
        return (
            "it is an autoencoder: its q is a point mass, so its gradient has no noise and there "
            "is no bound to estimate; digits_vae and mnist_vae have both"
        )
    if not has_real_latent(run):
        return "its z has whole numbers, but these estimators need gradients through z"
    check_examples(run.dataset, "train", settings.examples)
    return None


def gradients(run: Run, settings: GradientQuality) -> list[Part]:
    """The part with the rows of `gradient_quality` as columns; NaN for an undefined number."""

    def compute():
        model = run.generative, run.inference, run.params
        examples = run.examples("train", settings.examples)
        key = run.stream(GRADIENTS)
        with progress_bar(cost(settings), unit="draw", what="gradients") as bar:
            rows = gradient_quality(key, *model, examples, settings, progress=bar.update)
        return {
            name: np.array([np.nan if row[name] is None else row[name] for row in rows])
            for name in rows[0]
        }

    return [at_once("gradients", dataclasses.asdict(settings), compute)]


def _summarize(run: Run, settings: GradientQuality, arrays: dict[str, Arrays]) -> dict[str, Any]:
    columns = {name: values.tolist() for name, values in arrays["gradients"].items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {"rows": [{k: None if v != v else v for k, v in row.items()} for row in rows]}


def _columns(groups: Moments, columns: slice) -> Moments:
    return Moments(groups.replicates, groups.mean[:, columns], groups.squares[:, columns])


def _gradient(generative, inference, objective, most, shared, key):
    """The gradient of the mean bound over the examples, as one vector with the encoder's part
    first. It is computed in equal chunks of at most `most` examples. Example i uses fold_in(key,
    i)."""
    params, examples = shared
    n = num_rows(examples)
    size = max(d for d in range(1, n + 1) if n % d == 0 and d <= max(most, 1))

    def bound(params, indices, examples):
        def one(index, example):
            joint, q, x = bind(generative, inference, params, example)
            return objective(jax.random.fold_in(key, index), q, joint, x).value

        return jnp.sum(jax.vmap(one)(indices, examples)) / n

    def add(total, chunk):
        gradient = jax.grad(bound)(params, *chunk)
        return total + ravel_pytree((gradient.inference, gradient.generative))[0], None

    chunks = jax.tree.map(
        lambda leaf: leaf.reshape(-1, size, *leaf.shape[1:]), (jnp.arange(n), examples)
    )
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    return jax.lax.scan(add, jnp.zeros(parameters), chunks)[0]


GRADIENTS_MEASUREMENT = Measurement(
    name="gradients",
    version=2,
    settings=GradientQuality,
    undefined=_undefined,
    parts=gradients,
    summarize=_summarize,
    section=gradients_section,
)
