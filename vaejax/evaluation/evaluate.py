"""Every example of a split, measured once, in bounded memory, at the highest precision."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.distributions import DiagonalGaussian, PointMass
from vaejax.errors import UserError
from vaejax.evaluation.pictures import mean_and_noise
from vaejax.marginal_likelihood import importance_sampling
from vaejax.sharding import map_examples
from vaejax.types import ExplicitModel, GenerativeModel, InferenceNetwork, Key, Params

# Two numbers a sample and an example are kept while a batch is measured: this many at most.
_MAX_WEIGHTS = 20_000_000
_BATCH = 100


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Evaluation of the best (by validation) or else the last parameters."""

    split: Literal["train", "validation", "test"] = "test"
    """Which examples."""
    examples: int | None = None
    """How many of them, from the first; all unless given."""
    num_samples: int = 5000
    """K of the importance-weighted bound."""

    def __post_init__(self):
        if self.num_samples < 1:
            raise UserError(f"--evaluate.num-samples must be at least 1; got {self.num_samples}")
        if self.examples is not None and self.examples < 1:
            raise UserError(f"--evaluate.examples must be at least 1; got {self.examples}")


def evaluate(
    key: Key,
    generative: GenerativeModel | ExplicitModel,
    inference: InferenceNetwork | None,
    params: Params,
    xs: np.ndarray,
    *,
    num_samples: int,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, np.ndarray]:
    """Per-example arrays, by name, in nats unless said otherwise.

    For a q with a density: `iwae` (the K-sample bound), `iwae_std_error`, `ess`, `khat`, `elbo`
    (mean log weight over the same K draws) and its parts `reconstruction` and `kl`, each with its
    `_std_error`; `kl_per_dimension` where q and the prior are diagonal Gaussians. For a point
    mass: `reconstruction` = log p(x | z) at its z, and nothing that needs a density.
    For both: `code`, the mean of q (of a flow, of a hundred draws, with the variance of that in
    `code_noise`), and `squared_error`,
    ||x - E[x | z = code]||^2, where p(x | z) knows its mean.
    For an explicit model: `log_p`, exact; it has no Monte Carlo error.

    Example i uses fold_in(key, i): no value depends on batches or devices.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1; got {num_samples}")
    if isinstance(generative, ExplicitModel):
        return _log_p(generative, params, xs, progress)
    assert inference is not None
    size = min(_BATCH, max(1, _MAX_WEIGHTS // num_samples))

    def one(params, index, x):
        joint = generative.joint(params.generative)
        q = inference.posterior(params.inference, x, joint.prior)
        code, noise = mean_and_noise(jax.random.fold_in(key, index), q)
        likelihood = joint.likelihood(code)
        row = {"code": code}
        if noise is not None:
            row["code_noise"] = noise
        with contextlib.suppress(NotImplementedError):
            row["squared_error"] = jnp.sum((x - likelihood.mean()) ** 2)
        if isinstance(q, PointMass):
            return row | {"reconstruction": likelihood.log_prob(x)}
        estimate = importance_sampling(
            jax.random.fold_in(key, index), joint, x, q, num_samples=num_samples
        )
        row |= {
            "iwae": estimate.value,
            "iwae_std_error": estimate.std_error,
            "ess": estimate.ess,
            "khat": estimate.khat,
        }
        # Of the diagnostics only these: what is not asked for is not computed.
        for name in ("elbo", "reconstruction", "kl"):
            for field in (name, f"{name}_std_error"):
                row[field] = estimate.diagnostics[field]
        if isinstance(q, DiagonalGaussian) and isinstance(joint.prior, DiagonalGaussian):
            row["kl_per_dimension"] = q.kl_per_dimension(joint.prior)
        return row

    return map_examples(one, params, xs, size, progress=progress)


def _log_p(model: ExplicitModel, params: Params, xs: np.ndarray, progress):
    def one(params, index, x):
        return {"log_p": model.density(params.generative).log_prob(x)}

    return map_examples(one, params, xs, _BATCH, progress=progress)
