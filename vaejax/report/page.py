"""The page of one run, made from its files."""

import json
from pathlib import Path

from vaejax.evaluation import MEASUREMENTS, Section
from vaejax.evaluation.expected import Said, said_in
from vaejax.evaluation.runner import read
from vaejax.evaluation.training_section import training_section
from vaejax.report.opening import commands_next, in_python, opening
from vaejax.report.render import html
from vaejax.run_directory import RunDirectory, made_by_other_version


def sections_of(directory: RunDirectory) -> list[Section]:
    """A section for every measurement of a run that this version can read, in the order of
    `MEASUREMENTS`; of one kind the oldest first."""
    sections = []
    for measurement in MEASUREMENTS.values():
        folder = directory.file(measurement.name)
        files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
        names = [f"{measurement.name}/{f.name}" for f in files if "earlier-" not in f.name]
        if measurement.at_top and directory.file(f"{measurement.name}.json").exists():
            names = [f"{measurement.name}.json"]
        for name in names:
            about, arrays = read(directory, name)
            if about["version"] == measurement.version:
                sections.append(measurement.section(about, arrays))
    return sections


def write_page(directory: RunDirectory) -> Path:
    """Write figures/ and report.html, which contains its pictures; returns the path of the page."""
    sections = sections_of(directory)
    evaluation = directory.read_json("evaluation.json", "kind", "protocol")
    kind, is_sequence = evaluation["kind"], "frames" in evaluation["protocol"]
    sections.insert(1, training_section(directory.metrics(), kind))
    manifest = directory.read_json("manifest.json")
    config = directory.read_json("config.json", "experiment", "seed", "config")
    # Evaluation settings are in each section: a run may be measured with several.
    trained = {name: value for name, value in config["config"].items() if name != "evaluate"}
    save_figures(directory, sections)
    name = [directory.given_name] if directory.given_name else []
    # An exported folder may have moved: its path here means nothing to its reader.
    place = directory.path.name if directory.is_exported() else str(directory.path)
    page = html(
        "run",
        title=", ".join([*name, config["experiment"], f"seed {config['seed']}"]),
        warning=made_by_other_version(directory) or "",
        opening=opening(_said(directory), config, evaluation, manifest.get("experiment_settings")),
        sections=sections,
        run=place,
        in_python=in_python(is_sequence),
        commands=commands_next(place, kind, is_sequence),
        config=json.dumps(trained, indent=2),
        manifest=json.dumps(manifest, indent=2),
    )
    directory.write_text("report.html", page)
    return directory.file("report.html")


def _said(directory: RunDirectory) -> Said:
    file = directory.file("experiment.py")
    return said_in(file.read_text() if file.exists() else "")


def save_figures(directory: RunDirectory, sections: list[Section]) -> None:
    """Write figures/<name>.png for each figure, and remove older ones. Of several measurements of
    one kind the newest has the name."""
    folder = directory.file("figures")
    folder.mkdir(exist_ok=True)
    names = set()
    for figure in (figure for section in reversed(sections) for figure in section.figures):
        name = figure.name
        while name in names:
            name = f"{name}-again"
        names.add(name)
        directory.write_bytes(f"figures/{name}.png", figure.drawn[0])
    for stale in folder.glob("*.png"):
        if stale.stem not in names:
            stale.unlink()
