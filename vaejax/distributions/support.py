"""Whether x can come from p(x) at all. A log density would give a number for it all the same."""

from typing import Any

import jax
import numpy as np
from distrax import Categorical

from vaejax.distributions.autoregressive import Autoregressive
from vaejax.distributions.autoregressive_ensemble import AutoregressiveEnsemble
from vaejax.distributions.bernoulli import Bernoulli
from vaejax.distributions.capabilities import structure_of
from vaejax.distributions.categories import Categories
from vaejax.distributions.discretized_logistic import DiscretizedLogistic
from vaejax.distributions.frames import Frames, known_frames
from vaejax.distributions.state_space import StateSpace
from vaejax.errors import UserError
from vaejax.types import Distribution, Joint, Observation, missing_frames, num_rows

_BINARY = (Bernoulli, Autoregressive, AutoregressiveEnsemble)
_CATEGORIES = (Categorical, Categories)
_ROUNDING = 1e-4  # of a bin's width


def support_problem(p: Distribution, x: Any) -> str | None:
    """What is wrong with x as values of p, in one line; None where nothing is, or where p is over
    all real numbers or of a kind that is not known.

    Args:
      p: its structure is enough: its arrays may be abstract.
      x: arrays of numbers, one x or many.
    """
    if isinstance(p, Frames):
        return _problem_of_frames(p, x)
    leaves = [np.asarray(leaf).reshape(-1) for leaf in jax.tree.leaves(x)]
    # A whole split may be looked at: it is copied where it must be alone.
    values = leaves[0] if len(leaves) == 1 else np.concatenate([np.zeros(0), *leaves])
    if not values.size:
        return None
    if not np.isfinite(values).all():
        return (
            f"{type(p).__name__} is over finite values; x has others: leave those examples out, or "
            "fill them in"
        )
    if isinstance(p, _BINARY):
        if np.all((values == 0) | (values == 1)):
            return None
        return (
            f"{type(p).__name__} is over values 0 and 1; {_range(values)}: binarize x, or take a "
            "likelihood of grey values (DiscretizedLogistic) or of real numbers (DiagonalGaussian)"
        )
    if isinstance(p, _CATEGORIES):
        if np.all((values == np.round(values)) & (values >= 0) & (values < p.num_categories)):
            return None
        most = p.num_categories - 1
        return f"{type(p).__name__} is over whole numbers from 0 to {most}; {_range(values)}"
    if isinstance(p, DiscretizedLogistic):
        bins = values.astype(np.float64) * p.levels
        if np.all(np.abs(bins - np.round(bins)) <= _ROUNDING * p.levels) and (
            -0.5 < bins.min() and bins.max() < p.levels + 0.5
        ):
            return None
        whole = np.all((values == np.round(values)) & (values >= 0) & (values <= p.levels))
        mend = (
            f"divide x by {p.levels}"
            if whole
            else "divide x by its largest possible value, and give its number of levels"
        )
        return (
            f"DiscretizedLogistic is over k / {p.levels}, k = 0..{p.levels}, in [0, 1]; "
            f"{_range(values)}: {mend}"
        )
    return None


def _problem_of_frames(p: Frames, x: Any) -> str | None:
    """Of all frames that are not missing, up to the length where that is known."""
    frame = p.at(0)
    shapes = jax.tree.map(lambda leaf: leaf.shape, structure_of(frame))
    frames = jax.tree.map(lambda leaf, shape: np.asarray(leaf).reshape(-1, *shape), x, shapes)
    seen = ~missing_frames(frames)
    if p.length is not None and not isinstance(p.length, jax.core.Tracer):
        seen &= np.arange(len(seen)) % p.num_steps < int(p.length)
    flat = [leaf.reshape(len(seen), -1) for leaf in jax.tree.leaves(frames)]
    odd = seen & ~np.all([np.isfinite(leaf).all(axis=1) for leaf in flat], axis=0)
    if odd.any():
        sequence, t = divmod(int(np.argmax(odd)), p.num_steps)
        return (
            f"{type(frame).__name__} is over finite values; sequence {sequence} has others in "
            f"frame {t}: fill them in, or make the whole frame NaN, which is missing"
        )
    return support_problem(frame, jax.tree.map(lambda leaf: leaf[seen], frames))


def _range(values: np.ndarray) -> str:
    return f"got values from {float(values.min()):g} to {float(values.max()):g}"


def check_support(function: str, joint: Joint, z: Any, xs: Observation) -> bool:
    """Checks that xs can come from p(x | z).

    Args:
      function: the name that a complaint starts with.
      z: one latent: its shapes and dtypes are enough.
      xs: one x or many, concrete. It may be called inside `jax.eval_shape`.

    Returns:
      Whether p(x | z) is over values that are counted, so that log p(x) is at most 0.

    Raises:
      UserError: xs outside the support of p(x | z).
    """
    found = []

    def look(z):
        likelihood = joint.likelihood(z)
        found.append((_is_discrete(likelihood), support_problem(likelihood, xs)))
        return ()

    jax.eval_shape(look, z)
    discrete, problem = found[0]
    if problem is not None:
        raise UserError(f"{function}: p(x | z) = {problem}")
    return discrete


def check_frame_support(
    function: str, model: StateSpace, x: Observation, length: Any = None
) -> None:
    """Checks that a known x, time first, can come from p(x_t | z_t). Frames behind the length are
    not looked at.

    Raises:
      UserError: x outside the support of p(x_t | z_t).
    """
    x = known_frames(x, length)
    if x is None:
        return
    z = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((num_rows(x), *leaf.shape), leaf.dtype),
        structure_of(model.initial),
    )
    check_support(function, Joint(model.initial, lambda z: Frames(model.emission, z)), z, x)


def _is_discrete(p: Distribution) -> bool:
    p = p.at(0) if isinstance(p, Frames) else p
    return isinstance(p, (*_BINARY, *_CATEGORIES, DiscretizedLogistic))
