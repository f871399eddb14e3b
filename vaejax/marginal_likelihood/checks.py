"""What a person can get wrong about p(x, z), x and q(z | x), said before anything is computed."""

from typing import Any

import jax

from vaejax.types import Distribution, Joint, LogJoint, Observation

_KEY = jax.eval_shape(lambda: jax.random.key(0))


def check_counts(**counts: int) -> None:
    """Raises ValueError for one below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")


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
      TypeError: q has no density; the prior is needed and there is none, or it cannot be sampled.
      ValueError: x is not of the model's shape; q and the prior disagree about z.
    """
    z = _sampled(function, "q(z | x)", q) if q is not None else None
    if q is not None:
        jax.eval_shape(q.log_prob, z)  # a point mass says here that it has none
    if isinstance(joint, LogJoint):
        if needs_prior or q is None:
            raise TypeError(
                f"{function} starts from p(z) here and a LogJoint has none: give a posterior q to "
                "start from, or a Joint(prior, likelihood)"
            )
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
    return z


def _sampled(function: str, name: str, distribution: Distribution):
    try:
        return jax.eval_shape(lambda key: distribution.sample(seed=key), _KEY)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TypeError(
            f"{function} draws from {name}, which cannot be sampled ({reason}): give it a "
            "sample(seed=key), or start elsewhere"
        ) from error


def _observation_shape(joint: Joint, z):
    """Of a draw of p(x | z); None where that cannot be drawn, and so not be checked."""
    try:
        return _shapes(jax.eval_shape(lambda z, k: joint.likelihood(z).sample(seed=k), z, _KEY))
    except NotImplementedError:
        return None


def _shapes(tree):
    return jax.tree.map(lambda leaf: tuple(leaf.shape), tree)
