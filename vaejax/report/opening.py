"""The first sentences of a run's page: the model, its data, its result and the expected result; and
the commands to run next."""

from typing import Any

from vaejax.evaluation.expected import Said, is_reached
from vaejax.evaluation.section import format_error
from vaejax.run_directory import differences

_MOST_NAMED = 5  # changed settings that are named


def opening(
    said: Said, config: dict[str, Any], evaluation: dict[str, Any], own: dict[str, Any] | None
) -> list[str]:
    """The paragraphs at the top of a run's page.

    Args:
      said: the docstring of the experiment file.
      config: the content of config.json.
      evaluation: the content of evaluation.json.
      own: the settings in the experiment file; None if not known.
    """
    protocol = evaluation["protocol"]
    what = "sequences" if "frames" in protocol else "examples"
    named = f" ({config['name']})" if config.get("name") else ""
    trained = (
        f"{config['experiment']}{named}, seed {config['seed']}, was trained on {protocol['data']} "
        f"({protocol['train']:,} {what})."
    )
    changed = changed_settings(config["config"] | {"evaluate": evaluation["settings"]}, own)
    title, compared = "", ""
    if not is_on_other_data(changed):
        title, compared = said.title, _expected(said, evaluation, changed)
    elif own is not None:
        others = {name: value for name, value in changed.items() if not name.startswith("data.")}
        compared = _changes(others)
    sentences = [trained, _result(evaluation, what), compared]
    first = " ".join(sentence for sentence in sentences if sentence)
    return [paragraph for paragraph in (title, first, _details(evaluation)) if paragraph]


def changed_settings(config: dict[str, Any], own: dict[str, Any] | None) -> dict[str, Any]:
    """{name: value} of the settings that differ from those in the experiment file."""
    return (
        {} if own is None else {name: here for name, (here, _) in differences(config, own).items()}
    )


def is_on_other_data(changed: dict[str, Any]) -> bool:
    """Whether the run was trained on other data than the experiment file names."""
    return "data.name" in changed


def _result(evaluation: dict[str, Any], what: str) -> str:
    """A sentence with the main result and its errors."""
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
    return f"-log p(x) of {of} is at most {value} {unit} in expectation."


def _details(evaluation: dict[str, Any]) -> str:
    """Which parameters these are; what a bound is from, and for how many examples its error is not
    known."""
    summary, settings = evaluation["summary"], evaluation["settings"]
    details = (
        f"The parameters are those of step {evaluation['step']:,}, {evaluation['parameters']}."
    )
    found = summary.get("per_frame", summary)
    if "log_p" in found or "iwae" not in found:
        return details
    details += f" The bound is from {settings['num_samples']:,} draws of q for each x."
    doubtful = summary.get("khat_above_0.7", 0)
    if doubtful:
        details += (
            f" For {doubtful:,} of {summary['n']:,} the Monte Carlo error is unreliable (k-hat "
            "above 0.7)."
        )
    return details


def _expected(said: Said, evaluation: dict[str, Any], changed: dict[str, Any]) -> str:
    """The expected result; and, if the settings are those of the experiment file, whether it is
    reached."""
    if not said.expected or changed:
        expected = (
            f" Expected with the settings of the file: {said.expected}." if said.expected else ""
        )
        return f"{_changes(changed)}{expected}".strip()
    summary = evaluation["summary"]
    found = summary.get("per_frame", summary)
    entry = found.get("log_p") or found.get("iwae")
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
    others = f" and {more} more" if more > 0 else ""
    return f"Settings that differ from the experiment file: {named}{others}."


def in_python(is_sequence: bool) -> str:
    """The line of Python that gives p(x, z) and q(z | x) of a loaded run."""
    if is_sequence:
        use, note = (
            "run.joint(given), run.posterior(x, given)",
            "given = vaejax.Conditions(exists, actions)",
        )
    else:
        use, note = "run.joint(), run.posterior(x)", "p(x, z) and q(z | x)"
    return f"joint, q = {use}  # {note}"


def commands_next(run: str, kind: str, is_sequence: bool) -> list[tuple[str, str]]:
    """(command, purpose) of the commands that one can run next."""
    if kind == "point mass":
        return [(f"vaejax compare {run} RUN", "compare it with a model that has a p(x)")]
    found = []
    if kind == "latent variable":
        filters = " --estimator filter" if is_sequence else ""
        found = [
            (
                f"vaejax log-likelihood {run}{filters}",
                "estimate log p(x), more tightly than this bound",
            ),
            (f"vaejax gaps {run}", "measure what amortized inference costs"),
        ]
    if is_sequence:
        found.append((f"vaejax forecast {run}", "forecast the frames that follow the first ones"))
    return [*found, (f"vaejax sample {run} --count 100", "draw x from the model")]
