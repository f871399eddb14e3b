"""The first sentences of a run's page: what was trained on what, and how it compares with what the
experiment file expects; and what one can do with the run next."""

from typing import Any

from vaejax.evaluation.expected import Said, is_reached
from vaejax.evaluation.section import format_error
from vaejax.run_directory import differences

_MOST_NAMED = 5  # of the settings that were changed


def opening(
    said: Said, config: dict[str, Any], evaluation: dict[str, Any], own: dict[str, Any] | None
) -> list[str]:
    """Paragraphs. `said`: in the experiment file; `config`, `evaluation`: of the run's files;
    `own`: the settings in the experiment file, None where they are not known."""
    protocol, step = evaluation["protocol"], evaluation["step"]
    what = "sequences" if "frames" in protocol else "examples"
    trained = (
        f"{config['experiment']}, seed {config['seed']}, was trained on {protocol['data']} "
        f"({protocol['train']:,} {what}); the parameters are those of step {step:,}, "
        f"{evaluation['parameters']}."
    )
    paragraphs = [f"{trained} {_result(evaluation, what)}"]
    changed = changed_settings(config["config"] | {"evaluate": evaluation["settings"]}, own)
    if not is_on_other_data(changed):
        paragraphs = [said.title, *paragraphs, _expected(said, evaluation, changed)]
    elif own is not None:
        others = {name: value for name, value in changed.items() if not name.startswith("data.")}
        paragraphs.append(_changes(others))
    return [paragraph for paragraph in paragraphs if paragraph]


def changed_settings(config: dict[str, Any], own: dict[str, Any] | None) -> dict[str, Any]:
    """By their names, the settings that are not the experiment file's own."""
    return (
        {} if own is None else {name: here for name, (here, _) in differences(config, own).items()}
    )


def is_on_other_data(changed: dict[str, Any]) -> bool:
    """Whether what the experiment file says is of other data."""
    return "data.name" in changed


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
    doubt = ""
    if doubtful:
        doubt = (
            f" For {doubtful:,} of them its sampling error is not to be trusted (k-hat above 0.7)."
        )
    return (
        f"-log p(x) of {of} is at most {value} {unit} in expectation, by "
        f"{settings['num_samples']:,} draws of q for each.{doubt}"
    )


def _expected(said: Said, evaluation: dict[str, Any], changed: dict[str, Any]) -> str:
    """What the experiment file expects; whether it is reached, where its own settings were used."""
    if not said.expected or changed:
        expected = f" With its own settings it expects: {said.expected}." if said.expected else ""
        return f"{_changes(changed)}{expected}".strip()
    summary = evaluation["summary"]
    entry = summary.get("log_p") or summary.get("iwae")
    if entry is None or entry["mean"] is None:
        return f"Expected: {said.expected}."
    reached = is_reached(said.expected, -entry["mean"])
    verdict = {None: "", True: " Reached.", False: " Not reached."}[reached]
    return f"Expected: {said.expected}.{verdict}"


def _changes(changed: dict[str, Any]) -> str:
    if not changed:
        return ""
    named = ", ".join(f"{name} {value}" for name, value in list(changed.items())[:_MOST_NAMED])
    more = len(changed) - _MOST_NAMED
    return f"Not as in the experiment file: {named}{f' and {more} more' if more > 0 else ''}."


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
