"""Importance sampling with q(z | x) as the proposal."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vaejax.distributions.precision import highest_precision
from vaejax.marginal_likelihood.checks import check
from vaejax.marginal_likelihood.estimate import Estimate
from vaejax.marginal_likelihood.weights import (
    bootstrap_std_error,
    interval_factor,
    moments,
    summarize,
    tail_index,
    tail_size,
)
from vaejax.types import (
    Distribution,
    Joint,
    Key,
    Latent,
    LogJoint,
    Observation,
    check_counts,
    check_key,
)

# Log weights that are held at once, at least; and the parts that the bootstrap resamples, about.
_BLOCK = 1000
_PARTS = 200
_BOOTSTRAP = 2**32 - 1  # a stream that no sample's index has


@highest_precision
def importance_sampling(
    key: Key,
    joint: Joint | LogJoint,
    x: Observation,
    q: Distribution,
    *,
    num_samples: int,
    chunk_size: int = 50,
    defensive: float = 0.0,
) -> Estimate:
    """Importance sampling of log p(x) for one x from K draws of q(z | x), in nats:

    log 1/K sum_k p(x, z_k) / q(z_k), z_k ~ q.

    In expectation a lower bound on log p(x), the IWAE-K bound of Burda et al. (2016, eq. 8),
    tightening to it with K.

    Sample k uses fold_in(key, k): the value does not depend on `chunk_size`, on how many z the
    decoder runs at a time. Weights stream: kept are the 3 sqrt(K) largest, and the
    mean of every `chunk_size` or fewer.

    With `defensive` = a > 0 the proposal is the mixture (1 - a) q + a p(z), whose weights are at
    most p(x | z) / a: bounded wherever the likelihood is (Hesterberg 1995). What `diagnostics`
    calls ELBO is then that of the mixture.

    `diagnostics` holds the ELBO (mean log weight) and, of a `Joint`, its parts `reconstruction` =
    mean log p(x | z) and `kl` = mean log q(z) - log p(z), in nats, each with its Monte Carlo
    `_std_error`; `bootstrap_std_error` of the value, resampling parts of the samples; `cubo` =
    1/2 log 1/K sum_k w_k^2, whose limit in K is an upper bound on log p(x) (Dieng et al. 2017, eq.
    3). At a finite K it lies below that limit in expectation: no bound, and far off where k-hat
    is above 1/2. `interval_factor`: what an interval is widened by, for skewed weights with a
    heavy tail; `num_draws` = K, of which below 100 no interval is stated.

    Args:
      num_samples: K.

    Raises:
      TypeError: q is not given, or a point mass; a mixture with the prior of a LogJoint.
      ValueError: num_samples or chunk_size below 1, `defensive` outside [0, 1); x or q of another
        shape than the model's.

    Example:
      From the exact posterior, N(1 / 2, 1 / 2), every weight is p(x): there is no error.

      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> joint = vaejax.Joint(DiagonalGaussian(0.0, 0.0), lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> q, x = DiagonalGaussian(0.5, jax.numpy.log(0.5) / 2), jax.numpy.array(1.0)
      >>> from vaejax.marginal_likelihood import importance_sampling
      >>> estimator = jax.jit(lambda key: importance_sampling(key, joint, x, q, num_samples=100))
      >>> estimate = estimator(jax.random.key(0))
      >>> print(f"{estimate.value:.4f}, {estimate.ess:.0f} of 100")  # log N(1; 0, 2)
      -1.5155, 100 of 100
    """
    check_key("importance_sampling", key)
    check_counts("importance_sampling", num_samples=num_samples, chunk_size=chunk_size)
    if not 0 <= defensive < 1:
        raise ValueError(
            f"importance_sampling: defensive must be at least 0 and below 1; got {defensive}"
        )
    if q is None:
        raise TypeError("importance_sampling draws from q(z | x): give a posterior; got None")
    check("importance_sampling", joint, x, q, needs_prior=defensive > 0)
    propose = _mixture(joint, q, defensive) if defensive else _from(q)
    chunk_size = min(chunk_size, num_samples)
    chunks = math.ceil(num_samples / chunk_size)
    num_largest = tail_size(num_samples) + 1
    blocks = math.ceil(chunks * chunk_size / max(_BLOCK, num_largest))
    block_size = math.ceil(chunks / blocks) * chunk_size
    part = max(
        d
        for d in range(1, chunk_size + 1)
        if chunk_size % d == 0 and d <= max(1, num_samples // _PARTS)
    )

    def one(index):
        z, log_q = propose(jax.random.fold_in(key, index))
        if isinstance(joint, LogJoint):
            return (joint.log_prob(x, z) - log_q,)
        reconstruction, kl = joint.likelihood(z).log_prob(x), log_q - joint.prior.log_prob(z)
        return reconstruction - kl, reconstruction, kl

    def chunk(_, start):
        return None, jax.vmap(one)(start + jnp.arange(chunk_size))

    def block(first):
        """Summary of its weights, moments of the terms, log mean weight of each part."""
        _, terms = jax.lax.scan(chunk, None, first + jnp.arange(0, block_size, chunk_size))
        terms = jnp.stack([term.reshape(-1) for term in terms])
        log_w = terms[0]
        valid = first + jnp.arange(block_size) < num_samples
        sums = jax.nn.logsumexp(jnp.where(valid, log_w, -jnp.inf).reshape(-1, part), axis=1)
        counts = jnp.maximum(jnp.sum(valid.reshape(-1, part), axis=1), 1)
        summary = summarize(log_w, valid, num_largest)
        return (summary, moments(terms, valid)), sums - jnp.log(counts)

    def merge(carry, first):
        new, parts = block(first)
        return tuple(a.merge(b) for a, b in zip(carry, new, strict=True)), parts

    carry, parts = block(0)
    carry, more = jax.lax.scan(merge, carry, jnp.arange(block_size, num_samples, block_size))
    parts = jnp.concatenate([parts, more.reshape(-1)])[: math.ceil(num_samples / part)]
    weights, means = carry
    khat = tail_index(weights.largest)
    names = ("elbo", "reconstruction", "kl")[: means.mean.shape[0]]
    errors = [f"{name}_std_error" for name in names]
    return Estimate(
        value=weights.log_mean_exp(),
        std_error=weights.std_error(),
        ess=weights.effective_sample_size(),
        khat=khat,
        diagnostics={
            **dict(zip(names, means.mean, strict=True)),
            **dict(zip(errors, means.std_error(), strict=True)),
            "bootstrap_std_error": bootstrap_std_error(jax.random.fold_in(key, _BOOTSTRAP), parts),
            "cubo": weights.log_root_mean_square(),
            "interval_factor": interval_factor(khat, weights.scaled, num_samples),
            "num_draws": jnp.asarray(num_samples, jnp.int32),
        },
    )


Propose = Callable[[Key], tuple[Latent, jax.Array]]


def _from(q: Distribution) -> Propose:
    return lambda key: q.sample_and_log_prob(seed=key)


def _mixture(joint: Any, q: Distribution, share: float) -> Propose:
    """Draws of (1 - share) q + share p(z), with their log density."""
    prior = joint.prior

    def propose(key):
        choice, q_key, prior_key = jax.random.split(key, 3)
        from_prior = jax.random.bernoulli(choice, share)
        z = jax.tree.map(
            lambda a, b: jnp.where(from_prior, a, b),
            prior.sample(seed=prior_key),
            q.sample(seed=q_key),
        )
        log_q = math.log1p(-share) + q.log_prob(z)
        return z, jnp.logaddexp(log_q, math.log(share) + prior.log_prob(z))

    return propose
