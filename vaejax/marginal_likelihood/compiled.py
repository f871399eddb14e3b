"""Models as arguments of compiled functions: their arrays are traced, the rest names the program.

So a program is compiled once for a model, and serves it with other parameters.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from vaejax.sharding import over_examples

Result = TypeVar("Result")


class Structure(NamedTuple):
    """What of a pytree is not arrays: hashable, functions by identity."""

    tree: Any
    others: tuple[Any, ...]  # None in the places of arrays

    def rebuild(self, arrays: list[Any]) -> Any:
        """The pytree with these arrays."""
        remaining = iter(arrays)
        leaves = [next(remaining) if other is None else other for other in self.others]
        return jax.tree.unflatten(self.tree, leaves)


def separate(tree: Any) -> tuple[Structure, list[Any]]:
    """(structure, arrays) of a pytree whose leaves are arrays, numbers and functions: of a Joint,
    the parameters where its likelihood is a `jax.tree_util.Partial`. What a plain function
    encloses is part of the function."""
    leaves, structure = jax.tree.flatten(tree)
    others = tuple(None if _is_array(leaf) else leaf for leaf in leaves)
    return Structure(structure, others), [leaf for leaf in leaves if _is_array(leaf)]


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | float | int)


def in_float(tree: Any, dtype: type) -> Any:
    """The tree, on the host, with its floating-point arrays in this type."""

    def cast(leaf):
        leaf = np.asarray(leaf)
        return leaf.astype(dtype) if np.issubdtype(leaf.dtype, np.floating) else leaf

    return jax.tree.map(cast, tree)


def in_float64(function: Callable[[type], Result]) -> Result:
    """function(np.float64), or function(np.float32) where the model's code insists on it."""
    with jax.enable_x64(True):
        try:
            return function(np.float64)
        except (TypeError, ValueError):
            pass
    with jax.enable_x64(False):
        return function(np.float32)


class Bound(NamedTuple):
    """A function with arguments bound to it, told apart by them and not by identity."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*self.arguments, *arguments, **dict(self.settings))


def hashable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Two `functools.partial` of equal settings become equal, where these can be hashed."""
    if not isinstance(function, functools.partial):
        return function
    bound: Any = Bound(function.func, function.args, tuple(sorted(function.keywords.items())))
    try:
        hash(bound)
    except TypeError:  # an array among them: each partial is its own
        return function
    return bound


@functools.lru_cache(maxsize=16)
def estimates_of_batches(structure: Structure, estimator: Callable[..., Any], batch_size: int):
    """`over_examples` of estimator(key, joint, x, q); shared: (key, arrays of the structure of
    (joint, posterior))."""

    def one(shared, index, x):
        key, arrays = shared
        joint, posterior = structure.rebuild(arrays)
        q = None if posterior is None else posterior(x)
        return estimator(jax.random.fold_in(key, index), joint, x, q)

    return over_examples(one, batch_size)
