"""What a person can get wrong about p(x, z), x and q(z | x), said before anything is computed."""

from typing import Any

import jax
import numpy as np

from vaejax.types import Distribution, Joint, LogJoint, Observation

_KEY = jax.eval_shape(lambda: jax.random.key(0))


def check_counts(function: str, **counts: int) -> None:
    """Raises ValueError for one that is not a whole number above 0."""
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{function}: {name} must be a whole number, at least 1; got {value}")


def check(
    function: str,
    joint: Joint | LogJoint,
    x: Observation,
    q: Distribution | None,
    *,
    needs_prior: bool = False,
) -> Any:
    """The shapes of a latent, from shapes alone: nothing is computed.

    Raises:
      TypeError: q has no density; the prior is needed and there is none, or it cannot be sampled;
        `joint` is neither a Joint nor a LogJoint.
      ValueError: x is not of the model's shape; q and the prior disagree about z; a log density
        is not one number.
    """
    if not isinstance(joint, LogJoint) and not hasattr(joint, "prior"):
        raise TypeError(
            f"{function}: joint must be a vaejax.Joint(prior, likelihood) or a "
            f"vaejax.LogJoint(function of x and z); got {type(joint).__name__}"
        )
    z = _sampled(function, "q(z | x)", q) if q is not None else None
    if q is not None:
        # A point mass says here that it has none.
        _scalar(function, "q.log_prob(z)", q.log_prob, z)
    if isinstance(joint, LogJoint):
        if needs_prior or q is None:
            raise TypeError(
                f"{function} starts from p(z) here and a LogJoint has none: give a posterior q to "
                "start from, or a Joint(prior, likelihood)"
            )
        _scalar(function, "joint.log_prob(x, z)", joint.log_prob, x, z)
        return z
    try:
        z_prior = _sampled(function, "the prior p(z)", joint.prior)
    except TypeError:
        if needs_prior or q is None:
            raise
        z_prior = z
    if z is not None and _shapes(z) != _shapes(z_prior):
        raise ValueError(
            f"{function}: the posterior q draws z of shape {_shapes(z)}; the prior p(z) of this "
            f"joint has {_shapes(z_prior)}: they must agree"
        )
    z = z_prior
    shape = _observation_shape(joint, z)
    if shape is not None and shape != _shapes(x):
        raise ValueError(
            f"{function}: x has shape {_shapes(x)}; this model's p(x | z) is over {shape}: give "
            "one x of that shape (log_marginal_likelihood takes many, along the first axis)"
        )
    _scalar(function, "joint.prior.log_prob(z)", joint.prior.log_prob, z)
    name = "joint.likelihood(z).log_prob(x)"
    _scalar(function, name, lambda x, z: joint.likelihood(z).log_prob(x), x, z)
    return z


def check_latent(function: str, joint: Joint, z: Any, x: Observation, q) -> None:
    """Raises ValueError for a z of another shape than the model's; and as `check`."""
    wanted = _shapes(check(function, joint, x, q))
    if _shapes(z) != wanted:
        raise ValueError(
            f"{function}: z has shape {_shapes(z)}; this model's has {wanted}: give the z of "
            "(z, x) = joint.sample(key)"
        )


def check_simulates(function: str, joint: Joint) -> None:
    """Raises TypeError for a model of which (z, x) cannot be drawn."""
    z = _sampled(function, "the prior p(z)", joint.prior)
    try:
        jax.eval_shape(lambda z, k: joint.likelihood(z).sample(seed=k), z, _KEY)
    except (NotImplementedError, AttributeError) as error:
        raise TypeError(
            f"{function} simulates x from p(x | z), which cannot be sampled ({_reason(error)})"
        ) from error


def _scalar(function: str, name: str, log_density, *arguments) -> None:
    shape = jax.eval_shape(log_density, *arguments).shape
    if shape != ():
        raise ValueError(
            f"{function}: {name} has shape {shape}; the log density of one example is one "
            "number: sum over the event (distrax.Independent, or .sum())"
        )


def _sampled(function: str, name: str, distribution: Distribution):
    try:
        return jax.eval_shape(lambda key: distribution.sample(seed=key), _KEY)
    except Exception as error:
        raise TypeError(
            f"{function} draws from {name}, which cannot be sampled ({_reason(error)}): give it a "
            "sample(seed=key), or start elsewhere"
        ) from error


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _observation_shape(joint: Joint, z):
    """Of a draw of p(x | z); None where that cannot be drawn, and so not be checked."""
    try:
        return _shapes(jax.eval_shape(lambda z, k: joint.likelihood(z).sample(seed=k), z, _KEY))
    except (NotImplementedError, AttributeError):
        return None


def _shapes(tree):
    return jax.tree.map(lambda leaf: tuple(leaf.shape), tree)
