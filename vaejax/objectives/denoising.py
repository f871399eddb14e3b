"""p(x | x~), z summed out by a draw, and the chain of it that training may walk along."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vaejax.types import Distribution, Joint, Key, Observation


def denoise(
    key: Key,
    posterior: Callable[[Observation], Distribution],
    joint: Joint,
    corrupted: Observation,
) -> Distribution:
    """What the model makes of a corrupted x: p(x | z) at one draw z ~ q(z | x~).

    A draw of what is returned is one of p(x | x~) = E_q[p(x | z)]. Where q is a point mass the two
    are the same, and the elements of x are independent given x~ if they are given z.

    Args:
      posterior: x -> q(z | x).
      corrupted: x~, one example.
    """
    return joint.likelihood(posterior(corrupted).sample(seed=key))


def walkback(
    key: Key,
    posterior: Callable[[Observation], Distribution],
    joint: Joint,
    corrupt: Callable[[Key, Observation], Observation],
    x: Observation,
    *,
    most: int,
) -> Observation:
    """The corrupted x that q sees in walkback training (Bengio et al. 2013, algorithm 2).

    x~ = corrupt(x); then, k times, x' ~ p(x | x~), x~ = corrupt(x'). The target stays x, so the
    model learns to come back from where its own chain goes. P(k) is in proportion to 2^-k, k =
    0..most. With `most` = 0 it is corrupt(key, x).

    The paper walks on with probability 1/2 and trains on every x~ on the way: round k is reached by
    2^-k of the walks, so over all x the pairs (x, x~) are the same mixture, here one a step. No
    gradient passes through the walk.

    Args:
      posterior: x -> q(z | x).
      corrupt: (key, x) -> x~, for one example.
      most: the largest number of rounds.
    """
    if most == 0:
        return corrupt(key, x)
    start_key, length_key, walk_key = jax.random.split(key, 3)
    length = jax.random.categorical(length_key, -jnp.log(2.0) * jnp.arange(most + 1))

    def onwards(index, corrupted):
        keys = jax.random.split(jax.random.fold_in(walk_key, index), 3)
        drawn = denoise(keys[0], posterior, joint, corrupted).sample(seed=keys[1])
        further = corrupt(keys[2], drawn)
        return jax.tree.map(
            lambda new, old: jnp.where(index < length, new, old), further, corrupted
        )

    return jax.lax.stop_gradient(jax.lax.fori_loop(0, most, onwards, corrupt(start_key, x)))
