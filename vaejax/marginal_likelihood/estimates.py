"""Estimates of many examples: intervals, what is not to be believed, a summary."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import stdtrit

from vaejax.marginal_likelihood.averages import mean_and_errors
from vaejax.marginal_likelihood.weights import TAIL_KNOWN

# Above these an example is flagged, with its figures: it is never averaged away in silence. A
# standard error of half a nat is that of log weights spread by more than one: not known from few.
MAX_KHAT = 0.7
MAX_STD_ERROR = 0.5
MAX_GAP = 0.5
# Where the check from the prior exceeds the estimate by so many nats and so many errors; above one
# nat whatever the error, which few chains in two modes overstate. Or where the mass that it finds
# at places that no chain from q reaches adds so many nats (chosen with missed_modes.py).
MIN_EXCESS = 0.45
EXCESS_ERRORS = 2.5
MAX_EXCESS = 1.0
MAX_UNREACHED = 0.25
MIN_PARTICLES = 2  # of the mean over filters: below it nearly all of them lost all but one
MISSED = "start at the prior finds more than start at q: q misses a mode"
_ROUNDING = 1e-3  # nats


def missed_by(estimate: Any) -> Any:
    """Whether the check from the prior shows that the estimate (one, or many) misses a part of
    p(x); False where there was none.

    Either it is above the estimate by more than noise: a lower bound in expectation, it is above
    log p(x) by a nats with a probability below exp(-a). Or log(p + u) - log p > 0.25, with p the
    estimate and u the mass that the chains from q do not reach.
    """
    d = estimate.diagnostics
    if "prior_check" not in d:
        return jnp.zeros(jnp.shape(estimate.value), bool)
    error = d["prior_check_std_error"]  # infinite for a single chain
    error = jnp.where(jnp.isfinite(error), jnp.hypot(error, estimate.std_error), 0.0)
    excess = d["prior_check"] - estimate.value
    gain = jnp.logaddexp(estimate.value, d["prior_check_unreached"]) - estimate.value
    above = excess > jnp.clip(EXCESS_ERRORS * error, MIN_EXCESS, MAX_EXCESS)
    return above | (gain > MAX_UNREACHED)


def doubts(std_error: Any, khat: Any, missed: Any) -> dict[str, np.ndarray]:
    """Which estimates are not to be believed, by reason: of their standard errors, their k-hats,
    and whether q misses a mode (`missed_by`)."""
    return {
        f"Pareto k-hat above {MAX_KHAT}": khat > MAX_KHAT,
        f"standard error above {MAX_STD_ERROR} nats": ~(std_error <= MAX_STD_ERROR),
        MISSED: np.asarray(missed),
    }


class Estimates(NamedTuple):
    """Estimates of log p(x) of many examples, in nats, and what each is worth.

    Attributes:
      value, std_error, ess, khat, diagnostics: as of an `Estimate`, with a leading axis of
        examples.
      method: how they were made, in words.
      discrete: whether x is discrete, so that log p(x) is at most 0.
    """

    value: np.ndarray
    std_error: np.ndarray
    ess: np.ndarray
    khat: np.ndarray
    diagnostics: dict[str, np.ndarray]
    method: str
    discrete: bool = False  # x is: log p(x) is at most 0

    def __repr__(self) -> str:
        """One line; the numbers are in the fields."""
        summary = self.summary()
        log_p = summary["log_p"]
        flagged = f"{summary['flagged']} flagged"
        words = [f"log p(x) of {len(self.value)} examples by {self.method}"]
        if log_p["mean"] is not None:
            words.append(f"mean {log_p['mean']:.3f} nats")
        if log_p["std_error_monte_carlo"] is not None:
            words.append(f"Monte Carlo error {log_p['std_error_monte_carlo']:.1g}")
        return f"Estimates({', '.join([*words, flagged])})"

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """(low, high): value -+ t std_error, with Student's t at ess - 1 degrees of freedom.

        Uneven weights count for fewer, so the interval widens as they do; and by the
        `interval_factor`, for skewed weights with a heavy tail. There is no honest interval, and
        it is infinite, where anything is flagged, where widened it is that of an error above
        half a nat, and for fewer than 100 draws of q. Of importance sampling there is none at all
        where more than half of the examples have none: the others have drawn light weights by luck.
        Of particle filters `steps_std_error` alone is the error that these look at: filters that
        agree by luck would state an interval, and one too narrow.
        """
        freedom = np.clip(self.ess.astype(np.float64) - 1.0, 1e-3, 1e9)
        factor = self.diagnostics.get("interval_factor", 1.0)
        error = self.std_error * factor
        judged = self.diagnostics.get("steps_std_error", self.std_error)
        unknown = ~(judged * factor <= MAX_STD_ERROR)
        for mask in self._reasons(judged).values():
            unknown |= mask
        if "num_draws" in self.diagnostics:
            unknown |= self.diagnostics["num_draws"] < TAIL_KNOWN
            unknown |= np.mean(unknown) > 0.5
        half = np.where(unknown, np.inf, stdtrit(freedom, 0.5 + level / 2) * error)
        return self.value - half, self.value + half

    def flags(self) -> dict[str, np.ndarray]:
        """Indices of the examples not to be believed, by reason."""
        reasons = self._reasons(self.std_error)
        return {reason: np.flatnonzero(mask) for reason, mask in reasons.items() if mask.any()}

    def _reasons(self, std_error: np.ndarray) -> dict[str, np.ndarray]:
        """Which examples each reason is true of, where this is the standard error."""
        d = self.diagnostics
        names = ("from_prior_std_error", "from_posterior_std_error", "upper_std_error")
        errors = [std_error, *(d[name] for name in names if name in d)]
        found = {
            "not finite": ~np.isfinite(self.value),
            **doubts(np.max(errors, axis=0), self.khat, missed_by(self)),
        }
        if self.discrete:
            found["probability of a discrete x above 1"] = self.value > _ROUNDING
        if "ess_smallest" in d:
            found[f"fewer than {MIN_PARTICLES} effective particles at some frame"] = ~(
                d["ess_smallest"] >= MIN_PARTICLES
            )
        if "gap" in d:
            found[f"bounds more than {MAX_GAP} nats apart"] = ~(d["gap"] <= MAX_GAP)
        if "disagreement" in d:
            error = np.hypot(d["from_prior_std_error"], d["from_posterior_std_error"])
            apart = np.abs(d["disagreement"]) > np.maximum(MAX_GAP, 3 * error)
            found[MISSED] = found[MISSED] | (apart & (d["disagreement"] < 0))
            found["start at q finds more than start at the prior"] = apart & (d["disagreement"] > 0)
        return found

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
