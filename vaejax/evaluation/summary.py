"""The summary of the arrays of an evaluation."""

from typing import Any

import jax
import numpy as np

from vaejax.marginal_likelihood.averages import mean_and_errors

ACTIVE_VARIANCE = 0.01
PER_FRAME = ("log_p", "iwae", "elbo", "reconstruction", "kl")
_MEANS = (
    *PER_FRAME,
    *("information_lower", "information_upper", "aggregate_kl_lower", "aggregate_kl_upper"),
    "squared_error",
)


def summarize(arrays: dict[str, np.ndarray]) -> dict:
    """Summarize the arrays of `evaluate` and `latent_use`: means in nats with both errors; the
    number of latent dimensions in use; the numbers of examples with a k-hat above 0.7, and with a q
    that has not converged; for sequences, also the results of `per_frame`."""
    summary: dict = {}
    for name in _MEANS:
        if name in arrays:
            summary[name] = mean_and_errors(arrays[name], arrays.get(f"{name}_std_error"))
    if "khat" in arrays:
        summary["khat_above_0.7"] = int(np.sum(arrays["khat"] > 0.7))
        summary["ess_median"] = float(np.median(arrays["ess"]))
    if "converged" in arrays:
        summary["not_converged"] = int(np.sum(~arrays["converged"]))
    if "kl_per_dimension" in arrays:
        per_dimension = arrays["kl_per_dimension"].reshape(len(arrays["kl_per_dimension"]), -1)
        summary["kl_per_dimension"] = per_dimension.mean(axis=0, dtype=np.float64).tolist()
    if "code" in arrays:
        code, noise = arrays["code"], arrays.get("code_noise")
        summary["active_units"] = active_units(code, noise)
        summary["latent_dimensions"] = int(np.prod(code.shape[1:]))
    if "frames" in arrays:
        summary |= per_frame(arrays)
    return summary


def per_frame(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Averages per frame of n sequences with `frames` (n,) observed frames, for each name with both
    errors: `per_frame`, total nats / total frames; and `mean_of_per_frame`, the mean over sequences
    of nats / frames, without sequences that have no frames. Also the total `frames` and
    `missing_frames`.

    If some sequences are also in the training split (`repeats_training`, (n,) bool),
    `without_repeats` has the same numbers for the others."""
    frames = arrays["frames"]
    some = frames > 0
    found: dict[str, Any] = {
        "frames": int(frames.sum()),
        "missing_frames": int(arrays["missing_frames"].sum()),
        "per_frame": {},
        "mean_of_per_frame": {},
    }
    for name in (name for name in PER_FRAME if name in arrays):
        values, errors = arrays[name], arrays.get(f"{name}_std_error")
        found["per_frame"][name] = mean_and_errors(values, errors, frames)
        found["mean_of_per_frame"][name] = mean_and_errors(
            values[some] / frames[some], None if errors is None else errors[some] / frames[some]
        )
    repeated = arrays.get("repeats_training")
    if repeated is not None and 0 < repeated.sum() < len(repeated):
        names = {"frames", "missing_frames", *PER_FRAME, *(f"{n}_std_error" for n in PER_FRAME)}
        others = {name: arrays[name][~repeated] for name in names if name in arrays}
        found["without_repeats"] = {"repeats": int(repeated.sum())} | per_frame(others)
    return found


def flat(values: Any) -> np.ndarray:
    """Flatten a pytree of arrays, with n examples along their first axis, to one matrix (n,
    numbers)."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(values)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def active_units(code: np.ndarray, noise: np.ndarray | None = None) -> int:
    """The number of dimensions with Var_x E_q[z] > 0.01 (Burda et al. 2016). `code` is E_q[z]; if
    it is estimated from draws, `noise` is the variance of the estimate, which is subtracted."""
    variance = code.var(axis=0, dtype=np.float64)
    if noise is not None:
        variance -= noise.mean(axis=0, dtype=np.float64)
    return int(np.sum(variance > ACTIVE_VARIANCE))
