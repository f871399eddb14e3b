"""Every example of a split, measured once, in bounded memory, at the highest precision."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from vaejax.distributions import has_density, has_latent, has_mean, kl_per_dimension, mean_and_noise
from vaejax.errors import UserError
from vaejax.marginal_likelihood import importance_sampling
from vaejax.sharding import map_examples
from vaejax.types import Example, GenerativeModel, InferenceNetwork, Key, Params, bind

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
    generative: GenerativeModel,
    inference: InferenceNetwork,
    params: Params,
    examples: Example,
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
    `code_noise`; of a z of several arrays, these end to end), and `squared_error`,
    ||x - E[x | z = code]||^2, where p(x | z) knows its mean.
    Without a latent variable: `log_p`, exact; it has no Monte Carlo error.

    Example i uses fold_in(fold_in(key, i), 0 or 1): no value depends on batches or devices.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1; got {num_samples}")

    def one(params, index, example):
        joint, q, x = bind(generative, inference, params, example)
        if not has_latent(joint.prior):
            return {"log_p": joint.log_prob(x, ())}
        code_key, sample_key = jax.random.split(jax.random.fold_in(key, index))
        row = measure_code(code_key, joint, q, x)
        if not has_density(q):
            return row
        estimate = importance_sampling(sample_key, joint, x, q, num_samples=num_samples)
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
        per_dimension = kl_per_dimension(q, joint.prior)
        return row if per_dimension is None else row | {"kl_per_dimension": per_dimension}

    size = min(_BATCH, max(1, _MAX_WEIGHTS // num_samples))
    return map_examples(one, params, examples, size, progress=progress)


def one_array(z):
    """z as one array: itself, or its arrays end to end where it has several."""
    leaves = jax.tree.leaves(z)
    return leaves[0] if len(leaves) == 1 else ravel_pytree(z)[0]


def measure_code(key: Key, joint, q, x) -> dict:
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
