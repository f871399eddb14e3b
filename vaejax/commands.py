"""What the command line does: the only place that makes a random key, from the seed."""

import ast
import contextlib
import dataclasses
import os
import re
import shlex
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from tqdm import tqdm

from vaejax import data as data_sets
from vaejax import experiment as experiments_module
from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.cache import cache_folder
from vaejax.data import Dataset
from vaejax.data.catalogue import data_dir
from vaejax.errors import UserError
from vaejax.evaluation import Evaluate, LogLikelihood, prior_samples, summarize
from vaejax.evaluation import evaluate as measure
from vaejax.evaluation import pictures as make_pictures
from vaejax.evaluation.log_likelihood import (
    BLOCK,
    NAMES,
    cost,
    estimate_blocks,
    estimates_of,
    identity,
)
from vaejax.evaluation.pictures import is_point_mass
from vaejax.experiment import Config, Experiment, ExperimentFile
from vaejax.report.table import HEADER, protocol_line
from vaejax.run_directory import RunDirectory, manifest, matmul_precision, versions
from vaejax.tracking import Track, Tracker, check_installed
from vaejax.training import NonFiniteLoss, Trainer
from vaejax.training.checkpoint import Checkpoints
from vaejax.types import Params

# Seconds between two checkpoints: a tenth of a second every twenty.
CHECKPOINT_SECONDS = 20.0

_BENCH_CALLS = 7

# Independent streams of a run's key, apart from those of the data protocol's own key.
_TRAIN, _EVALUATE, _PICTURES, _SAMPLE, _LOG_LIKELIHOOD = range(1001, 1006)


def stream(seed: int, purpose: int):
    """The key of one purpose of one seed."""
    return jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), purpose)


def use_compilation_cache() -> None:
    """Compiled programs are kept, so that a second run starts at once."""
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


# ---------------------------------------------------------------- run, train


def run(arguments: list[str]) -> int:
    """Train what is not trained, evaluate what is not evaluated, report."""
    setup = _set_up("run", arguments)
    code = _train(setup)
    if code:
        return code
    evaluations = []
    for directory in setup.directories:
        loaded = Loaded(directory, setup.file, setup.config, setup.dataset, setup.experiment)
        if not _is_evaluated_with(loaded, setup.config.evaluate):
            _evaluate(loaded, setup.config.evaluate)
        if not directory.is_reported():
            _report(directory)
        evaluations.append(directory.read_json("evaluation.json"))
    for directory, evaluation in zip(setup.directories, evaluations, strict=True):
        _print_evaluation(directory, evaluation)
    if len(evaluations) > 1:
        print(f"\nOver {len(evaluations)} seeds, mean and standard error over seeds; each seed:")
        print(protocol_line(evaluations[0], seed=False))
        header = ["", "mean", "+- seeds", "unit, meaning"]
        print(reports.format_table(header, reports.seeds_table(evaluations)))
    return 0


def train(arguments: list[str]) -> int:
    """Train what is not trained."""
    setup = _set_up("train", arguments)
    code = _train(setup)
    if code == 0:
        for directory in setup.directories:
            print(f"trained: {directory.path}; measure it with vaejax evaluate {directory.path}")
    return code


class Setup(NamedTuple):
    file: ExperimentFile
    config: Config
    seeds: tuple[int, ...]
    track: Track
    dataset: Dataset
    experiment: Experiment
    directories: list[RunDirectory]


def _set_up(command: str, arguments: list[str]) -> Setup:
    file, rest = _experiment_argument(command, arguments)

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: Annotated[type(file.config), tyro.conf.arg(name="")]  # type: ignore[misc]
        seeds: tuple[int, ...] = (0,)
        """One run each, all trained in one program."""
        out: Path = Path("runs")
        """Folder for the run directories."""
        track: Track = "none"
        """Metrics to TensorBoard or Weights & Biases as well as to metrics.jsonl."""

    options = parse(
        Options, rest, prog=f"vaejax {command} {file.name}", default=Options(file.config)
    )
    if not options.seeds or len(set(options.seeds)) != len(options.seeds):
        raise UserError(f"--seeds expects one or more different whole numbers; got {options.seeds}")
    if min(options.seeds) < 0 or max(options.seeds) >= 2**32:
        raise UserError(f"--seeds expects whole numbers from 0 to 2^32 - 1; got {options.seeds}")
    config = _absolute_data(options.config)
    use_compilation_cache()
    dataset = _load_data(config)
    experiment = file.build(config, dataset)
    config.train.steps_per_epoch(len(dataset.train))
    _evaluated_examples(config.evaluate, dataset)
    check_installed(options.track)
    base = options.out / file.name / experiments_module.identity(file, config)
    directories = [RunDirectory(base / f"seed-{seed}") for seed in options.seeds]
    saved = experiments_module.to_json(config)
    for directory, seed in zip(directories, options.seeds, strict=True):
        directory.create(file.path, saved, seed)
        if directory.file("manifest.json").exists():
            _check_fingerprint(directory, dataset)
    return Setup(file, config, options.seeds, options.track, dataset, experiment, directories)


def _experiment_argument(command: str, arguments: list[str]) -> tuple[ExperimentFile, list[str]]:
    if not arguments or arguments[0].startswith("-"):
        if arguments and arguments[0] in ("-h", "--help"):
            print(
                f"usage: vaejax {command} EXPERIMENT [settings]\n\n"
                f"vaejax {command} EXPERIMENT --help lists an experiment's settings; "
                "vaejax experiments lists the experiments."
            )
            raise SystemExit(0)
        raise UserError(f"vaejax {command} expects an experiment first: see vaejax experiments")
    return experiments_module.load(experiments_module.find(arguments[0])), arguments[1:]


def _absolute_data(config: Config) -> Config:
    name = config.data.name
    if name.endswith((".npz", ".npy")):
        name = str(Path(name).expanduser().resolve())
    return dataclasses.replace(config, data=dataclasses.replace(config.data, name=name))


def _load_data(config: Config) -> Dataset:
    return data_sets.load(
        config.data.name,
        binarization=config.data.binarization,
        validation=config.data.validation,
    )


def _train(setup: Setup) -> int:
    """Train each seed that is not finished; those at the same step together."""
    checkpoints = [Checkpoints(d.file("checkpoints")) for d in setup.directories]
    total = setup.config.train.total_steps(len(setup.dataset.train))
    by_step: dict[int, list[int]] = {}
    for index, checkpoint in enumerate(checkpoints):
        step = checkpoint.latest_step() or 0
        if step < total:
            by_step.setdefault(step, []).append(index)
    if not by_step:
        return 0
    trainer = Trainer(*setup.experiment, setup.dataset, setup.config.train)
    used, present = len(trainer.sharding.device_set), jax.device_count()
    if used < present:
        print(
            f"using {used} of {present} devices: --train.batch-size "
            f"{setup.config.train.batch_size} divides evenly over {used}",
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
    states, best = trainer.start([stream(setup.seeds[i], _TRAIN) for i in members])
    if step > 0:
        restored = [
            checkpoint.restore(*_member((states, best), i))
            for i, checkpoint in enumerate(checkpoints)
        ]
        states, best = jax.tree.map(lambda *leaves: jnp.stack(leaves), *restored)
        print(f"going on from step {step:,}", file=sys.stderr)
    saved_config = experiments_module.to_json(setup.config)
    trackers = []
    for directory in directories:
        directory.keep_metrics_up_to(step)
        if not directory.file("manifest.json").exists():
            made = manifest(setup.file.path, setup.dataset.protocol())
            directory.write_json("manifest.json", made)
        trackers.append(Tracker(setup.track, directory.path, directory.name, saved_config))

    def save(states, best):
        for i, checkpoint in enumerate(checkpoints):
            checkpoint.save(*_member((states, best), i))

    if step == 0:
        save(states, best)  # so that there is always one to go back to
    saved_at = epoch_at = time.monotonic()
    collected: list = []
    with _signals() as stop, _progress_bar(trainer.total_steps, step) as bar:
        try:
            for report in trainer.run(states, best):
                count = report.terms.value.shape[1]
                collected.append(report.terms)
                if report.validation is not None and not report.end_of_epoch:
                    for i, (directory, tracker) in enumerate(
                        zip(directories, trackers, strict=True)
                    ):
                        line = {"step": report.step, "validation": float(report.validation[i])}
                        directory.log(line)
                        tracker.log(line)
                losses = report.terms.value.mean(axis=1)
                bar.set_postfix_str(f"objective {losses.mean():.3f}", refresh=False)
                bar.update(count)
                if report.end_of_epoch:
                    now = time.monotonic()
                    lines = _epoch_lines(report, collected, now - epoch_at)
                    for directory, tracker, line in zip(directories, trackers, lines, strict=True):
                        directory.log(line)
                        tracker.log(line)
                    collected, epoch_at = [], now
                finished = report.step == trainer.total_steps
                late = time.monotonic() - saved_at > CHECKPOINT_SECONDS
                if finished or late or stop.signal:
                    save(report.states, report.best)
                    saved_at = time.monotonic()
                if stop.signal:
                    bar.close()
                    print(
                        f"stopped at step {report.step:,} of {trainer.total_steps:,} and saved; "
                        f"run the same command to go on: vaejax {shlex.join(sys.argv[1:])}",
                        file=sys.stderr,
                    )
                    return 128 + stop.signal
        except NonFiniteLoss as error:
            seed = setup.seeds[members[error.seed]]
            kept = checkpoints[error.seed].latest_step()
            raise UserError(
                f"seed {seed}: {error}; training ended, the checkpoint of step {kept} is kept in "
                f"{checkpoints[error.seed].folder}; lower --train.learning-rate, or look at the "
                "data's scale"
            ) from None
        finally:
            for tracker in trackers:
                tracker.close()
    return 0


def _member(stacked, index: int):
    return jax.tree.map(lambda leaf: leaf[index], stacked)


def _epoch_lines(report, collected, seconds: float) -> list[dict]:
    """One line of metrics a seed: the epoch's means, and the validation made at its end."""
    validation = report.validation
    terms = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *collected)
    rate = terms.value.shape[1] / max(seconds, 1e-9)
    return [
        {
            "step": report.step,
            "epoch": report.epoch + 1,
            "value": float(terms.value[i].mean()),
            "reconstruction": float(terms.reconstruction[i].mean()),
            "kl": float(terms.kl[i].mean()),
            "validation": None if validation is None else float(validation[i]),
            "steps_per_second": round(rate, 2),
        }
        for i in range(len(terms.value))
    ]


class _Stop:
    signal = 0


@contextlib.contextmanager
def _signals():
    """The first Ctrl-C or SIGTERM asks training to save and stop; a second ends it at once."""
    stop = _Stop()

    def ask(number, frame):
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number
        print("\nstopping: saving at the end of this call (again to end at once)", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress_bar(total: int, initial: int = 0, unit: str = "step", what: str = "train"):
    return tqdm(
        total=total, initial=initial, unit=unit, desc=what, file=sys.stderr, mininterval=0.5
    )


# ------------------------------------------------- evaluate, sample, report


class Loaded(NamedTuple):
    """A run directory with all that is needed to use its model."""

    directory: RunDirectory
    file: ExperimentFile
    config: Config
    dataset: Dataset
    experiment: Experiment

    @property
    def seed(self) -> int:
        return self.directory.read_json("config.json")["seed"]

    def trained_steps(self) -> int | None:
        return Checkpoints(self.directory.file("checkpoints")).latest_step()

    def params(self) -> tuple[Params, int, str]:
        """(parameters, their step, which they are): the best by validation, else the last."""
        trainer = Trainer(*self.experiment, self.dataset, self.config.train)
        states, best = jax.eval_shape(lambda: trainer.start([stream(self.seed, _TRAIN)]))
        shapes = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape[1:], s.dtype), (states, best))
        state, best = Checkpoints(self.directory.file("checkpoints")).restore(*shapes)
        if np.isfinite(best.value):
            return best.params, int(best.step), "best by validation"
        return state.params, int(state.step), "last"


def _load_run(arguments: list[str], command: str) -> tuple[Loaded, list[str]]:
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"usage: vaejax {command} RUN [settings]\n\nvaejax {command} RUN --help lists them.")
        raise SystemExit(0)
    if not arguments or arguments[0].startswith("-"):
        raise UserError(
            f"vaejax {command} expects a run directory first: <out>/<experiment>/<hash>/seed-<n>"
        )
    directory = RunDirectory(Path(arguments[0]))
    saved = directory.read_json("config.json", "experiment", "seed", "config")
    file = experiments_module.load(directory.file("experiment.py"), saved["experiment"])
    config = experiments_module.from_json(type(file.config), saved["config"])
    use_compilation_cache()
    dataset = _load_data(config)
    _check_fingerprint(directory, dataset)
    loaded = Loaded(directory, file, config, dataset, file.build(config, dataset))
    return loaded, arguments[1:]


def _check_fingerprint(directory: RunDirectory, dataset: Dataset) -> None:
    expected = directory.read_json("manifest.json", "data")["data"].get("fingerprint")
    if dataset.fingerprint != expected:
        raise UserError(
            f"{directory.path} was trained on {dataset.name} with fingerprint {expected}; here it "
            f"has {dataset.fingerprint}: its numbers would not be comparable. Point at the data it "
            "was trained on, or give another --out"
        )


def evaluate(arguments: list[str]) -> int:
    """Measure a run, with its own settings or others."""
    loaded, rest = _load_run(arguments, "evaluate")

    @dataclasses.dataclass(frozen=True)
    class Options:
        evaluate: Evaluate

    options = parse(
        Options, rest, prog="vaejax evaluate RUN", default=Options(loaded.config.evaluate)
    )
    _evaluate(loaded, options.evaluate)
    _report(loaded.directory)
    _print_evaluation(loaded.directory, loaded.directory.read_json("evaluation.json"))
    return 0


def _evaluated_examples(settings: Evaluate, dataset: Dataset) -> int:
    """How many examples these settings measure."""
    return _present(dataset, settings.split, settings.examples, "--evaluate.")


def _present(dataset: Dataset, split: str, examples: int | None, prefix: str) -> int:
    """How many examples: all unless said; refused where there are not as many."""
    present = len(getattr(dataset, split))
    if present == 0:
        raise UserError(f"the {split} split is empty: choose another {prefix}split")
    if examples is not None and examples > present:
        raise UserError(
            f"{prefix}examples {examples} is more than the {present} of the {split} split"
        )
    return examples or present


def _is_evaluated_with(loaded: Loaded, settings: Evaluate) -> bool:
    """Whether the run's measurements are those that these settings would make now."""
    if not loaded.directory.is_evaluated():
        return False
    found = loaded.directory.read_json("evaluation.json", "split", "n", "num_samples")
    n = _evaluated_examples(settings, loaded.dataset)
    wanted = settings.split, n, settings.num_samples, loaded.trained_steps()
    return (found["split"], found["n"], found["num_samples"], found.get("trained_steps")) == wanted


def _kept_as(loaded: Loaded, settings: Evaluate) -> str | None:
    """The name for measurements by other settings, which may be hours of work."""
    directory = loaded.directory
    files = directory.file("evaluation.json"), directory.file("evaluation.npz")
    if not all(file.exists() for file in files) or _is_evaluated_with(loaded, settings):
        return None
    found = directory.read_json("evaluation.json")
    about = (found.get(name) for name in ("split", "n", "num_samples", "trained_steps"))
    return "evaluation-{}-n{}-K{}-step{}".format(*about)


def _evaluate(loaded: Loaded, settings: Evaluate) -> None:
    generative, inference, _ = loaded.experiment
    params, step, which = loaded.params()
    xs = loaded.dataset.split(settings.split)[: _evaluated_examples(settings, loaded.dataset)]
    started = time.monotonic()
    with _progress_bar(len(xs), unit="example", what="evaluate") as bar:
        arrays = measure(
            stream(loaded.seed, _EVALUATE),
            generative,
            inference,
            params,
            xs,
            num_samples=settings.num_samples,
            progress=bar.update,
        )
    seconds = time.monotonic() - started
    bad = sorted(
        {
            int(i)
            for name in ("iwae", "elbo", "reconstruction")
            if name in arrays
            for i in np.flatnonzero(~np.isfinite(arrays[name]))
        }
    )
    if bad:
        raise UserError(
            f"{len(bad)} of {len(xs)} examples have a log density that is not finite (first "
            f"indices {bad[:5]}): look at the scale of those examples, or train longer or at a "
            "lower rate"
        )
    labels = loaded.dataset.labels.get(settings.split)
    if labels is not None:
        arrays["labels"] = labels[: len(xs)]
    arrays |= make_pictures(
        stream(loaded.seed, _PICTURES), generative, inference, params, xs, arrays["code"]
    )
    loaded.directory.write_measurement(
        "evaluation",
        arrays,
        {
            "split": settings.split,
            "n": len(xs),
            "num_samples": settings.num_samples,
            "point_mass": "iwae" not in arrays,
            "support": loaded.dataset.support,
            "parameters": which,
            "step": step,
            "trained_steps": loaded.trained_steps(),
            "protocol": loaded.dataset.protocol(),
            "precision": "highest",
            "seconds": round(seconds, 2),
            "summary": summarize(arrays),
        },
        keep=_kept_as(loaded, settings),
    )


def log_likelihood(arguments: list[str]) -> int:
    """Estimate log p(x) of a run's examples, by one estimator or all."""
    loaded, rest = _load_run(arguments, "log-likelihood")
    options = parse(LogLikelihood, rest, prog="vaejax log-likelihood RUN", default=LogLikelihood())
    params, step, which = loaded.params()
    dataset = loaded.dataset
    split = options.split or "test"
    xs = dataset.split(split)[: _present(dataset, split, options.examples, "--")]
    if is_point_mass(loaded.experiment.generative, loaded.experiment.inference, params, xs[0]):
        raise UserError(
            f"{loaded.directory.path} is an autoencoder: its q is a point mass, which has no "
            "density, and it has no p(z); so it has no p(x). digits_vae and mnist_vae have both"
        )
    if options.float64:
        jax.config.update("jax_enable_x64", True)
        loaded = loaded._replace(experiment=loaded.file.build(loaded.config, dataset))
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    loaded.directory.file("log_likelihood").mkdir(exist_ok=True)
    deadline = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    spent, results, stopped = 0, [], None
    with _signals() as stop:
        for name in options.names():
            settings = options.settings_of(name)
            stem = f"log_likelihood/{identity(settings, name, step)}"
            arrays, stopped, used = _estimate(
                loaded,
                params,
                xs,
                name,
                settings,
                stem,
                stop,
                deadline,
                None if options.budget is None else options.budget - spent,
            )
            spent += used
            if arrays is not None:
                target = settings["target_std_error"] or np.inf
                about = {
                    "name": name,
                    "settings": settings,
                    "evaluations_per_estimate": cost(name, settings),
                    "asked": options.examples,
                    "stopped_by": stopped,
                    "target_missed": np.flatnonzero(~(arrays["std_error"] <= target)).tolist(),
                    "parameters": which,
                    "step": step,
                    "support": dataset.support,
                    "protocol": dataset.protocol(),
                    "summary": estimates_of(arrays, name).summary(),
                }
                loaded.directory.write_json(f"{stem}.json", about)
                results.append((stem, about))
            if stopped:
                break
    if not results:
        raise UserError(
            f"stopped by {stopped} before the first {min(BLOCK, len(xs))} examples were measured: "
            "give more, or --examples fewer"
        )
    print(f"\n{loaded.directory.name}")
    reports.print_log_likelihood([about for _, about in results])
    for stem, _ in results:
        print(f"  {loaded.directory.file(stem)}.npz (each example), .json (summary)")
    print(f"  {reports.draw_log_likelihood(loaded.directory, [stem for stem, _ in results])}")
    return 128 + stop.signal if stop.signal else 0


def _estimate(loaded, params, xs, name, settings, stem, stop, deadline, budget):
    """(arrays of the examples that there are, what stopped it or None, evaluations spent now).
    Goes on from what an earlier call has saved, and saves after each block."""
    generative, inference, _ = loaded.experiment
    file = f"{stem}.npz"
    arrays = loaded.directory.read_arrays(file) if loaded.directory.file(file).exists() else None
    done = 0 if arrays is None else len(arrays["value"])
    blocks = estimate_blocks(
        stream(settings["seed"], _LOG_LIKELIHOOD + NAMES.index(name)),
        generative,
        inference,
        params,
        xs,
        name,
        settings,
        first=done,
    )
    spent, stopped = 0, None
    with _progress_bar(len(xs), min(done, len(xs)), "example", name) as bar:
        while done < len(xs):
            count = min(BLOCK, len(xs) - done)
            if stop.signal:
                stopped = "a signal"
            elif deadline is not None and time.monotonic() > deadline:
                stopped = "--minutes"
            elif budget is not None and spent + cost(name, settings) * count > budget:
                stopped = "--budget"
            if stopped:
                break
            block = next(blocks)
            spent += cost(name, settings) * int(block["rounds"].sum())
            arrays = (
                block
                if arrays is None
                else {field: np.concatenate([arrays[field], block[field]]) for field in block}
            )
            done += count
            loaded.directory.write_arrays(file, arrays)
            bar.update(count)
    if arrays is not None:
        arrays = {field: values[: len(xs)] for field, values in arrays.items()}
    return arrays, stopped, spent


def sample(arguments: list[str]) -> int:
    """Draw from a run's model."""
    loaded, rest = _load_run(arguments, "sample")

    @dataclasses.dataclass(frozen=True)
    class Options:
        count: int = 64
        """How many."""
        seed: int = 0
        """Other seeds, other samples."""

    options = parse(Options, rest, prog="vaejax sample RUN", default=Options())
    if options.count < 1 or not 0 <= options.seed < 2**32:
        raise UserError(
            "--count must be at least 1 and --seed from 0 to 2^32 - 1; got "
            f"{options.count} and {options.seed}"
        )
    generative, inference, _ = loaded.experiment
    params, step, which = loaded.params()
    if is_point_mass(generative, inference, params, loaded.dataset.train[0]):
        raise UserError(
            f"{loaded.directory.path} is an autoencoder: it has no p(z) to draw z from, so it has "
            "no samples; digits_vae and mnist_vae are the same networks with one"
        )
    means, samples = prior_samples(stream(options.seed, _SAMPLE), generative, params, options.count)
    loaded.directory.write_arrays("samples.npz", {"means": means, "samples": samples})
    print(f"{options.count} samples of {loaded.directory.name}, {which} parameters (step {step:,})")
    print(f"arrays: {loaded.directory.file('samples.npz')} (means = E[x|z], samples = x ~ p(x|z))")
    if reports.is_image(samples):
        picture = loaded.directory.file("samples.png")
        reports.draw_samples(picture, means, samples)
        print(f"picture: {picture}")
    return 0


def report(arguments: list[str]) -> int:
    """Figures and page, from the files alone: no model is loaded."""
    if arguments in (["-h"], ["--help"]):
        print("usage: vaejax report RUN")
        return 0
    if len(arguments) != 1:
        raise UserError(f"vaejax report expects one run directory; got {len(arguments)} arguments")
    directory = RunDirectory(Path(arguments[0]))
    directory.read_json("config.json")
    if not directory.is_evaluated():
        raise UserError(f"{directory.path} is not evaluated yet: vaejax evaluate {directory.path}")
    print(_report(directory))
    return 0


def _report(directory: RunDirectory) -> Path:
    return reports.write_page(directory, reports.draw(directory))


def _print_evaluation(directory: RunDirectory, evaluation: dict) -> None:
    print(f"\n{directory.name}")
    print(protocol_line(evaluation))
    print(reports.format_table(HEADER, reports.evaluation_rows(evaluation)))
    for name in ("report.html", "figures", "evaluation.npz", "metrics.jsonl", "checkpoints"):
        print(f"  {directory.file(name)}")


# --------------------------------------------- experiments, data, doctor, bench


def experiments(arguments: list[str]) -> int:
    """List the experiment files with what their docstrings say."""
    _no_arguments("experiments", arguments)
    seen = set()
    for folder in experiments_module.folders():
        for path in sorted(folder.glob("*.py")):
            if path.stem in seen:
                continue
            seen.add(path.stem)
            try:
                tree = ast.parse(path.read_text())
            except (SyntaxError, UnicodeDecodeError):
                continue  # a file of somebody's, in a folder of the same name
            if not any(isinstance(n, ast.FunctionDef) and n.name == "build" for n in tree.body):
                continue
            text = ast.get_docstring(tree) or ""
            print(f"{path.stem}  ({path})")
            print(f"  {text.splitlines()[0] if text else ''}")
            for line in re.findall(r"^(?:Command|Expected|Measured): .*$", text, re.MULTILINE):
                print(f"  {line}")
    return 0


def data(arguments: list[str]) -> int:
    """List the data sets."""
    _no_arguments("data", arguments)
    for source, where in data_sets.available():
        print(f"{source.name}: {source.description}")
        print(f"  {where}")
        if not where.startswith("not here"):
            protocol = data_sets.load(source.name).protocol()
            print(f"  {', '.join(f'{key} {value}' for key, value in protocol.items())}")
    print("your own: --data.name FILE.npz with arrays train, test and perhaps validation")
    return 0


def doctor(arguments: list[str]) -> int:
    """Say what a bug report needs."""
    _no_arguments("doctor", arguments)
    print("versions:", ", ".join(f"{name} {version}" for name, version in versions().items()))
    print("devices:", ", ".join(f"{d} ({d.device_kind})" for d in jax.devices()))
    print("cores:", os.cpu_count())
    print(f"matmul precision: training {matmul_precision()}, evaluation highest")
    print("random numbers: threefry2x32, the same on any number of devices")
    for name in ("XLA_FLAGS", "JAX_PLATFORMS", "TFDS_DATA_DIR"):
        print(f"{name}:", os.environ.get(name, "not set"))
    print("data:", data_dir(), "" if data_dir().is_dir() else "(not there yet)")
    cache = cache_folder()
    size = sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()) if cache.is_dir() else 0
    print(f"cache: {cache} ({size / 1e6:.0f} MB; safe to delete)")
    print("experiments:", ", ".join(map(str, experiments_module.folders())))
    return 0


def bench(arguments: list[str]) -> int:
    """Steps a second of an experiment beside the matmul peak, in one run."""
    file, rest = _experiment_argument("bench", arguments)

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: Annotated[type(file.config), tyro.conf.arg(name="")]  # type: ignore[misc]

    options = parse(Options, rest, prog=f"vaejax bench {file.name}", default=Options(file.config))
    config = _absolute_data(options.config)
    use_compilation_cache()
    dataset = _load_data(config)
    trainer = Trainer(*file.build(config, dataset), dataset, config.train)
    count = trainer.steps_per_call(1)
    batch = config.train.batch_size
    indices = jax.random.randint(stream(0, _SAMPLE), (1, count, batch), 0, len(dataset.train))
    states, _ = trainer.start([stream(0, _TRAIN)])
    rates, peaks = [], []
    for _ in range(_BENCH_CALLS + 1):
        peaks.append(_matmul_flops())
        started = time.perf_counter()
        states, terms = trainer.steps(states, indices, trainer.data)
        jax.block_until_ready(terms)
        rates.append(count / (time.perf_counter() - started))
    rates, peaks = rates[1:], peaks[1:]  # the first call compiles
    rate, peak = statistics.median(rates), statistics.median(peaks)
    used = rate * trainer.flops_per_step
    print(
        f"{file.name} on {jax.devices()[0].device_kind}: {rate:,.1f} steps/s of batch {batch} "
        f"({rate * batch:,.0f} examples/s), median of {len(rates)} calls of {count} steps, "
        f"{min(rates):,.1f} to {max(rates):,.1f}"
    )
    print(
        f"{trainer.flops_per_step / 1e6:,.0f} MFLOP a step as XLA counts them: "
        f"{used / 1e9:,.1f} GFLOP/s, {used / peak:.0%} of this machine's float32 matmul peak "
        f"({peak / 1e9:,.0f} GFLOP/s, median of {len(peaks)} at 2048 x 2048)"
    )
    return 0


def _matmul_flops() -> float:
    n = 2048
    a = jnp.ones((n, n))
    _matmul(a).block_until_ready()
    started = time.perf_counter()
    _matmul(a).block_until_ready()
    return 2 * n**3 / (time.perf_counter() - started)


_matmul = jax.jit(lambda a: a @ a)


def _no_arguments(command: str, arguments: list[str]) -> None:
    if arguments in (["-h"], ["--help"]):
        print(f"usage: vaejax {command}")
        raise SystemExit(0)
    if arguments:
        raise UserError(f"vaejax {command} takes no arguments; got {' '.join(arguments)}")
