"""The first sentences of a run's page: what was trained on what, and how it compares with what the
experiment file expects; and what one can do with the run next."""

from typing import Any

from vaejax.evaluation.expected import Said, is_reached
from vaejax.evaluation.section import format_error


def opening(
    said: Said, config: dict[str, Any], evaluation: dict[str, Any], command: list[str]
) -> list[str]:
    """Paragraphs. `said`: in the experiment file; `config`, `evaluation`: of the run's files;
    `command`: the arguments that began it."""
    protocol, step = evaluation["protocol"], evaluation["step"]
    what = "sequences" if "frames" in protocol else "examples"
    trained = (
        f"{config['experiment']}, seed {config['seed']}, was trained on {protocol['data']} "
        f"({protocol['train']:,} {what}); the parameters are those of step {step:,}, "
        f"{evaluation['parameters']}."
    )
    return [
        said.title,
        f"{trained} {_result(evaluation, what)}",
        _expected(said, evaluation, command),
    ]


def _result(evaluation: dict[str, Any], what: str) -> str:
    """The first number that there is, with its errors."""
    summary, settings = evaluation["summary"], evaluation["settings"]
    per_frame = "per_frame" in summary
    found = summary["per_frame"] if per_frame else summary
    unit = "nats per frame" if per_frame else "nats"
    of = f"{summary['n']:,} {settings['split']} {what}"
    if "squared_error" in found and "elbo" not in found and "log_p" not in found:
        entry = found["squared_error"]
        error = format_error(entry["std_error_data"])
        return (
            f"Its reconstructions of {of} have a squared error of {entry['mean']:.3f} +- {error}."
        )
    name = next((name for name in ("log_p", "iwae") if name in found), None)
    if name is None or found[name]["mean"] is None:
        return ""
    entry = found[name]
    data = f"+- {format_error(entry['std_error_data'])} (data)"
    if name == "log_p":
        return f"-log p(x) of {of} is {-entry['mean']:.3f} {data} {unit}, exact."
    monte_carlo = f"+- {format_error(entry['std_error_monte_carlo'])} (Monte Carlo)"
    value = f"{-entry['mean']:.3f} {monte_carlo} {data}"
    doubtful = summary.get("khat_above_0.7", 0)
    doubt = f" Its error is unreliable for {doubtful:,} of them." if doubtful else ""
    return (
        f"-log p(x) of {of} is at most {value} {unit} in expectation, by "
        f"{settings['num_samples']:,} draws of q for each.{doubt}"
    )


def _expected(said: Said, evaluation: dict[str, Any], command: list[str]) -> str:
    if not said.expected:
        return ""
    if any(part.startswith("--") and "." in part.split("=")[0] for part in command):
        return f"With its own settings, which were changed here, it is expected: {said.expected}"
    summary = evaluation["summary"]
    entry = summary.get("log_p") or summary.get("iwae")
    value = None if entry is None else entry["mean"]
    reached = None if value is None else is_reached(said.expected, -value)
    verdict = {None: "", True: " Reached.", False: " Not reached."}[reached]
    return f"Expected: {said.expected}.{verdict}"


def commands_next(run: str, kind: str, is_sequence: bool) -> list[tuple[str, str]]:
    """(command, what it does) of what one may do with the run."""
    if kind == "point mass":
        return [(f"vaejax compare {run} RUN", "beside a model that has a p(x)")]
    found = []
    if kind == "latent variable":
        filters = " --estimator filter" if is_sequence else ""
        found = [
            (f"vaejax log-likelihood {run}{filters}", "log p(x), better than this bound"),
            (f"vaejax gaps {run}", "what amortized inference costs"),
        ]
    if is_sequence:
        found.append((f"vaejax forecast {run}", "what follows the first frames"))
    return [*found, (f"vaejax sample {run} --count 100", "draws of x")]
