"""The output of an evaluation: its tables, its protocol, and what the model cannot give."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from vaejax.evaluation.evaluation_figures import evaluation_figures
from vaejax.evaluation.marginals import marginals_table
from vaejax.evaluation.section import HEADER, Section, Table, format_rounding, mean_row
from vaejax.evaluation.sequence_figures import sequence_figures

# Name in the summary, label, sign in the table, unit and meaning.
_KL_FORM = "log q(z) - log p(z) at the draws of z; in training: {form}"
_NOT_CONVERGED = (
    "examples whose mean-field q still changed in its last sweep; the bound stays valid"
)
_ROWS = (
    ("log_p", "-log p(x), exact", -1, "nats{reason}"),
    ("iwae", "-log p(x), IWAE-{K} bound", -1, "nats; an upper bound on -log p(x) in expectation"),
    ("elbo", "-ELBO", -1, "nats; an upper bound on -log p(x)"),
    ("reconstruction", "-E_q log p(x|z)", -1, "nats"),
    ("kl", "KL(q(z|x) || p(z))", 1, "nats"),
    ("information_lower", "I_q(x; z), at least", 1, "nats; in expectation; at most log n"),
    (
        "information_upper",
        "I_q(x; z), at most",
        1,
        "nats; in expectation; the KL is another upper bound",
    ),
    ("aggregate_kl_lower", "KL(q(z) || p(z)), at least", 1, "nats; in expectation; never below 0"),
    ("aggregate_kl_upper", "KL(q(z) || p(z)), at most", 1, "nats; in expectation"),
    ("squared_error", "||x - E[x|z]||^2", 1, "summed over the elements of x"),
)


_OTHER_MEANS = "  the same, per sequence", "  the same, mean over sequences of nats/T"

_NOTE = (
    "+- MC: Monte Carlo standard error of the mean, from sampling only. +- data: standard error "
    "over examples, as an estimate for the population."
)
_NOTE_BOUND = "A bound is not log p(x): this table does not show how far apart they are."
_NOTE_TIGHT = (
    "A bound is not log p(x). Here log p(x) is known exactly, up to rounding (shown as +- MC if it "
    "is large enough), so the table shows how loose the bounds are."
)
_NOTE_EXACT = (
    "There is no Monte Carlo error: log p(x) is computed without sampling. +- data: standard error "
    "over examples, as an estimate for the population."
)
_NOTE_SEQUENCES = (
    "Nats per frame: the total over all sequences divided by their total number of frames. So a "
    "long sequence counts more than a short one; +- data is the standard error of that ratio over "
    "sequences. Missing frames, and frames beyond a sequence's length, are in neither total. "
    "Published tables also divide by the number of sequences, or average nats/T over sequences (T: "
    "the frames of a sequence): compare only numbers of the same kind."
)
_NOTE_REPEATS = (
    "{repeats} of these sequences {are} also in the training split. The rows without repeats leave "
    "them out: {frames:,} frames remain."
)
_MISSING = {
    "point mass": (
        "What this model cannot give: it is an autoencoder. Its q(z | x) is a point mass, and it "
        "was trained without a p(z). There is no distribution to draw z from, so it has no "
        "samples. Without p(z) there is no p(x), so it has no log p(x), no bound on it and no KL. "
        "It has p(x | z) at the code of each x: reconstructions. The same two networks trained on "
        "the ELBO (digits_vae, mnist_vae) have samples and log p(x)."
    ),
    "denoising": (
        "What this model cannot give: it is a denoising autoencoder. Its q(z | x) is a point mass, "
        "and it was trained without a p(z). So it has no p(x), no log p(x), no bound on it and no "
        "KL. It has a chain instead: corrupt x, encode, draw a new x from p(x | z), and repeat. If "
        "its p(x | corrupted x) is right, the chain converges to the distribution of the data "
        "(Bengio et al. 2013, theorem 1). Since elements of x are independent given the code, it "
        "is only approximately right. `vaejax sample` draws by this chain; the samples have no "
        "density."
    ),
    "no latent variable": (
        "What this model cannot give: it is p(x) itself, without z. log p(x) and samples are "
        "exact. But x has no code, so there are no reconstructions, no interpolations and no "
        "classification of codes."
    ),
}


def evaluation_section(about: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> Section:
    """The section of a run's evaluation. `about` is evaluation.json, `arrays` evaluation.npz."""
    whole = {name: values for part in arrays.values() for name, values in part.items()}
    kind = about["kind"]
    bound = _NOTE_TIGHT if about["summary"].get("exact") else _NOTE_BOUND
    notes = [_NOTE_EXACT if kind == "no latent variable" else f"{_NOTE} {bound}"]
    if "per_frame" in about["summary"]:
        notes.append(_NOTE_SEQUENCES)
    if "without_repeats" in about["summary"]:
        others = about["summary"]["without_repeats"]
        are = "is" if others["repeats"] == 1 else "are"
        notes.append(_NOTE_REPEATS.format(are=are, **others))
    missing = "denoising" if kind == "point mass" and about["summary"]["denoising"] else kind
    if missing in _MISSING:
        notes.append(_MISSING[missing])
    figures = sequence_figures if "per_frame" in about["summary"] else evaluation_figures
    tables = [Table(HEADER, evaluation_rows(about))]
    if "samples" in whole and whole["originals"].ndim == 2 and "per_frame" not in about["summary"]:
        pair = whole["originals"], whole["samples"]
        tables.append(marginals_table(*pair, about["settings"]["split"]))
    return Section(
        "Evaluation",
        protocol_line(about),
        tables,
        notes,
        figures(about, whole),
    )


def evaluation_rows(evaluation: dict) -> list[list[str]]:
    """Rows [what, value, Monte Carlo error, error over examples, unit and meaning]."""
    summary, rows = evaluation["summary"], []
    # A density of real values depends on their units: bits/dim are for discrete values only.
    discrete = evaluation["support"] in ("binary", "grey")
    for name, label, sign, unit, entry in _entries(evaluation):
        rows.append(_row(name, label, entry, unit, sign))
        if discrete and name in ("log_p", "iwae") and label not in _OTHER_MEANS:
            shape = evaluation["protocol"]["shape"]
            bits = math.log(2) * math.prod(shape[1:] if "per_frame" in summary else shape)
            rows.append(_row(name, "  the same", entry, "bits/dim", -bits, 5))
    return rows + [[label, value, "", "", meaning] for label, value, meaning in _facts(evaluation)]


def _row(
    name: str, label: str, entry: dict[str, Any], meaning: str, unit: float, digits: int = 3
) -> list[str]:
    """`mean_row`, where the mean is as in `_shown` and the error of an exact number is that of
    rounding."""
    row = mean_row(label, entry, meaning, unit, digits)
    if name.endswith("_lower"):
        row[1] = _shown(name, unit, entry["mean"])
    if name == "log_p":
        error = entry["std_error_monte_carlo"]
        row[2] = format_rounding(error and error / abs(unit), digits)
    return row


def _facts(evaluation: dict) -> Iterator[tuple[str, str, str]]:
    """(what, value, meaning) of the rows that are no means."""
    summary = evaluation["summary"]
    if "active_units" in summary:
        label = "codes that vary" if evaluation["kind"] == "point mass" else "active units"
        count = f"{summary['active_units']} of {summary['latent_dimensions']}"
        yield label, count, "dimensions of z: variance of E_q[z] over these x above 0.01"
    if "kl" in summary:
        yield "how the KL was computed", "", _KL_FORM.format(form=summary["kl_form"])
    if "khat_above_0.7" in summary:
        count = f"{summary['khat_above_0.7']} of {summary['iwae']['n']}"
        if evaluation["settings"]["num_samples"] < 25:
            count = "needs K >= 25"
        meaning = "examples whose IWAE error is unreliable; the bound stays valid"
        yield "Pareto k-hat above 0.7", count, meaning
    if "not_converged" in summary:
        count = f"{summary['not_converged']} of {summary['n']}"
        yield "q not converged", count, _NOT_CONVERGED
    if evaluation["kind"] == "point mass":
        yield "log p(x)", "not defined", "no p(z): q is a point mass"


def _entries(evaluation: dict) -> Iterator[tuple[str, str, int, str, dict]]:
    """(name, label, sign, unit, mean with its errors) of each row. Sequences have nats per frame,
    and for log p(x) and its bounds also the two other means that are in use."""
    summary = evaluation["summary"]
    reason = summary.get("exact")
    for name, label, sign, unit in _ROWS:
        if name not in summary:
            continue
        label = _label(name, label, evaluation)
        unit = unit.format(reason=f"; {reason}" if reason else "")
        if "per_frame" not in summary:
            yield name, label, sign, unit, summary[name]
            continue
        unit = unit.replace("nats", "nats per frame", 1)
        yield name, label, sign, unit, summary["per_frame"][name]
        if name in ("log_p", "iwae", "elbo"):
            per_sequence, mean_of_per_frame = _OTHER_MEANS
            yield name, per_sequence, sign, "nats per sequence", summary[name]
            unit = "nats per frame, each sequence counts the same"
            yield name, mean_of_per_frame, sign, unit, summary["mean_of_per_frame"][name]
    others = summary.get("without_repeats", {"per_frame": {}})
    for name, label, sign, _ in _ROWS:
        if name in others["per_frame"]:
            label = f"{_label(name, label, evaluation)}, without repeats"
            yield name, label, sign, "nats per frame", others["per_frame"][name]


def _shown(name: str, sign: float, mean: float | None) -> str:
    """A mean as text, `-` if there is none. A negative lower bound on a quantity that cannot be
    negative is shown as 0."""
    if mean is None:
        return "-"
    return f"{max(sign * mean, 0.0) if name.endswith('_lower') else sign * mean:.3f}"


def _label(name: str, label: str, evaluation: dict) -> str:
    if name == "reconstruction" and evaluation["kind"] == "point mass":
        return "-log p(x|z) at the code"
    return label.format(K=evaluation["settings"]["num_samples"])


def over_seeds(evaluations: list[dict]) -> list[dict[str, Any]]:
    """Averages over seeds, a row for each number, with the sign of its `label`: the `mean`, its
    standard error `std_error_seeds`, the `values` of the seeds, the `unit`. Mean and error are None
    if a seed has no value."""
    tables = [{(name, label): entry for name, label, *_, entry in _entries(e)} for e in evaluations]
    found = []
    for name, label, sign, unit, _ in _entries(evaluations[0]):
        values = [table[name, label]["mean"] for table in tables if (name, label) in table]
        if len(values) != len(evaluations):
            continue
        row: dict[str, Any] = {"name": name, "label": label, "unit": unit}
        known = None not in values
        values = [value if value is None else sign * value for value in values]
        row["mean"] = float(np.mean(values)) if known else None
        error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if known else None
        found.append(row | {"std_error_seeds": error, "values": values})
    return found


def seeds_table(evaluations: list[dict]) -> list[list[str]]:
    """Rows [what, mean over seeds, standard error over seeds, unit] of several seeds."""
    return [
        [
            row["label"],
            _shown(row["name"], 1, row["mean"]),
            "-" if row["mean"] is None else f"{row['std_error_seeds']:.3f}",
            row["unit"],
        ]
        for row in over_seeds(evaluations)
    ]


def protocol_line(evaluation: dict, *, seed: bool = True) -> str:
    """One line: data set, split, n, binarization, estimator and, if `seed`, the parameters used."""
    p = evaluation["protocol"]
    estimator = f"K = {evaluation['settings']['num_samples']} samples of q per example"
    if evaluation["kind"] == "point mass":
        estimator = "no bound (point mass)"
    elif evaluation["kind"] == "no latent variable":
        estimator = "exact, no sampling"
    parameters = f"; {evaluation['parameters']} parameters, step {evaluation['step']:,}"
    summary = evaluation["summary"]
    n = f"n = {summary['n']}"
    if "per_frame" in summary:
        n += (
            f" sequences, {summary['frames']:,} frames and {summary['missing_frames']:,} missing "
            "ones"
        )
    return (
        f"{p['data']} [{p['fingerprint']}], {evaluation['settings']['split']} split, "
        f"{n}, binarization {p['binarization']} "
        f"(train {p['train']:,}, validation {p['validation']:,}, test {p['test']:,}); {estimator}"
        f"{parameters if seed else ''}"
    )
