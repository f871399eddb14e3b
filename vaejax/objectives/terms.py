"""What an objective returns."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Terms(NamedTuple):
    """What an objective returns for one example, in nats.

    Attributes:
      value: what is maximized.
      metrics: what the log shows beside it, by name.
    """

    value: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
