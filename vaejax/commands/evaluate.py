"""`vaejax evaluate`, `vaejax sample` and `vaejax report`."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from vaejax import report as reports
from vaejax.arguments import parse
from vaejax.commands.common import (
    EVALUATE,
    LATENT_USE,
    PICTURES,
    SAMPLE,
    Loaded,
    load_run,
    present,
    progress_bar,
    stream,
    write_report,
)
from vaejax.data import Dataset
from vaejax.errors import UserError
from vaejax.evaluation import (
    Evaluate,
    chain_samples,
    latent_use,
    prior_samples,
    summarize,
)
from vaejax.evaluation import evaluate as measure
from vaejax.evaluation import pictures as make_pictures
from vaejax.evaluation.comparison import first_rows
from vaejax.evaluation.kind import first_of, kind_of
from vaejax.report.table import HEADER, protocol_line
from vaejax.run_directory import RunDirectory

CHAIN_STEPS = 200  # of a denoising autoencoder's chain, from a training image to a sample


def evaluate(arguments: list[str]) -> int:
    """Measure a run, with its own settings or others."""
    loaded, rest = load_run(arguments, "evaluate")

    @dataclasses.dataclass(frozen=True)
    class Options:
        evaluate: Evaluate

    options = parse(
        Options, rest, prog="vaejax evaluate RUN", default=Options(loaded.config.evaluate)
    )
    measure_run(loaded, options.evaluate)
    write_report(loaded.directory)
    print_evaluation(loaded.directory, loaded.directory.read_json("evaluation.json"))
    return 0


def evaluated_examples(settings: Evaluate, dataset: Dataset) -> int:
    """How many examples these settings measure."""
    return present(dataset, settings.split, settings.examples, "--evaluate.")


def is_evaluated_with(loaded: Loaded, settings: Evaluate) -> bool:
    """Whether the run's measurements are those that these settings would make now."""
    if not loaded.directory.is_evaluated():
        return False
    found = loaded.directory.read_json("evaluation.json", "split", "n", "num_samples")
    n = evaluated_examples(settings, loaded.dataset)
    wanted = settings.split, n, settings.num_samples, loaded.trained_steps()
    return (found["split"], found["n"], found["num_samples"], found.get("trained_steps")) == wanted


def _kept_as(loaded: Loaded, settings: Evaluate) -> str | None:
    """The name for measurements by other settings, which may be hours of work."""
    directory = loaded.directory
    files = directory.file("evaluation.json"), directory.file("evaluation.npz")
    if not all(file.exists() for file in files) or is_evaluated_with(loaded, settings):
        return None
    found = directory.read_json("evaluation.json")
    about = (found.get(name) for name in ("split", "n", "num_samples", "trained_steps"))
    return "evaluation-{}-n{}-K{}-step{}".format(*about)


def measure_run(loaded: Loaded, settings: Evaluate) -> None:
    generative, inference = loaded.experiment.generative, loaded.experiment.inference
    params, step, which = loaded.params()
    xs = first_rows(
        loaded.dataset.examples(settings.split), evaluated_examples(settings, loaded.dataset)
    )
    started = time.monotonic()
    with progress_bar(len(xs.x), unit="example", what="evaluate") as bar:
        arrays = measure(
            stream(loaded.seed, EVALUATE),
            generative,
            inference,
            params,
            xs,
            num_samples=settings.num_samples,
            progress=bar.update,
        )
    if "iwae" in arrays and len(xs.x) > 1:
        use = latent_use(*loaded.pair("it has no latents"))
        arrays |= use(stream(loaded.seed, LATENT_USE), params, xs)
    seconds = time.monotonic() - started
    bad = sorted(
        {
            int(i)
            for name in ("log_p", "iwae", "elbo", "reconstruction")
            if name in arrays
            for i in np.flatnonzero(~np.isfinite(arrays[name]))
        }
    )
    if bad:
        raise UserError(
            f"{len(bad)} of {len(xs.x)} examples have a log density that is not finite (first "
            f"indices {bad[:5]}): look at the scale of those examples, or train longer or at a "
            "lower rate"
        )
    kind = kind_of(generative, inference, params, first_of(xs))
    labels = loaded.dataset.labels.get(settings.split)
    if labels is not None:
        arrays["labels"] = labels[: len(xs.x)]
    key = stream(loaded.seed, PICTURES)
    arrays |= make_pictures(key, generative, inference, params, xs, arrays.get("code"))
    loaded.directory.write_measurement(
        "evaluation",
        arrays,
        {
            "split": settings.split,
            "n": len(xs.x),
            "num_samples": settings.num_samples,
            "kind": kind,
            "point_mass": kind == "point mass",
            "denoising": loaded.experiment.corrupt is not None,
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


def sample(arguments: list[str]) -> int:
    """Draw from a run's model."""
    loaded, rest = load_run(arguments, "sample")

    @dataclasses.dataclass(frozen=True)
    class Options:
        count: int = 64
        """How many."""
        seed: int = 0
        """Other seeds, other samples."""
        chain_steps: int = CHAIN_STEPS
        """Of a denoising autoencoder's chain; other models have a p(z) and need none."""

    options = parse(Options, rest, prog="vaejax sample RUN", default=Options())
    if options.count < 1 or not 0 <= options.seed < 2**32:
        raise UserError(
            "--count must be at least 1 and --seed from 0 to 2^32 - 1; got "
            f"{options.count} and {options.seed}"
        )
    if options.chain_steps < 1:
        raise UserError(f"--chain-steps must be at least 1; got {options.chain_steps}")
    generative: Any = loaded.experiment.generative
    inference, corrupt = loaded.experiment.inference, loaded.experiment.corrupt
    params, step, which = loaded.params()
    key = stream(options.seed, SAMPLE)
    source = "z ~ p(z)"
    if loaded.kind() != "point mass":
        means, samples = prior_samples(key, generative, params, options.count)
    elif corrupt is None:
        raise UserError(
            f"{loaded.directory.path} is an autoencoder: it has no p(z) to draw z from, so it has "
            "no samples; digits_vae and mnist_vae are the same networks with one"
        )
    else:
        source = f"chain, step {options.chain_steps}"
        means, samples = chain_samples(
            key,
            generative,
            inference,
            corrupt,
            params,
            loaded.dataset.split("train"),
            options.count,
            num_steps=options.chain_steps,
        )
        print(
            "no p(z), so the samples are of a chain of corrupt, denoise, sample; "
            f"{options.chain_steps} steps from a training image each"
        )
    arrays = {"samples": samples} if means is None else {"means": means, "samples": samples}
    loaded.directory.write_arrays("samples.npz", arrays)
    drawn = "samples = x ~ p(x)" if means is None else "means = E[x|z], samples = x ~ p(x|z)"
    print(f"{options.count} samples of {loaded.directory.name}, {which} parameters (step {step:,})")
    print(f"arrays: {loaded.directory.file('samples.npz')} ({drawn})")
    if reports.is_image(samples):
        picture = loaded.directory.file("samples.png")
        reports.draw_samples(picture, means, samples, source)
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
    print(write_report(directory))
    return 0


def print_evaluation(directory: RunDirectory, evaluation: dict) -> None:
    print(f"\n{directory.name}")
    print(protocol_line(evaluation))
    print(reports.format_table(HEADER, reports.evaluation_rows(evaluation)))
    for name in ("report.html", "figures", "evaluation.npz", "metrics.jsonl", "checkpoints"):
        print(f"  {directory.file(name)}")
