"""The sampling chain of a denoising autoencoder: corrupt x, encode, draw a new x, and repeat."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from vaejax.distributions import mean_of
from vaejax.evaluation.run import Run
from vaejax.objectives import denoise
from vaejax.sharding import map_examples
from vaejax.types import GenerativeModel, InferenceNetwork, Key, Observation, Params


def denoising_chain(
    key: Key,
    generative: GenerativeModel,
    inference: InferenceNetwork,
    corrupt: Callable[[Key, Observation], Observation],
    params: Params,
    starts: np.ndarray,
    *,
    num_steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Run a chain from each of `starts` (n, *shape): x~ = corrupt(x_t), z ~ q(z | x~),
    x_{t+1} ~ p(x | z). Returns (E[x_t | z], x_t) for t = 1..num_steps, each (num_steps, n, *shape).

    If p(x | x~) = E_q[p(x | z)] is that of the data and the chain is ergodic, its stationary
    distribution is that of the data (Bengio et al. 2013, theorem 1). With a factorized p(x | z) and
    a point mass for q this cannot hold exactly: given x~, the elements of x are dependent in the
    data and independent in the chain. With less corruption this error is smaller and the chain is
    slower. A chain may also reach an x unlike any that the encoder was trained on, and never return
    to the data: look at late steps, and train with walkback.

    Chain i uses fold_in(key, i): it does not depend on the other chains, batches or devices.

    Raises:
      ValueError: num_steps is below 1, or there are no starts.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1; got {num_steps}")

    def one(shared, index, x):
        key, params = shared
        joint = generative.joint(params.generative)
        chain_key = jax.random.fold_in(key, index)

        def step(x, t):
            corrupt_key, code_key, mean_key, sample_key = jax.random.split(
                jax.random.fold_in(chain_key, t), 4
            )
            p = denoise(
                code_key,
                lambda seen: inference.posterior(params.inference, seen, joint),
                joint,
                corrupt(corrupt_key, x),
            )
            new = p.sample(seed=sample_key).astype(x.dtype)
            return new, (mean_of(mean_key, p), new)

        return jax.lax.scan(step, x, np.arange(num_steps))[1]

    means, samples = map_examples(one, (key, params), starts)
    return np.moveaxis(means, 1, 0), np.moveaxis(samples, 1, 0)


def chain_samples(
    key: Key, run: Run, count: int, *, num_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """(E[x | z], x), each (count, *shape), at the last step of `count` chains of a denoising
    autoencoder; each chain starts at a random training example."""
    assert run.corrupt is not None
    start_key, chain_key = jax.random.split(key)
    xs: Any = run.examples("train").x
    starts = xs[np.asarray(jax.random.randint(start_key, (count,), 0, len(xs)))]
    model = run.generative, run.inference, run.corrupt, run.params
    means, samples = denoising_chain(chain_key, *model, starts, num_steps=num_steps)
    return means[-1], samples[-1]
