"""What every estimator of log p(x) returns."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Estimate(NamedTuple):
    """Of log p(x) for one x, in nats.

    Attributes:
      value: the estimate; a lower bound on log p(x) in expectation where exp(value) is unbiased.
      std_error: Monte Carlo standard error of `value` (delta method).
      ess: effective sample size, (sum w)^2 / sum w^2, of the normalized weights.
      khat: Pareto tail index of the weights (Vehtari et al. 2024): above 0.7 `std_error` is not
        to be believed, and `value` is far from log p(x); as a bound it holds.
      diagnostics: what else the estimator measured, by name.
    """

    value: Float[Array, ""]
    std_error: Float[Array, ""]
    ess: Float[Array, ""]
    khat: Float[Array, ""]
    diagnostics: dict[str, Float[Array, "..."]]
