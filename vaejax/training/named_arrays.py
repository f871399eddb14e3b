"""Conversion of a pytree of arrays to named arrays, as files store it, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError

NamedArrays = dict[str, np.ndarray]  # the leaves by name, such as "params/generative/weights"


def by_name(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by name: {"params/generative/weights": leaf}.

    Names are the same for a tree that was read from a file, which has dictionaries in place of
    named tuples.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def stored(leaf: Any) -> np.ndarray:
    """A leaf as a numpy array, whatever devices hold it; a random key becomes its data."""
    return np.asarray(_key_data(jnp.asarray(leaf)))


def described(array: Any) -> str:
    """The shape and dtype of an array, in words."""
    return "nothing" if array is None else f"{tuple(array.shape)} {array.dtype}"


def in_structure(expected: Any, arrays: NamedArrays, what: str) -> Any:
    """The arrays in the structure of `expected` (arrays or shapes), on one device. Arrays without
    elements may be missing.

    Args:
      what: the file that holds the arrays, in words, for messages.

    Raises:
      UserError: names, shapes or dtypes differ from the expected ones.
    """
    leaves, structure = jax.tree.flatten(expected)
    shapes = jax.eval_shape(lambda tree: jax.tree.map(_key_data, tree), expected)
    wanted = by_name(shapes)
    for name in sorted(wanted.keys() | arrays.keys()):
        here, there = described(wanted.get(name)), described(arrays.get(name))
        if here != there and not (name not in arrays and wanted[name].size == 0):
            raise UserError(
                f"{what} belongs to another model or optimizer: expected {name} {here}; it has "
                f"{there}: give the configuration that made it, or another folder"
            )
    device = jax.devices()[0]
    restored = []
    for leaf, (name, shape) in zip(leaves, wanted.items(), strict=True):
        array = arrays.get(name, np.zeros(shape.shape, shape.dtype))
        array = jax.device_put(array, device)
        restored.append(_as_key(array) if _is_key(leaf) else array)
    return jax.tree.unflatten(structure, restored)


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _key_data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _as_key(data: jax.Array) -> jax.Array:
    return jax.random.wrap_key_data(data, impl="threefry2x32")
