"""The front door: log p(x) of every example of an array, exactly where that can be."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from scipy import stats

from vaejax.marginal_likelihood.averages import mean_and_errors
from vaejax.marginal_likelihood.checks import check
from vaejax.marginal_likelihood.estimate import Estimate
from vaejax.marginal_likelihood.exact import exact
from vaejax.sharding import map_examples
from vaejax.types import Distribution, Joint, Key, LogJoint, Observation

Estimator = Callable[..., Estimate]  # (key, joint, x, q) -> Estimate

# Above these an example is flagged, with its figures: it is never averaged away in silence. A
# standard error of half a nat is that of log weights spread by more than one: not known from few.
MAX_KHAT = 0.7
MAX_STD_ERROR = 0.5
MAX_GAP = 0.5


class Estimates(NamedTuple):
    """`Estimate`, with a leading axis of examples, and how it was made."""

    value: np.ndarray
    std_error: np.ndarray
    ess: np.ndarray
    khat: np.ndarray
    diagnostics: dict[str, np.ndarray]
    method: str

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """(low, high): value -+ t std_error, with Student's t at ess - 1 degrees of freedom.

        Uneven weights count for fewer, so the interval widens as they do. Where k-hat or a
        standard error is flagged there is no honest one: it is infinite.
        """
        freedom = np.clip(self.ess.astype(np.float64) - 1.0, 1e-3, 1e9)
        half = stats.t.ppf(0.5 + level / 2, freedom) * self.std_error
        half = np.where((self.khat > MAX_KHAT) | self._uneven(), np.inf, half)
        return self.value - half, self.value + half

    def _uneven(self) -> np.ndarray:
        """Whether a standard error, of any start, is too large to be known."""
        names = ("from_prior_std_error", "from_posterior_std_error", "upper_std_error")
        errors = [self.std_error, *(self.diagnostics[n] for n in names if n in self.diagnostics)]
        return ~(np.max(errors, axis=0) <= MAX_STD_ERROR)

    def flags(self) -> dict[str, np.ndarray]:
        """Indices of the examples not to be believed, by reason."""
        d = self.diagnostics
        found = {
            "not finite": ~np.isfinite(self.value),
            f"Pareto k-hat above {MAX_KHAT}": self.khat > MAX_KHAT,
            f"standard error above {MAX_STD_ERROR} nats": self._uneven(),
        }
        if "gap" in d:
            found[f"bounds more than {MAX_GAP} nats apart"] = ~(d["gap"] <= MAX_GAP)
        if "disagreement" in d:
            error = np.hypot(d["from_prior_std_error"], d["from_posterior_std_error"])
            apart = np.abs(d["disagreement"]) > np.maximum(MAX_GAP, 3 * error)
            found["start at the prior finds more than start at q: q misses a mode"] = apart & (
                d["disagreement"] < 0
            )
            found["start at q finds more than start at the prior"] = apart & (d["disagreement"] > 0)
        return {reason: np.flatnonzero(mask) for reason, mask in found.items() if mask.any()}

    def summary(self) -> dict:
        """Means over the finite values in float64, the two standard errors apart, flags with the
        indices that they are about; of both bounds where there are two."""
        finite = np.isfinite(self.value)
        flags = self.flags()
        n = int(finite.sum())
        summary = {
            "method": self.method,
            "n": n,
            "not_finite": np.flatnonzero(~finite).tolist(),
            "log_p": mean_and_errors(self.value[finite], self.std_error[finite]),
            "ess_median": _median(self.ess),
            "khat_median": _median(self.khat),
            "flagged": len(set().union(*(set(i.tolist()) for i in flags.values()))),
            "flags": {reason: indices.tolist() for reason, indices in flags.items()},
        }
        if "gap" in self.diagnostics:
            d = {name: values[finite] for name, values in self.diagnostics.items()}
            # No Monte Carlo error: that of `upper` is given z. The spread over examples has it.
            summary["upper"] = mean_and_errors(d["upper"])
            summary["gap"] = mean_and_errors(d["gap"])
            summary["gap_median"] = float(np.median(d["gap"])) if n else None
        return summary


def _median(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def log_marginal_likelihood(
    key: Key,
    joint: Joint | LogJoint,
    xs: Observation,
    *,
    posterior: Callable[[Observation], Distribution] | None = None,
    estimator: Estimator,
    batch_size: int | None = None,
    first_index: int = 0,
    progress: Callable[[int], None] = lambda count: None,
) -> Estimates:
    """log p(x) for each x of `xs`, in nats.

    Where the model has an exact log p(x) (`exact`), that is computed, and `method` says so.
    Elsewhere `estimator(key, joint, x, q)`, with its settings bound by `functools.partial`:

        partial(annealed_importance_sampling, num_chains=16, num_temperatures=500)

    Example i uses fold_in(key, first_index + i), whatever `batch_size` and devices. Importance
    sampling gives the same value; annealing in float32 may not, by an acceptance that a rounding
    flips (within its error; in float64 it does).

    Args:
      xs: observations along the first axis.
      posterior: x -> q(z | x), where the estimator wants one.
      first_index: index of xs[0] in its data set, when xs is a part of it.

    Raises:
      ValueError, TypeError: as the estimator does.
      ValueError: no example, or none with a finite estimate. Where some have none,
        `summary()["not_finite"]` has their indices.
    """
    if len(jax.tree.leaves(xs)[0]) == 0:
        raise ValueError("log_marginal_likelihood: expected at least one example; got none")
    found = exact(joint) if isinstance(joint, Joint) else None
    if found is not None:
        first = jax.tree.map(lambda leaf: leaf[0], xs)
        check("log_marginal_likelihood", joint, first, None)
        value = map_examples(
            lambda _, index, x: found.log_marginal(x), None, xs, batch_size, 0, progress
        )
        n = len(value)
        nothing = np.full(n, -np.inf)
        return Estimates(
            value, np.zeros(n), np.full(n, np.inf), nothing, {}, f"exact: {found.reason}"
        )

    def one(_, index, x):
        q = None if posterior is None else posterior(x)
        return estimator(jax.random.fold_in(key, index), joint, x, q)

    estimate = map_examples(one, None, xs, batch_size, first_index, progress)
    function = getattr(estimator, "func", estimator)
    name = getattr(function, "__name__", type(function).__name__).replace("_", " ")
    if not np.isfinite(estimate.value).any():
        raise ValueError(
            f"log_marginal_likelihood: {name} is finite for none of the {len(estimate.value)} "
            f"examples; for example {first_index} it is {estimate.value[0]}: look at what "
            "joint.log_prob(x, z) gives for that x and z ~ q"
        )
    return Estimates(**estimate._asdict(), method=name)
