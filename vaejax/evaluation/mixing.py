"""How fast a Markov chain over x mixes, from features along it."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

_WINDOW = 5  # Sokal's c: autocorrelations are summed up to c times the autocorrelation time
_LONG_ENOUGH = 50  # least length of a chain, in autocorrelation times


def mixing(
    chains: Float[np.ndarray, "steps n d"], labels: Int[np.ndarray, "steps n"]
) -> dict[str, Any]:
    """Measure the mixing of n chains on the second half of their steps, T of them, which is taken
    as stationary.

    `autocorrelation`: for each lag t below T / 2, mean f(s) . f(s + t) / mean f . f, where f are
      the d features minus their mean over all chains and steps. Since the mean is over all chains,
      chains that each stay where they are have an autocorrelation near 1 at all lags.
    `time`: the integrated autocorrelation time in steps, tau = 1 + 2 sum_t autocorrelation(t), over
      the lags up to the first M >= 5 max(tau(M), 1) (Sokal 1997): so many steps are worth one
      independent draw. `time_std_error`: over chains; None for a single chain.
    `label_changes`: the share of steps at which the label changes, with `label_changes_std_error`
      over chains; `label_changes_independent`: its value for independent draws of these labels. A
      classifier that wavers between two labels changes without a move of the chain.
    `steps`: T.
    `reliable`: whether T >= 50 tau and there are at least 2 chains. If not, `time` is unreliable
      (most often too small), and `reason` says why in one line; else `reason` is None.

    Raises:
      ValueError: shapes do not agree, there are fewer than 8 steps, or values are not finite.
    """
    chains, labels = np.asarray(chains), np.asarray(labels)
    if chains.ndim != 3 or labels.shape != chains.shape[:2] or len(chains) < 8 or not chains.size:
        raise ValueError(
            f"expected features (steps, n, d) and labels (steps, n) with at least 8 steps; got "
            f"shapes {chains.shape} and {labels.shape}"
        )
    if not np.isfinite(chains).all():
        raise ValueError("expected finite features; got NaN or infinite values")
    chains, labels = chains[len(chains) // 2 :], labels[len(chains) // 2 :]
    steps, n = labels.shape
    lags = steps // 2
    covariances = _autocovariances(chains)[:, :lags]
    variances = covariances[:, 0].copy()
    changes = np.asarray(np.mean(labels[1:] != labels[:-1], axis=0, dtype=np.float64))
    shares = np.unique(labels, return_counts=True)[1] / labels.size
    found: dict[str, Any] = {
        "steps": steps,
        "label_changes": float(changes.mean()),
        "label_changes_std_error": _std_error(changes),
        "label_changes_independent": float(1 - np.sum(shares**2)),
    }
    reason: str | None = None
    if not variances.sum() > 0:
        nothing = {"autocorrelation": None, "time": None, "time_std_error": None}
        reason = "all steps of all chains have the same features"
        return found | nothing | {"reliable": False, "reason": reason}
    autocorrelation = covariances.sum(axis=0) / variances.sum()
    times = 2 * np.cumsum(autocorrelation) - 1
    inside = np.arange(lags) >= _WINDOW * np.maximum(times, 1)
    window = int(np.argmax(inside)) if inside.any() else lags - 1
    time = float(times[window])
    # The standard error of a ratio of means over chains, to first order.
    sums = 2 * covariances[:, : window + 1].sum(axis=1) - variances
    error = _std_error((sums - time * variances) / variances.mean())
    if not inside.any():
        reason = f"autocorrelations do not vanish within {lags} steps: run longer chains"
    elif steps < _LONG_ENOUGH * time:
        reason = (
            f"{steps} steps are fewer than {_LONG_ENOUGH} times the estimated autocorrelation time "
            f"of {time:.3g} steps: run longer chains"
        )
    elif n < 2:
        reason = "a single chain cannot show whether chains agree: run several"
    return found | {
        "autocorrelation": autocorrelation.tolist(),
        "time": time,
        "time_std_error": error,
        "reliable": reason is None,
        "reason": reason,
    }


def _autocovariances(chains: Float[np.ndarray, "steps n d"]) -> Float[np.ndarray, "n steps"]:
    """For each chain and lag t, the mean over s of f(s) . f(s + t), with f centred over all chains,
    by the Fourier transform with padding, so that it does not wrap around."""
    steps = len(chains)
    mean = chains.mean(axis=(0, 1), dtype=np.float64)
    rows = []
    for i in range(chains.shape[1]):
        spectrum = np.fft.rfft(chains[:, i] - mean, 2 * steps, axis=0)
        power = np.sum(np.abs(spectrum) ** 2, axis=1)
        rows.append(np.fft.irfft(power, 2 * steps)[:steps] / np.arange(steps, 0, -1))
    return np.stack(rows)


def _std_error(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
