"""The front door: log p(x) of every example of an array, exactly where that can be."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.distributions import check_support
from vaejax.marginal_likelihood.annealed_importance_sampling import annealed_importance_sampling
from vaejax.marginal_likelihood.checks import check
from vaejax.marginal_likelihood.compiled import estimates_of_batches, hashable, separate
from vaejax.marginal_likelihood.estimate import Estimate
from vaejax.marginal_likelihood.estimates import Estimates
from vaejax.marginal_likelihood.exact import Exact, exact
from vaejax.marginal_likelihood.importance_sampling import importance_sampling
from vaejax.sharding import in_batches
from vaejax.types import Distribution, Joint, Key, LogJoint, Observation, check_key, num_rows

Estimator = Callable[..., Estimate]  # (key, joint, x, q) -> Estimate
Posterior = Callable[[Observation], Distribution]
_NAME = "log_marginal_likelihood"
_DRAWS = 5000  # of importance sampling, where z cannot be annealed


def log_marginal_likelihood(
    key: Key,
    joint: Joint | LogJoint,
    xs: Observation,
    *,
    posterior: Posterior | None = None,
    estimator: Estimator | Literal["auto"] = "auto",
    batch_size: int | None = None,
    first_index: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> Estimates:
    """log p(x) for each x of `xs`, in nats: exactly where that can be, else an estimate that says
    what it is worth.

    Example i uses fold_in(key, first_index + i), whatever `batch_size` and devices. Importance
    sampling gives the same value; annealing in float32 may not, by an acceptance that a rounding
    flips (within its error; in float64 it does).

    One program is compiled for a model: parameters that are leaves of `joint` and `posterior`
    (each a `jax.tree_util.Partial` of a function and its parameters) may change. What a plain
    function encloses is part of the program, and another function object is another program.

    Args:
      xs: observations along the first axis.
      posterior: x -> q(z | x), where the estimator wants one.
      estimator: "auto": exact where that can be (`exact`; `method` says so); else annealed
        importance sampling, which checks itself against chains from the prior; where z has whole
        numbers, importance sampling with 5,000 draws. Or any (key, joint, x, q) -> Estimate, which
        is then used, with its settings bound by `functools.partial`:

            partial(annealed_importance_sampling, num_chains=16, num_temperatures=500)

      batch_size: how many examples are computed at a time; chosen unless given.
      first_index: index of xs[0] in its data set, when xs is a part of it.
      progress: called with the number of examples done.

    Raises:
      ValueError, TypeError: as the estimator does.
      ValueError: x outside the support of p(x | z); no example, or none with a finite estimate.
        Where some have none, `summary()["not_finite"]` has their indices.

    Example:
      >>> import jax, vaejax
      >>> from vaejax.distributions import DiagonalGaussian
      >>> prior = vaejax.distributions.standard_normal(1)
      >>> joint = vaejax.Joint(prior, lambda z: DiagonalGaussian(z, 0.0 * z))
      >>> xs = jax.numpy.array([[0.0], [1.0]])
      >>> estimates = vaejax.log_marginal_likelihood(jax.random.key(0), joint, xs)
      >>> [f"{value:.4f}" for value in estimates.value]  # log N(x; 0, 2), exactly
      ['-1.2655', '-1.5155']
      >>> estimates.method
      "exact: linear-Gaussian: log N(x; W m + b, W S W' + R)"
    """
    check_key(_NAME, key)
    if num_rows(xs) == 0:
        raise ValueError(f"{_NAME}: expected at least one example; got none")
    if isinstance(estimator, str) and estimator != "auto":
        raise ValueError(
            f'{_NAME}: estimator is "auto" or a function (key, joint, x, q) -> Estimate; got '
            f"{estimator!r}"
        )
    first = jax.tree.map(lambda leaf: leaf[0], xs)
    z = check(_NAME, joint, first, None if posterior is None else posterior(first))
    discrete = isinstance(joint, Joint) and check_support(_NAME, joint, z, xs)
    if isinstance(estimator, str):
        found = exact(joint)
        if found is not None:
            return _exact(found, xs)._replace(discrete=discrete)
        estimator = _default(z)
    structure, arrays = separate((joint, posterior))
    size = max(1, min(batch_size or 100, num_rows(xs)))
    run = estimates_of_batches(structure, hashable(estimator), size)
    estimate = in_batches(run, (key, arrays), xs, size, first_index, progress)
    name = _name(estimator)
    if not np.isfinite(estimate.value).any():
        raise ValueError(
            f"{_NAME}: {name} is finite for none of the {len(estimate.value)} "
            f"examples; for example {first_index} it is {estimate.value[0]}: look at what "
            "joint.log_prob(x, z) gives for that x and z ~ q"
        )
    return Estimates(**estimate._asdict(), method=name, discrete=discrete)


def _default(z: Any) -> Estimator:
    """The estimator that checks itself, for a latent of these shapes and dtypes."""
    if all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(z)):
        return annealed_importance_sampling
    return functools.partial(importance_sampling, num_samples=_DRAWS)


def _exact(found: Exact, xs: Observation) -> Estimates:
    value, std_error = found.log_marginal(jax.tree.map(np.asarray, xs))
    infinite = np.full(len(value), np.inf)
    return Estimates(value, std_error, infinite, -infinite, {}, f"exact: {found.reason}")


def _name(estimator: Estimator) -> str:
    function = getattr(estimator, "func", estimator)
    return getattr(function, "__name__", type(function).__name__).replace("_", " ")
