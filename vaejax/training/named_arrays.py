"""A pytree of arrays as named arrays, as files hold it, and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError

NamedArrays = dict[str, np.ndarray]  # of each leaf, by its name: "params/generative/weights"


def by_name(tree: Any) -> dict[str, Any]:
    """{"params/generative/weights": leaf}: the same for a tree and for what a file makes of it,
    which has dictionaries in place of named tuples."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def stored(leaf: Any) -> np.ndarray:
    """A leaf as a host array, which does not depend on the devices that hold it; of a random key,
    its data."""
    return np.asarray(_key_data(jnp.asarray(leaf)))


def described(array: Any) -> str:
    """Shape and dtype."""
    return "nothing" if array is None else f"{tuple(array.shape)} {array.dtype}"


def in_structure(expected: Any, arrays: NamedArrays, what: str) -> Any:
    """The arrays in the structure of `expected` (arrays or shapes), on one device. An array
    without elements may be absent.

    Args:
      what: holds the arrays, in words.

    Raises:
      UserError: their names, shapes or dtypes are others.
    """
    leaves, structure = jax.tree.flatten(expected)
    shapes = jax.eval_shape(lambda tree: jax.tree.map(_key_data, tree), expected)
    wanted = by_name(shapes)
    for name in sorted(wanted.keys() | arrays.keys()):
        here, there = described(wanted.get(name)), described(arrays.get(name))
        if here != there and not (name not in arrays and wanted[name].size == 0):
            raise UserError(
                f"{what} is of another model or optimizer: expected {name} {here}, it has {there}; "
                "give the configuration that made it, or another folder"
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
