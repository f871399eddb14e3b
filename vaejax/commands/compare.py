"""`vaejax compare`, and `vaejax run` of a file that compares experiments."""

import dataclasses
import sys
from pathlib import Path

from vaejax import report as reports
from vaejax.arguments import parse, parse_known
from vaejax.commands.common import locked, use_compilation_cache
from vaejax.commands.measure import measure_run
from vaejax.commands.train import finish, is_evaluated_now, set_up
from vaejax.errors import UserError
from vaejax.evaluation import Compare, Run
from vaejax.evaluation.compared import Compared, by_protocol, compare_models, what_differs
from vaejax.evaluation.compared_sequences import compare_sequences, sequence_comparison_section
from vaejax.experiment import Comparison, ExperimentFile, find
from vaejax.experiment import load as load_experiment
from vaejax.experiment.exported import trained_steps
from vaejax.experiment.loading import load
from vaejax.run_directory import RunDirectory
from vaejax.run_records import find_seeds


def compare(arguments: list[str]) -> int:
    """Compare trained runs: print the tables, and write comparison.html and comparison.json."""
    paths = []
    while arguments and not arguments[0].startswith("-"):
        paths.append(Path(arguments[0]))
        arguments = arguments[1:]
    if len(paths) < 2 and arguments not in (["-h"], ["--help"]):
        raise UserError(
            "vaejax compare expects two or more runs first: names, or folders "
            f"<out>/<experiment>/<hash> or <out>/<experiment>/<hash>/seed-<n>; got {len(paths)}"
        )

    @dataclasses.dataclass(frozen=True)
    class Options(Compare):
        out: Path = Path("comparison")
        """Folder for comparison.html and comparison.json."""
        against: str = ""
        """The model that every other one is compared with, by its label in the tables.
        By default the first."""
        allow_different: bool = False
        """Allow runs on different data or splits: each data set gets its own tables and page."""

    options = parse(Options, arguments, prog="vaejax compare RUN RUN ...", default=Options())
    settings = Compare(**{f.name: getattr(options, f.name) for f in dataclasses.fields(Compare)})
    use_compilation_cache()
    groups = by_protocol(_labelled(_seeds_of(paths)))
    if len(groups) > 1 and not options.allow_different:
        raise UserError(_not_comparable(groups))
    members = [member for group in groups for member in group]
    _check_label(options.against, members)
    for member in members:
        _check_trained(member)
    for index, members in enumerate(groups):
        name = "comparison" if len(groups) == 1 else f"comparison-{index + 1}"
        title = "Models side by side"
        _compare(members, settings, options.out, name, title, against=options.against)
    return 0


def run_comparison(file: ExperimentFile, comparison: Comparison, arguments: list[str]) -> int:
    """Train and evaluate every model of the comparison, then compare them."""

    @dataclasses.dataclass(frozen=True)
    class Options:
        compare: Compare
        seeds: tuple[int, ...] = (0,)
        """Each model is trained once with each seed."""
        out: Path = Path("runs")
        """Folder for the runs; the page is written to <out>/<comparison>/."""

    options, shared = parse_known(
        Options,
        arguments,
        prog=f"vaejax run {file.name}",
        default=Options(comparison.settings),
    )
    seeds = ["--seeds", *map(str, options.seeds), "--out", str(options.out)]
    setups = [
        (
            member,
            set_up(
                "run",
                load_experiment(find(member.experiment)),
                [*member.arguments, *shared, *seeds],
            ),
        )
        for member in comparison.members
    ]
    members = [Compared(member.label, setup.runs()) for member, setup in setups]
    protocols = by_protocol(members)
    if len(protocols) > 1:
        raise UserError(_not_comparable(protocols))
    for member, setup in setups:
        print(f"{member.label}: {member.experiment}", file=sys.stderr)
        code = finish(setup)
        if code:
            return code
    title = (file.module.__doc__ or file.name).strip().splitlines()[0]
    out = options.out / file.name
    _compare(members, options.compare, out, "comparison", title, comparison.tuning)
    return 0


def _not_comparable(groups: list[list[Compared]]) -> str:
    return (
        f"{what_differs(groups)}. Train both on the same data, or use vaejax compare with "
        "--allow-different"
    )


def _check_label(label: str, members: list[Compared]) -> None:
    """Raise UserError for a label that no model has."""
    labels = [member.label for member in members]
    if label and label not in labels:
        raise UserError(f"--against {label}: expected one of {', '.join(labels)}")


def _check_trained(member: Compared) -> None:
    """Raise UserError for a run whose training was stopped early."""
    for run in member.runs:
        total = run.config.train.total_steps(run.data.num_train)
        done = trained_steps(run.directory)
        if done < total:
            raise UserError(
                f"{run.directory.path} is trained for {done:,} of {total:,} steps: run the command "
                "that started it again, to finish it"
            )


def _seeds_of(paths: list[Path]) -> list[list[Run]]:
    """The runs that the paths or names mean, grouped by experiment and hash."""
    groups: dict[tuple, dict[str, Path]] = {}
    for path in paths:
        for seed in map(Path.resolve, find_seeds(str(path))):
            # The same experiment and hash is the same model, in whatever folder. A seed that
            # appears twice starts another group.
            *model, name = RunDirectory(seed).name.split("/")
            copy = 0
            while groups.setdefault((*model, copy), {}).get(name, seed) != seed:
                copy += 1
            groups[(*model, copy)][name] = seed
    return [[load(seed) for seed in seeds.values()] for seeds in groups.values() if seeds]


def _labelled(groups: list[list[Run]]) -> list[Compared]:
    """Each group with its label: the name of the run, else its experiment; with the hash and a
    number added where two labels would be equal."""
    names = [runs[0].directory.given_name or runs[0].name for runs in groups]
    members: list[Compared] = []
    for name, runs in zip(names, groups, strict=True):
        label = name
        if names.count(name) > 1:
            label = f"{name} {runs[0].directory.name.split('/')[-2]}"
        copies = sum(member.label.split(" (")[0] == label for member in members)
        members.append(Compared(f"{label} ({copies + 1})" if copies else label, runs))
    return members


def _compare(
    members: list[Compared],
    settings: Compare,
    out: Path,
    name: str,
    title: str,
    tuning: str = "",
    against: str = "",
) -> None:
    """Measure what this version has not measured, and write and print the comparison."""
    for run in (run for member in members for run in member.runs):
        if not is_evaluated_now(run):
            with locked([run.directory]):
                measure_run("evaluate", run, run.config.evaluate)
    if members[0].runs[0].data.is_sequence:
        content = compare_sequences(members, title, tuning, against)
        section = sequence_comparison_section(content)
        page = reports.html("sections", title=section.title, sections=[section])
        reports.print_section(section)
    else:
        content, pictures, log_p = compare_models(members, settings, title, tuning)
        content["findings"] = reports.findings(content["models"], log_p)
        content["differences"] = reports.differences(log_p, against)
        page = reports.comparison_page(content, pictures)
        reports.print_comparison(content)
    out.mkdir(parents=True, exist_ok=True)
    folder = RunDirectory(out)
    folder.write_json(f"{name}.json", content)
    folder.write_text(f"{name}.html", page)
    print(f"  {folder.file(f'{name}.html')}\n  {folder.file(f'{name}.json')}")
