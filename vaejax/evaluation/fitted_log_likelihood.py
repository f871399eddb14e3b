"""log p(x) by the same estimator for every latent-variable model, whatever its q: a Gaussian q is
fitted to p(z | x) for each x, and annealed importance sampling starts from it."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vaejax import inference
from vaejax.distributions import DiagonalGaussian, structure_of
from vaejax.marginal_likelihood import annealed_importance_sampling, importance_sampling
from vaejax.marginal_likelihood.estimates import missed_by
from vaejax.sharding import in_batches, over_examples
from vaejax.types import (
    Distribution,
    Example,
    GenerativeModel,
    Joint,
    Key,
    Latent,
    Observation,
    Parameters,
    VariationalFamily,
    num_rows,
    rows_of,
)

START = 0.1  # initial scales of q, as a share of the standard deviations of p(z)
_UNIT_DRAWS = 1000
_UNIT = 2**32 - 1  # a stream of keys that no example uses
_BLOCK = 50


def fit_posterior(
    key: Key,
    joint: Joint,
    code: Latent,
    x: Observation,
    *,
    max_steps: int = 1000,
    draws_per_step: int = 2,
) -> tuple[Distribution, inference.Trace]:
    """Fit the diagonal Gaussian with the highest ELBO for one x; returns it and the trace of the
    fit.

    The fit starts at `code` (an autoencoder's code, or the mean of an encoder's q), with scales of
    a tenth of the standard deviations of p(z), estimated from 1,000 draws. Adam works in units of
    these standard deviations, since codes that no prior holds may have any scale, such as 1e-2 or
    1e2.

    Raises:
      ValueError, TypeError: as `inference.fit_variational`.
    """
    unit_key, fit_key = jax.random.split(key)
    draws = joint.prior.sample(seed=unit_key, sample_shape=(_UNIT_DRAWS,))
    return _fit(fit_key, joint, _unit(draws), code, x, max_steps, draws_per_step)


def _unit(draws):
    return jnp.maximum(jnp.std(draws, axis=0), 1e-12)


def _around(center, unit) -> VariationalFamily:
    """The family N(center + unit m, diag(unit exp(s))^2), with s = log START at first."""

    def init(key):
        del key
        return {
            "mean": jnp.zeros_like(unit),
            "log_scale": jnp.full_like(unit, math.log(START)),
        }

    def start_at(key, mean, scale):
        del key
        return {"mean": (mean - center) / unit, "log_scale": jnp.log(scale / unit)}

    return VariationalFamily(
        "around a code",
        init,
        lambda v: DiagonalGaussian(center + unit * v["mean"], jnp.log(unit) + v["log_scale"]),
        start_at,
        inference.GAUSSIAN_RATE,
    )


def _fit(key, joint, unit, code, x, max_steps, draws_per_step):
    family = _around(code, unit)
    best, trace = inference.fit_variational(
        key, family, joint, x, num_samples=draws_per_step, max_steps=max_steps
    )
    return family.distribution(best), trace


def fitted_log_likelihood(
    key: Key,
    generative: GenerativeModel,
    theta: Parameters,
    codes: np.ndarray,
    examples: Example,
    *,
    num_chains: int = 16,
    num_temperatures: int = 500,
    num_samples: int = 2000,
    max_steps: int = 1000,
    draws_per_step: int = 2,
) -> dict[str, np.ndarray]:
    """Arrays of n examples, in nats:

      `log_p`: log p(x) by annealed importance sampling from the q of `fit_posterior`;
      `importance`: log p(x) by importance sampling from the same q, as a check. Both are lower
        bounds in expectation; annealing is tighter if it has enough temperatures;
      `bound`: the ELBO of that q;
      each with its `_std_error`; of both estimates the `_khat`; `missed`, whether the check of
      annealing from the prior shows that q misses a mode; `fit_converged` and `fit_diverged`.

    Example i uses fold_in(key, i) and does not depend on the other examples.

    Args:
      codes: (n, *latent), at which the fits start.

    Raises:
      ValueError: there are no examples, or codes do not fit the examples or z.
      ValueError, TypeError: as the estimators.
    """
    codes = np.asarray(codes)
    count = num_rows(examples)
    if count == 0:
        raise ValueError("fitted_log_likelihood: expected at least one example; got none")
    prior = generative.joint(theta, rows_of(examples.given, 0)).prior
    shape = structure_of(prior).shape
    if codes.shape != (count, *shape):
        raise ValueError(
            f"fitted_log_likelihood: expected a code of shape {shape} for each of the {count} "
            f"examples; got shape {codes.shape}"
        )
    draws = prior.sample(seed=jax.random.fold_in(key, _UNIT), sample_shape=(_UNIT_DRAWS,))
    size = min(_BLOCK, count)
    run = _program(
        generative, size, num_chains, num_temperatures, num_samples, max_steps, draws_per_step
    )
    return in_batches(run, (key, theta, _unit(draws)), (codes, examples), size)


@functools.lru_cache(maxsize=16)
def _program(
    generative: GenerativeModel,
    size: int,
    num_chains: int,
    num_temperatures: int,
    num_samples: int,
    max_steps: int,
    draws_per_step: int,
) -> Callable[..., dict[str, np.ndarray]]:
    """The arrays of `size` examples, compiled once for a model."""

    def one(shared, index, coded):
        key, theta, unit = shared
        code, (x, given) = coded
        joint = generative.joint(theta, given)
        fit_key, annealed_key, importance_key = jax.random.split(jax.random.fold_in(key, index), 3)
        q, trace = _fit(fit_key, joint, unit, code, x, max_steps, draws_per_step)
        annealed = annealed_importance_sampling(
            annealed_key, joint, x, q, num_chains=num_chains, num_temperatures=num_temperatures
        )
        importance = importance_sampling(importance_key, joint, x, q, num_samples=num_samples)
        return {
            "log_p": annealed.value,
            "log_p_std_error": annealed.std_error,
            "log_p_khat": annealed.khat,
            "missed": missed_by(annealed),
            "importance": importance.value,
            "importance_std_error": importance.std_error,
            "importance_khat": importance.khat,
            "bound": importance.diagnostics["elbo"],
            "bound_std_error": importance.diagnostics["elbo_std_error"],
            "fit_converged": trace.converged,
            "fit_diverged": trace.diverged,
        }

    return over_examples(one, size)
