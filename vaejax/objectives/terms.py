"""What an objective returns."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Terms(NamedTuple):
    """Of one example, in nats: `value` is maximized; the others are there to be looked at.

    `kl` is the cost of the code where the objective has one, and 0 where it has none.
    """

    value: Float[Array, ""]
    reconstruction: Float[Array, ""]
    kl: Float[Array, ""]
