"""`vaejax run` and `vaejax train`."""

import dataclasses
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from vaejax import experiment as experiments_module
from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import (
    absolute_data,
    experiment_argument,
    load_announced,
    locked,
    use_compilation_cache,
    warn_of_version,
)
from vaejax.commands.measure import measure_run, print_measured
from vaejax.commands.seeds_summary import write_seeds
from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.evaluation import Evaluate, Run, watch_latents
from vaejax.evaluation.evaluate import EVALUATION
from vaejax.evaluation.evaluation_section import protocol_line, seeds_table
from vaejax.evaluation.kind import kind_of
from vaejax.evaluation.progress import progress_bar, signals
from vaejax.evaluation.run import check_examples, stream
from vaejax.evaluation.runner import Measured, read
from vaejax.evaluation.streams import LATENT_USE, TRAIN
from vaejax.experiment import Config, Experiment, ExperimentFile
from vaejax.experiment.loading import check_fingerprint, run_of
from vaejax.run_directory import RunDirectory, manifest
from vaejax.run_records import records
from vaejax.text_table import text_table
from vaejax.tracking import Track, Tracker, check_installed
from vaejax.training import NonFiniteLoss, Trainer
from vaejax.training.checkpoint import Checkpoints
from vaejax.types import num_rows, rows_of

# Seconds between two checkpoints. Writing one takes about a tenth of a second.
CHECKPOINT_SECONDS = 20.0

WATCHED = 300  # training examples whose latents are measured after each epoch


def run(arguments: list[str]) -> int:
    """Train and evaluate each seed that is not finished, and print the results."""
    file, rest = experiment_argument("run", arguments)
    if file.comparison is not None:
        from vaejax.commands.compare import run_comparison  # which imports this module

        return run_comparison(file, file.comparison, rest)
    setup = set_up("run", file, rest)
    code = finish(setup)
    if code:
        return code
    evaluations = []
    for directory in setup.directories:
        about, arrays = read(directory, "evaluation.json")
        evaluations.append(about)
        print_measured("evaluate", directory, Measured(about, arrays, "evaluation", 0))
    if len(evaluations) > 1:
        print(
            f"\nOver {len(evaluations)} seeds, mean and standard error. Each seed was measured on:"
        )
        print(protocol_line(evaluations[0], seed=False))
        header = ["", "mean", "+- seeds", "unit, meaning"]
        print(text_table(header, seeds_table(evaluations)))
        folder = RunDirectory(setup.directories[0].path.parent)
        write_seeds(list(setup.seeds), evaluations, folder)
    return 0


def train(arguments: list[str]) -> int:
    """Train each seed that is not trained."""
    setup = set_up("train", *experiment_argument("train", arguments))
    with locked(setup.directories):
        code = _train(setup)
    if code == 0:
        for directory in setup.directories:
            print(f"trained: {directory.path}; evaluate it with vaejax evaluate {directory.path}")
    return code


class Setup(NamedTuple):
    """An experiment ready to train: its settings, data, models, and the folder of each seed."""

    file: ExperimentFile
    config: Config
    seeds: tuple[int, ...]
    track: Track
    dataset: Dataset
    experiment: Experiment
    directories: list[RunDirectory]

    def runs(self) -> list[Run]:
        """Each seed's run."""
        return [
            run_of(directory, self.file, self.config, seed, self.dataset.summary, self.dataset)
            for directory, seed in zip(self.directories, self.seeds, strict=True)
        ]


def set_up(command: str, file: ExperimentFile, arguments: list[str]) -> Setup:
    """Read the arguments, load the data, build the models and make the run folders."""

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: Annotated[type(file.config), tyro.conf.arg(name="")]  # type: ignore[misc]
        seeds: tuple[int, ...] = (0,)
        """Seeds; each gives one run, and all are trained together in one program."""
        out: Path = Path("runs")
        """Folder for the runs."""
        name: str = ""
        """A name for the run: tables and pages show it, and it can stand for RUN."""
        track: Track = "none"
        """Also send metrics to TensorBoard or Weights & Biases."""

    options = parse(
        Options, arguments, prog=f"vaejax {command} {file.name}", default=Options(file.config)
    )
    if not options.seeds or len(set(options.seeds)) != len(options.seeds):
        raise UserError(f"--seeds expects one or more different whole numbers; got {options.seeds}")
    if min(options.seeds) < 0 or max(options.seeds) >= 2**32:
        raise UserError(f"--seeds expects whole numbers from 0 to 2^32 - 1; got {options.seeds}")
    if "/" in options.name or not options.name.isprintable():
        raise UserError(f"--name expects a few words without /; got {options.name!r}")
    config = absolute_data(options.config)
    use_compilation_cache()
    dataset = load_announced(config)
    experiment = file.build(config, dataset)
    config.train.steps_per_epoch(len(dataset.train))
    evaluate = config.evaluate
    check_examples(dataset, evaluate.split, evaluate.examples, "evaluate")
    check_installed(options.track)
    base = options.out / file.name / experiments_module.identity(file, config, dataset.fingerprint)
    directories = [RunDirectory(base / f"seed-{seed}") for seed in options.seeds]
    saved = experiments_module.to_json(config)
    earlier = {directory.given_name for directory in directories} - {"", options.name}
    for directory, seed in zip(directories, options.seeds, strict=True):
        directory.create(file.name, file.path, saved, seed, options.name, file.copied_as())
        if directory.file("data.json").exists():
            check_fingerprint(directory, dataset)
        else:
            directory.write_json("data.json", dataset.summary.to_json())
    if options.name:
        _warn_of_namesakes(options.name, options.out, base)
    if options.name and earlier:
        print(
            f"{base}: renamed from {', '.join(sorted(earlier))} to {options.name}", file=sys.stderr
        )
    return Setup(file, config, options.seeds, options.track, dataset, experiment, directories)


def _warn_of_namesakes(name: str, out: Path, base: Path) -> None:
    """Print which other configurations below `out` have runs of this name."""
    others = {record.folder.parent for record in records(out) if record.name == name} - {base}
    if others:
        print(
            f"{name} is also the name of {', '.join(map(str, sorted(others)))}: commands that are "
            "given this name ask which one is meant",
            file=sys.stderr,
        )


def finish(setup: Setup) -> int:
    """Train and evaluate each seed that is not finished, and write its page. Returns an exit code,
    0 unless it was stopped."""
    with locked(setup.directories):
        code = _train(setup)
        if code:
            return code
        for one in setup.runs():
            warn_of_version(one.directory)
            if not is_evaluated_with(one, setup.config.evaluate):
                measure_run("evaluate", one, setup.config.evaluate)
            elif not one.directory.is_reported():
                reports.write_page(one.directory)
    return 0


def is_evaluated_now(run: Run) -> bool:
    """Whether this version evaluated the run at its newest step."""
    if not run.directory.is_evaluated():
        return False
    found = run.evaluation
    return (found.get("step"), found.get("version")) == (run.step, EVALUATION.version)


def is_evaluated_with(run: Run, settings: Evaluate) -> bool:
    """Whether the run was evaluated with these settings, at its newest step, by this version."""
    wanted = json.loads(json.dumps(dataclasses.asdict(settings)))
    return is_evaluated_now(run) and run.evaluation.get("settings") == wanted


def _train(setup: Setup) -> int:
    """Train each seed that is not finished; seeds at the same step are trained together."""
    checkpoints = [Checkpoints(d.file("checkpoints")) for d in setup.directories]
    total = setup.config.train.total_steps(len(setup.dataset.train))
    by_step: dict[int, list[int]] = {}
    for index, checkpoint in enumerate(checkpoints):
        step = checkpoint.latest_step() or 0
        if step < total:
            by_step.setdefault(step, []).append(index)
    if not by_step:
        return 0
    trainer = setup.experiment.trainer(setup.dataset, setup.config.train)
    used, present = len(trainer.sharding.device_set), jax.device_count()
    if used < present:
        print(
            f"using {used} of {present} devices: --train.batch-size "
            f"{setup.config.train.batch_size} divides evenly over at most {used}",
            file=sys.stderr,
        )
    for step, members in sorted(by_step.items()):
        code = _train_together(setup, trainer, checkpoints, members, step)
        if code:
            return code
    return 0


def _train_together(setup, trainer: Trainer, checkpoints, members: list[int], step: int) -> int:
    directories = [setup.directories[i] for i in members]
    checkpoints = [checkpoints[i] for i in members]
    states, best = trainer.start([stream(setup.seeds[i], TRAIN) for i in members])
    if step > 0:
        restored = [
            checkpoint.restore(*rows_of((states, best), i))
            for i, checkpoint in enumerate(checkpoints)
        ]
        states, best = jax.tree.map(lambda *leaves: jnp.stack(leaves), *restored)
        print(f"resuming from step {step:,}", file=sys.stderr)
    saved_config = experiments_module.to_json(setup.config)
    trackers = []
    made = manifest(setup.file.path, setup.dataset.protocol())  # one for all seeds
    made["experiment_settings"] = experiments_module.to_json(
        absolute_data(setup.file.module.config)
    )
    for directory in directories:
        directory.keep_metrics_up_to(step)
        if not directory.file("manifest.json").exists():
            directory.write_json("manifest.json", made)
        trackers.append(Tracker(setup.track, directory.path, directory.name, saved_config))

    def log(lines):
        for directory, tracker, line in zip(directories, trackers, lines, strict=True):
            directory.log(line)
            tracker.log(line)

    def save(states, best):
        for i, checkpoint in enumerate(checkpoints):
            checkpoint.save(*rows_of((states, best), i))

    if step == 0:
        save(states, best)  # so that there is always one to resume from
    watch = _watch(setup, rows_of(states, 0).params)
    saved_at = epoch_at = time.monotonic()
    collected: list = []
    with signals() as stop, progress_bar(trainer.total_steps, step) as bar:
        try:
            for report in trainer.run(states, best):
                count = report.terms.value.shape[1]
                collected.append((report.terms, report.padding))
                if report.validation is not None and not report.end_of_epoch:
                    log([{"step": report.step, "validation": float(v)} for v in report.validation])
                losses = report.terms.value.mean(axis=1)
                bar.set_postfix_str(f"objective {losses.mean():.3f}", refresh=False)
                bar.update(count)
                if report.end_of_epoch:
                    lines = _epoch_lines(report, collected, time.monotonic() - epoch_at)
                    for i, line in enumerate(lines):
                        line |= watch(setup.seeds[members[i]], rows_of(report.states, i).params)
                    log(lines)
                    # The time of `watch` counts for no epoch.
                    collected, epoch_at = [], time.monotonic()
                finished = report.step == trainer.total_steps
                late = time.monotonic() - saved_at > CHECKPOINT_SECONDS
                if finished or late or stop.signal:
                    save(report.states, report.best)
                    saved_at = time.monotonic()
                if stop.signal:
                    bar.close()
                    print(
                        f"stopped at step {report.step:,} of {trainer.total_steps:,} and saved; "
                        f"run the same command to resume: vaejax {shlex.join(sys.argv[1:])}",
                        file=sys.stderr,
                    )
                    return 128 + stop.signal
        except NonFiniteLoss as error:
            seed = setup.seeds[members[error.seed]]
            kept = checkpoints[error.seed].latest_step()
            raise UserError(
                f"seed {seed}: {error}; training stopped, and the checkpoint of step {kept} is "
                f"kept in {checkpoints[error.seed].folder}; lower --train.learning-rate, or check "
                "the scale of the data"
            ) from None
        finally:
            for tracker in trackers:
                tracker.close()
    return 0


def _watch(setup: Setup, params):
    """(seed, params) -> the numbers on the latents that the epoch's line logs. None are logged for
    a point mass, a model without latents, or sequences, whose latents differ in length."""
    generative, inference = setup.experiment.generative, setup.experiment.inference
    examples = setup.dataset.examples("train", WATCHED)
    kind = kind_of(generative, inference, params, rows_of(examples, 0))
    count = num_rows(examples.x)
    if kind != "latent variable" or count < 2 or setup.dataset.summary.is_sequence:
        return lambda seed, params: {}
    watch = watch_latents(generative, inference, examples)
    return lambda seed, params: watch(stream(seed, LATENT_USE), params)


def _epoch_lines(report, collected, seconds: float) -> list[dict]:
    """One line of metrics for each seed: the epoch's means, and the validation at its end."""
    validation = report.validation
    terms, padding = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *collected)
    rate = terms.value.shape[1] / max(seconds, 1e-9)
    return [
        {
            "step": report.step,
            "epoch": report.epoch + 1,
            "value": float(terms.value[i].mean()),
            **{name: float(values[i].mean()) for name, values in terms.metrics.items()},
            **({} if padding is None else {"padding": round(float(padding[i].mean()), 4)}),
            "validation": None if validation is None else float(validation[i]),
            "steps_per_second": round(rate, 2),
        }
        for i in range(len(terms.value))
    ]
