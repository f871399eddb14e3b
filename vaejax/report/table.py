"""Numbers with their protocol and their errors, as rows of text."""

import math

import numpy as np

# What each measurement is called, its sign in the table, and what it says of itself.
_ROWS = (
    ("log_p", "-log p(x), exact", -1, "nats"),
    ("iwae", "-log p(x), IWAE-{K} bound", -1, "nats; an upper bound on -log p(x) in expectation"),
    ("elbo", "-ELBO", -1, "nats; an upper bound on -log p(x)"),
    ("reconstruction", "-E_q log p(x|z)", -1, "nats"),
    ("kl", "KL(q(z|x) || p(z))", 1, "nats"),
    ("information_lower", "I_q(x; z), at least", 1, "nats; in expectation; at most log n"),
    ("information_upper", "I_q(x; z), at most", 1, "nats; in expectation; the KL is one too"),
    ("aggregate_kl_lower", "KL(q(z) || p(z)), at least", 1, "nats; in expectation; 0 is one too"),
    ("aggregate_kl_upper", "KL(q(z) || p(z)), at most", 1, "nats; in expectation"),
    ("squared_error", "||x - E[x|z]||^2", 1, "summed over the elements of x"),
)


def is_explicit(evaluation: dict) -> bool:
    """Whether the model is p(x) without a z; measurements of old do not say, and are of others."""
    return evaluation.get("kind") == "no latent variable"


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
                f"{sign * entry['mean']:.3f}",
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
        label = "codes that vary" if evaluation["point_mass"] else "active units"
        rows.append(
            [
                label,
                f"{summary['active_units']} of {summary['latent_dimensions']}",
                "",
                "",
                "variance of E_q[z] over x above 0.01",
            ]
        )
    if "khat_above_0.7" in summary:
        rows.append(
            [
                "Pareto k-hat above 0.7",
                f"{summary['khat_above_0.7']} of {summary['iwae']['n']}"
                if evaluation["num_samples"] >= 25
                else "needs K of 25",
                "",
                "",
                "examples whose IWAE error is not to be believed; the bound stays a bound",
            ]
        )
    if evaluation["point_mass"]:
        rows.append(["log p(x)", "not defined", "", "", "no p(z): q is a point mass"])
    return rows


def _label(name: str, label: str, evaluation: dict) -> str:
    if name == "reconstruction" and evaluation["point_mass"]:
        return "-log p(x|z) at the code"
    return label.format(K=evaluation["num_samples"])


HEADER = ["", "mean", "+- MC", "+- data", "unit, meaning"]


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
                f"{sign * np.mean(values):.3f}",
                f"{error:.3f}",
                unit,
            ]
        )
    return rows


def protocol_line(evaluation: dict, *, seed: bool = True) -> str:
    """Data set, split, n, binarization, estimator and, of one seed, its parameters: one line."""
    p = evaluation["protocol"]
    estimator = f"K = {evaluation['num_samples']} samples of q an example"
    if evaluation["point_mass"]:
        estimator = "no bound (point mass)"
    elif is_explicit(evaluation):
        estimator = "exact, no sampling"
    parameters = f"; {evaluation['parameters']} parameters, step {evaluation['step']:,}"
    return (
        f"{p['data']} [{p['fingerprint']}], {evaluation['split']} split, "
        f"n = {evaluation['n']}, binarization {p['binarization']} (train {p['train']:,}, "
        f"validation {p['validation']:,}, test {p['test']:,}); {estimator}"
        f"{parameters if seed else ''}"
    )


def format_table(header: list[str], rows: list[list[str]]) -> str:
    """Columns aligned: the first and the last to the left, the others to the right."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if i in (0, len(header) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_error(value: float | None, digits: int = 3) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    return f"{value:.{digits}f}" if value >= 0.5 * 10**-digits else f"{value:.0e}"
