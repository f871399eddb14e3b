"""What a person can get wrong about p(x, z), x and q(z | x), said before anything is computed."""

from typing import Any

import jax

from vaejax.distributions import check_shapes, has_density, structure_of, written_with_jax
from vaejax.types import Distribution, Joint, LogJoint, Observation

_KEY = jax.eval_shape(lambda: jax.random.key(0))


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
      TypeError: the model is written with NumPy; q has no density; the prior is needed and there
        is none, or it cannot be sampled; `joint` is neither a Joint nor a LogJoint.
      ValueError: x is not of the model's shape; q and the prior disagree about z; a log density
        is not one number.
    """
    if not isinstance(joint, LogJoint) and not hasattr(joint, "prior"):
        raise TypeError(
            f"{function}: joint must be a vaejax.Joint(prior, likelihood) or a "
            f"vaejax.LogJoint(function of x and z); got {type(joint).__name__}"
        )
    if q is not None and not has_density(q):
        raise TypeError(
            f"{function}: q(z | x) is a point mass, which has no density: give a q that has one"
        )
    z = _sampled(function, "q(z | x)", q) if q is not None else None
    if isinstance(joint, LogJoint):
        if needs_prior or q is None:
            raise TypeError(
                f"{function} starts from p(z) here and a LogJoint has none: give a posterior q to "
                "start from, or a Joint(prior, likelihood)"
            )
        with written_with_jax(function, "joint.log_prob(x, z)"):
            shape = jax.eval_shape(joint.log_prob, x, z).shape
        if shape != ():
            raise ValueError(
                f"{function}: joint.log_prob(x, z) has shape {shape}; the log density of one "
                "example is one number: sum over the event"
            )
        return z
    if z is None or needs_prior or has_prior_draws(joint):
        z = _sampled(function, "the prior p(z)", joint.prior)
        check_shapes(function, joint, joint.prior if q is None else q, x)
    return z


def has_prior_draws(joint: Joint | LogJoint) -> bool:
    """Whether there is a prior that can be sampled."""
    if isinstance(joint, LogJoint):
        return False
    try:
        structure_of(joint.prior)
    except Exception:  # whatever another library raises
        return False
    return True


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


def _sampled(function: str, name: str, distribution: Distribution):
    try:
        return structure_of(distribution)
    except Exception as error:
        raise TypeError(
            f"{function} draws from {name}, which cannot be sampled ({_reason(error)}): give it a "
            "sample(seed=key), or start elsewhere"
        ) from error


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _shapes(tree):
    return jax.tree.map(lambda leaf: tuple(leaf.shape), tree)
