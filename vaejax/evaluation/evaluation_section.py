"""What an evaluation says: its table, its protocol, what the model has no answer to."""

import math
from typing import Any

import numpy as np

from vaejax.evaluation.evaluation_figures import evaluation_figures
from vaejax.evaluation.section import HEADER, Section, Table, format_error

# What each measurement is called, its sign in the table, and what it says of itself.
_KL_FORM = "log q(z) - log p(z) at the draws of z; in training: {form}"
_ROWS = (
    ("log_p", "-log p(x), exact", -1, "nats"),
    ("iwae", "-log p(x), IWAE-{K} bound", -1, "nats; an upper bound on -log p(x) in expectation"),
    ("elbo", "-ELBO", -1, "nats; an upper bound on -log p(x)"),
    ("reconstruction", "-E_q log p(x|z)", -1, "nats"),
    ("kl", "KL(q(z|x) || p(z))", 1, "nats"),
    ("information_lower", "I_q(x; z), at least", 1, "nats; in expectation; at most log n"),
    (
        "information_upper",
        "I_q(x; z), at most",
        1,
        "nats; in expectation; so is the KL",
    ),
    ("aggregate_kl_lower", "KL(q(z) || p(z)), at least", 1, "nats; in expectation; never below 0"),
    ("aggregate_kl_upper", "KL(q(z) || p(z)), at most", 1, "nats; in expectation"),
    ("squared_error", "||x - E[x|z]||^2", 1, "summed over the elements of x"),
)


_NOTE = (
    "+- MC: Monte Carlo standard error of the mean, from the sampling alone. +- data: standard "
    "error over examples, as an estimate for the population. A bound is not log p(x): this table "
    "does not tell how far apart they are."
)
_NOTE_EXACT = (
    "No Monte Carlo error: log p(x) is computed without sampling. +- data: standard error over "
    "examples, as an estimate for the population."
)
_MISSING = {
    "point mass": (
        "What this model cannot give: it is an autoencoder, its q(z | x) is a point mass, and it "
        "was trained without a p(z). There is no distribution to draw z from, so it has no "
        "samples; without p(z) there is no p(x), so it has no log p(x), no bound on it and no KL. "
        "It has p(x | z) at the code of each x: reconstructions. The same two networks trained on "
        "the ELBO (digits_vae, mnist_vae) have samples and log p(x)."
    ),
    "denoising": (
        "What this model cannot give: it is a denoising autoencoder, its q(z | x) is a point mass, "
        "and it was trained without a p(z). So it has no p(x), no log p(x), no bound on it and no "
        "KL. It has a chain instead: corrupt x, encode, draw a new x from p(x | z), and repeat. If "
        "its p(x | corrupted x) is right, the chain converges to the data's distribution (Bengio "
        "et al. 2013, theorem 1); with elements independent given the code, it is only "
        "approximately right. `vaejax sample` draws by this chain; its samples have no density."
    ),
    "no latent variable": (
        "What this model cannot give: it is p(x) itself, without z. log p(x) is computed exactly, "
        "and samples are exact. But x has no code: there are no reconstructions, interpolations "
        "or classification of codes."
    ),
}


def evaluation_section(about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> Section:
    """Of the run's evaluation.json and evaluation.npz."""
    whole = {name: values for part in arrays.values() for name, values in part.items()}
    kind = about["kind"]
    notes = [_NOTE_EXACT if kind == "no latent variable" else _NOTE]
    missing = "denoising" if kind == "point mass" and about["summary"]["denoising"] else kind
    if missing in _MISSING:
        notes.append(_MISSING[missing])
    return Section(
        "Evaluation",
        protocol_line(about),
        [Table(HEADER, evaluation_rows(about))],
        notes,
        evaluation_figures(about, whole),
    )


def evaluation_rows(evaluation: dict) -> list[list[str]]:
    """[what, value, Monte Carlo error, data-set error, unit] for each number measured."""
    summary, rows = evaluation["summary"], []
    for name, label, sign, unit in _ROWS:
        if name not in summary:
            continue
        entry = summary[name]
        rows.append(
            [
                _label(name, label, evaluation),
                f"{_shown(name, sign * entry['mean']):.3f}",
                format_error(entry["std_error_monte_carlo"]),
                format_error(entry["std_error_data"]),
                unit,
            ]
        )
        # A density of real values changes with their units: bits are for discrete ones.
        if name in ("log_p", "iwae") and evaluation["support"] in ("binary", "grey"):
            unit = math.log(2) * math.prod(evaluation["protocol"]["shape"])
            errors = [
                format_error(error and error / unit, 5)
                for error in (entry["std_error_monte_carlo"], entry["std_error_data"])
            ]
            rows.append(["  the same", f"{-entry['mean'] / unit:.5f}", *errors, "bits/dim"])
    if "active_units" in summary:
        label = "codes that vary" if evaluation["kind"] == "point mass" else "active units"
        rows.append(
            [
                label,
                f"{summary['active_units']} of {summary['latent_dimensions']}",
                "",
                "",
                "of these examples: variance of E_q[z] over x above 0.01",
            ]
        )
    if "kl" in summary:
        rows.append(
            ["how the KL was computed", "", "", "", _KL_FORM.format(form=summary["kl_form"])]
        )
    if "khat_above_0.7" in summary:
        rows.append(
            [
                "Pareto k-hat above 0.7",
                f"{summary['khat_above_0.7']} of {summary['iwae']['n']}"
                if evaluation["settings"]["num_samples"] >= 25
                else "needs K of 25",
                "",
                "",
                "examples whose IWAE error is unreliable; the bound stays valid",
            ]
        )
    if evaluation["kind"] == "point mass":
        rows.append(["log p(x)", "not defined", "", "", "no p(z): q is a point mass"])
    return rows


def _shown(name: str, value: float) -> float:
    """A lower bound on what cannot be negative is at least 0, which is one too."""
    return max(value, 0.0) if name.endswith("_lower") else value


def _label(name: str, label: str, evaluation: dict) -> str:
    if name == "reconstruction" and evaluation["kind"] == "point mass":
        return "-log p(x|z) at the code"
    return label.format(K=evaluation["settings"]["num_samples"])


def seeds_table(evaluations: list[dict]) -> list[list[str]]:
    """[what, mean over seeds, standard error over seeds, unit] from several seeds' summaries."""
    rows = []
    for name, label, sign, unit in _ROWS:
        values = [e["summary"][name]["mean"] for e in evaluations if name in e["summary"]]
        if len(values) != len(evaluations):
            continue
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        rows.append(
            [
                _label(name, label, evaluations[0]),
                f"{_shown(name, sign * np.mean(values)):.3f}",
                f"{error:.3f}",
                unit,
            ]
        )
    return rows


def protocol_line(evaluation: dict, *, seed: bool = True) -> str:
    """Data set, split, n, binarization, estimator and, of one seed, its parameters: one line."""
    p = evaluation["protocol"]
    estimator = f"K = {evaluation['settings']['num_samples']} samples of q per example"
    if evaluation["kind"] == "point mass":
        estimator = "no bound (point mass)"
    elif evaluation["kind"] == "no latent variable":
        estimator = "exact, no sampling"
    parameters = f"; {evaluation['parameters']} parameters, step {evaluation['step']:,}"
    return (
        f"{p['data']} [{p['fingerprint']}], {evaluation['settings']['split']} split, "
        f"n = {evaluation['summary']['n']}, binarization {p['binarization']} "
        f"(train {p['train']:,}, validation {p['validation']:,}, test {p['test']:,}); {estimator}"
        f"{parameters if seed else ''}"
    )
