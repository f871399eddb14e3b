"""Whether p(z), p(x | z), q(z | x) and x fit together, told from shapes alone."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax

from vaejax.distributions.capabilities import has_density, structure_of
from vaejax.errors import UserError
from vaejax.types import Distribution, Joint, Observation


def check_shapes(function: str, joint: Joint, q: Distribution, x: Observation) -> None:
    """Checks that p(z), p(x | z), q(z | x) and x fit together, from shapes alone.

    A density of another shape than x's would broadcast, and give a wrong number without a word.
    Nothing is computed: it may be called inside `jax.eval_shape`.

    Args:
      function: the name that a complaint starts with.

    Raises:
      TypeError: the likelihood is written with NumPy.
      UserError: q and the prior draw z of other shapes or dtypes; p(x | z) is over another shape
        than x's; a log density of one example is not one number.
    """
    latent, drawn = structure_of(joint.prior), structure_of(q)
    if _described(latent) != _described(drawn):
        raise UserError(
            f"{function}: q(z | x) draws z of {_words(drawn)}; the prior p(z) has "
            f"{_words(latent)}: they must agree"
        )
    with written_with_jax(function, "likelihood(z), with its sample and log_prob,"):
        _check_likelihood(function, joint, latent, x)
    _scalar(function, "the prior's log_prob(z)", joint.prior.log_prob, latent)
    if has_density(q):
        _scalar(function, "q(z | x)'s log_prob(z)", q.log_prob, latent)


@contextlib.contextmanager
def written_with_jax(function: str, what: str) -> Iterator[None]:
    """A context that turns the use of NumPy on what is traced inside into one line.

    Raises:
      TypeError: what is computed inside is given to NumPy.
    """
    try:
        yield
    except jax.errors.TracerArrayConversionError:
        raise TypeError(
            f"{function}: {what} must be written with jax.numpy, not numpy: x and z are traced"
        ) from None


def _check_likelihood(function: str, joint: Joint, latent: Any, x: Observation) -> None:
    likelihood = _likelihood_structure(joint, latent)
    if likelihood is not None and _shapes(likelihood) != _shapes(x):
        raise UserError(
            f"{function}: p(x | z) is over x of shape {_shapes(likelihood)}; the data have x of "
            f"shape {_shapes(x)}: give the decoder that output shape, or reshape the data"
        )
    _scalar(
        function, "p(x | z)'s log_prob(x)", lambda z, x: joint.likelihood(z).log_prob(x), latent, x
    )


def _likelihood_structure(joint: Joint, latent: Any) -> Any:
    """Of a draw of p(x | z); None where that cannot be drawn, and so not be checked."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    try:
        return jax.eval_shape(lambda z, k: joint.likelihood(z).sample(seed=k), latent, key)
    except (NotImplementedError, AttributeError):
        return None


def _scalar(function: str, name: str, log_density, *arguments) -> None:
    shape = jax.eval_shape(log_density, *arguments).shape
    if shape != ():
        raise UserError(
            f"{function}: {name} has shape {shape}; the log density of one example is one number: "
            "sum over the event (distrax.Independent, or .sum())"
        )


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: tuple(leaf.shape), tree)


def _described(tree: Any) -> Any:
    """Structure, shapes and kinds of numbers; the width of a float may differ."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype.kind) for leaf in leaves]


def _words(tree: Any) -> str:
    leaves = [f"shape {tuple(leaf.shape)} {leaf.dtype.name}" for leaf in jax.tree.leaves(tree)]
    return " and ".join(leaves) or "no z"
