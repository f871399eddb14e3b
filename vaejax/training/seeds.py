"""Training of several seeds in one program."""

import jax

from vaejax.types import num_rows


def over_seeds(function, in_axes):
    """`vmap` over seeds along the first axis; a single seed runs without `vmap`, which is
    faster."""

    def mapped(*args):
        num_seeds = num_rows(args[0])
        if num_seeds > 1:
            return jax.vmap(function, in_axes)(*args)
        one = [
            jax.tree.map(lambda leaf: leaf[0], arg) if axis == 0 else arg
            for arg, axis in zip(args, in_axes, strict=True)
        ]
        return jax.tree.map(lambda leaf: leaf[None], function(*one))

    return mapped
