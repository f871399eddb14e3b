"""The model card of an exported run, README.md, made from the files of its folder."""

import json
from typing import Any

from vaejax.data import load_summary
from vaejax.evaluation.expected import said_in
from vaejax.report.opening import changed_settings, in_python, is_on_other_data
from vaejax.report.page import sections_of
from vaejax.report.render import markdown
from vaejax.run_directory import EXPORT, RunDirectory, made_by_other_version


def write_model_card(directory: RunDirectory) -> None:
    """Write README.md: the model and its data, how to load it, results with protocol and errors."""
    about = directory.read_json(EXPORT, "vaejax", "parameters")
    saved = directory.read_json("config.json", "experiment", "seed", "config")
    data = load_summary(directory.file("data.json"))
    trained = {name: value for name, value in saved["config"].items() if name != "evaluate"}
    manifest = directory.read_json("manifest.json")
    commits = _commits(manifest)
    directory.write_text(
        "README.md",
        markdown(
            "card",
            title=f"{saved['experiment']}, seed {saved['seed']}",
            what=_what(directory, saved["config"], manifest),
            trained=_trained(about, data.protocol()),
            warnings=_warnings(directory, about),
            version=about["vaejax"],
            commit=_to_install(directory, commits.get("vaejax", "")),
            folder=directory.path.name,
            use=in_python(data.is_sequence),
            shape=f"shape {data.shape}, {data.support} values",
            sections=sections_of(directory),
            config=json.dumps(trained, indent=2),
            made=_made(commits),
            measured=directory.is_evaluated(),
        ),
    )


def _trained(about: dict, protocol: dict) -> str:
    """A sentence on the data, the training and the parameters."""
    sizes = about["parameters"]
    return (
        f"Trained on {protocol['data']} [{protocol['fingerprint']}]: {protocol['train']:,} "
        f"training, {protocol['validation']:,} validation and {protocol['test']:,} test examples; "
        f"binarization {protocol['binarization']}. {about['trained_steps']:,} of "
        f"{about['total_steps']:,} steps; these are the parameters of step {about['step']:,}, "
        f"{about['chosen']}: {sizes['generative']:,} of p(x, z) and {sizes['inference']:,} of "
        "q(z | x)."
    )


def _warnings(directory: RunDirectory, about: dict) -> list[str]:
    lines = []
    if about["trained_steps"] < about["total_steps"]:
        lines.append("**The training was stopped early.**")
    if not directory.is_evaluated():
        lines.append("**The run was not evaluated.**")
    sentence = made_by_other_version(directory)
    return lines + ([f"The run was {sentence}."] if sentence else [])


def _what(directory: RunDirectory, config: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The title of the experiment file; "" if the run was trained on other data."""
    if is_on_other_data(changed_settings(config, manifest.get("experiment_settings"))):
        return ""
    return said_in(directory.file("experiment.py").read_text()).title


def _made(commits: dict[str, str]) -> str:
    said = [f"{name} {commit}" for name, commit in commits.items()]
    return f"Code: {', '.join(said)}." if said else "Code: no commit was recorded."


def _to_install(directory: RunDirectory, commit: str) -> str:
    """The commit to install; "" if another version of vaejax trained the run."""
    return "" if made_by_other_version(directory) else commit.removesuffix("-dirty")


def _commits(manifest: dict[str, Any]) -> dict[str, str]:
    """The commits of the code, if known."""
    commits = manifest.get("git")
    known = commits if isinstance(commits, dict) else {"experiment": commits}
    return {name: commit for name, commit in known.items() if commit}
