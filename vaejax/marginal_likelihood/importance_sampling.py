"""Importance sampling with q(z | x) as the proposal."""

import math

import jax
import jax.numpy as jnp

from vaejax.marginal_likelihood.estimate import Estimate
from vaejax.marginal_likelihood.weights import (
    effective_sample_size,
    log_mean_exp,
    pareto_khat,
    std_error_of_log_mean,
)
from vaejax.types import Distribution, Joint, Key, Observation


def importance_sampling(
    key: Key,
    joint: Joint,
    x: Observation,
    q: Distribution,
    *,
    num_samples: int,
    chunk_size: int = 50,
) -> Estimate:
    """log 1/K sum_k p(x, z_k) / q(z_k), z_k ~ q: in expectation a lower bound on log p(x), the
    IWAE-K bound of Burda et al. (2016, eq. 8), tightening to it with K.

    Sample k uses fold_in(key, k): the value does not depend on `chunk_size`, which bounds memory
    (the decoder runs on so many z at a time; 8 bytes a sample are kept).

    `diagnostics` holds the ELBO (mean log weight) and its parts `reconstruction` = mean log
    p(x | z) and `kl` = mean log q(z) - log p(z), in nats, each with its Monte Carlo `_std_error`.

    Raises:
      TypeError: q is a point mass.
      ValueError: num_samples or chunk_size below 1.
    """
    if num_samples < 1 or chunk_size < 1:
        raise ValueError(
            f"num_samples and chunk_size must be at least 1; got {num_samples}, {chunk_size}"
        )
    chunk_size = min(chunk_size, num_samples)

    def one(index):
        z, log_q = q.sample_and_log_prob(seed=jax.random.fold_in(key, index))
        return joint.likelihood(z).log_prob(x), log_q - joint.prior.log_prob(z)

    def chunk(_, start):
        return None, jax.vmap(one)(start + jnp.arange(chunk_size))

    starts = jnp.arange(math.ceil(num_samples / chunk_size)) * chunk_size
    _, (reconstruction, kl) = jax.lax.scan(chunk, None, starts)
    reconstruction = reconstruction.reshape(-1)[:num_samples]
    kl = kl.reshape(-1)[:num_samples]
    log_w = reconstruction - kl
    return Estimate(
        value=log_mean_exp(log_w),
        std_error=std_error_of_log_mean(log_w),
        ess=effective_sample_size(log_w),
        khat=pareto_khat(log_w),
        diagnostics={
            "elbo": jnp.mean(log_w),
            "elbo_std_error": _std_error(log_w),
            "reconstruction": jnp.mean(reconstruction),
            "reconstruction_std_error": _std_error(reconstruction),
            "kl": jnp.mean(kl),
            "kl_std_error": _std_error(kl),
        },
    )


def _std_error(values):
    """Of their mean: sd / sqrt(K); infinite at K = 1, where it is unknown."""
    k = values.shape[0]
    return jnp.std(values) / math.sqrt(k - 1) if k > 1 else jnp.full((), jnp.inf)
