"""The information about x in z: E KL(q(z|x) || p(z)) = I_q(x; z) + KL(q(z) || p(z)), where q(z) is
the mean of q(z | x) over the data (Hoffman & Johnson 2016)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vaejax.distributions import kl_per_dimension, mean_and_noise
from vaejax.evaluation.summary import active_units, flat
from vaejax.types import (
    Example,
    GenerativeModel,
    InferenceNetwork,
    Key,
    Params,
    bind,
    num_rows,
    rows_of,
)

_DRAWS = 2  # of z for each example: the least number that gives a Monte Carlo error
_BATCH = 500
_MAX_VALUES = 20_000_000  # numbers in memory at a time


def latent_use(
    generative: GenerativeModel, inference: InferenceNetwork
) -> Callable[[Key, Params, Example], dict[str, np.ndarray]]:
    """A compiled function (key, params, examples) -> arrays of each example in nats, each with its
    `_std_error`, for at least 2 examples and a q with a density.

    With z_i ~ q(z | x_i), for n examples:
      `information_lower`: log q(z_i | x_i) - log 1/n sum_j q(z_i | x_j), which is at most log n;
      `information_upper`: the same with the mean over the n - 1 others, j != i. In expectation over
        data sets they are a lower and an upper bound on I_q(x; z) (Poole et al. 2019, eqs. 12, 13);
      `aggregate_kl_upper` and `aggregate_kl_lower`: log of the same two mixtures - log p(z_i), in
        expectation an upper and a lower bound on KL(q(z) || p(z)).
    The lower bound of one and the upper bound of the other add up to log q(z_i | x_i) - log p(z_i).

    Example i uses fold_in(key, i). Its numbers depend on the other examples; the error over data
    ignores this.
    """

    @jax.jit
    def measure(key, params, examples):
        n = num_rows(examples.x)

        def draw(inputs):
            index, example = inputs
            joint, q, _ = bind(generative, inference, params, example)
            z = q.sample(seed=jax.random.fold_in(key, index), sample_shape=(_DRAWS,))
            return z, jax.vmap(q.log_prob)(z), jax.vmap(joint.prior.log_prob)(z)

        indices = jnp.arange(n)
        z, log_q, log_prior = jax.lax.map(draw, (indices, examples), batch_size=_BATCH)
        others = _log_sum_of_others(params, examples, z)
        included = jnp.logaddexp(others, log_q) - jnp.log(n)
        excluded = others - jnp.log(n - 1)
        values = {
            "information_lower": log_q - included,
            "information_upper": log_q - excluded,
            "aggregate_kl_lower": excluded - log_prior,
            "aggregate_kl_upper": included - log_prior,
        }
        means = {name: value.mean(axis=1) for name, value in values.items()}
        return means | {
            f"{name}_std_error": value.std(axis=1, ddof=1) / _DRAWS**0.5
            for name, value in values.items()
        }

    def _log_sum_of_others(params, examples, z) -> Float[Array, "n draws"]:
        """log sum_{j != i} q(z_i | x_j), summed over blocks of j."""
        n, flat = (
            num_rows(examples.x),
            jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), z),
        )
        own = jnp.repeat(jnp.arange(n), _DRAWS)
        size = min(n, max(1, _MAX_VALUES // sum(leaf.size for leaf in jax.tree.leaves(flat))))

        def log_density(example):
            return jax.vmap(bind(generative, inference, params, example)[1].log_prob)(flat)

        def add(total, block):
            rows = jnp.minimum(block, n - 1)
            log_q = jax.vmap(log_density)(rows_of(examples, rows))
            counted = (block[:, None] < n) & (block[:, None] != own)
            log_q = jnp.where(counted, log_q, -jnp.inf)
            return jnp.logaddexp(total, jax.nn.logsumexp(log_q, axis=0)), None

        blocks = jnp.arange(-(-n // size) * size).reshape(-1, size)
        total, _ = jax.lax.scan(add, jnp.full(n * _DRAWS, -jnp.inf), blocks)
        return total.reshape(n, _DRAWS)

    def run(key, params, examples):
        if num_rows(examples.x) < 2:
            raise ValueError(f"expected at least 2 examples; got {num_rows(examples.x)}")
        with jax.default_matmul_precision("highest"):
            found = measure(key, params, jax.tree.map(jnp.asarray, examples))
        return {name: np.asarray(values) for name, values in found.items()}

    return run


def watch_latents(
    generative: GenerativeModel, inference: InferenceNetwork, examples: Example
) -> Callable[[Key, Params], dict[str, Any]]:
    """A function (key, params) -> the numbers on the latents of these examples that training logs:
    the bounds on I_q(x; z) and on KL(q(z) || p(z)) in nats; `active_units`, the number of
    dimensions with Var_x E_q[z] > 0.01 (Burda et al. 2016); and, if q and the prior are diagonal
    Gaussians, `kl_per_dimension`, the mean KL of each dimension in nats."""
    use = latent_use(generative, inference)
    examples = jax.tree.map(jnp.asarray, examples)

    @jax.jit
    def look(key, params, examples):
        def one(index, example):
            joint, q, _ = bind(generative, inference, params, example)
            kl = kl_per_dimension(q, joint.prior)
            return *mean_and_noise(jax.random.fold_in(key, index), q), kl

        return jax.vmap(one)(jnp.arange(num_rows(examples.x)), examples)

    def watch(key, params):
        use_key, look_key = jax.random.split(key)
        line: dict[str, Any] = {
            name: float(values.mean())
            for name, values in use(use_key, params, examples).items()
            if not name.endswith("_std_error")
        }
        code, noise, kl = look(look_key, params, examples)
        line["active_units"] = active_units(flat(code), None if noise is None else flat(noise))
        if kl is not None:
            means = flat(kl).mean(axis=0)
            line["kl_per_dimension"] = [round(float(nats), 5) for nats in means]
        return line

    return watch
